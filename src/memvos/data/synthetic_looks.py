"""How bodies of the embedded benchmark look: an outline and a skin, and others that are hard to tell from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from memvos.data.synthetic_levels import Level
from memvos.data.synthetic_shapes import Outline
from memvos.data.synthetic_textures import Skin, contrasting, patchwork, surface


@dataclass(frozen=True)
class Look:
    """What a body and its look-alikes share.

    Attributes:
        outline: the shape at rest.
        skin: the texture.
        detail: texture pixels per body unit.
        colours: the palette, (K, 3) RGB.
    """

    outline: Outline
    skin: Skin
    detail: float
    colours: np.ndarray


def draw_look(rng: np.random.Generator, level: Level, pixels: float, others: list[np.ndarray]) -> Look:
    """A new look for a body of a radius of `pixels`: an outline, and a texture long enough for the body to turn."""
    outline = Outline.sample(rng)
    detail = max(pixels * 1.2, 8.0)
    shape = (int(3.4 * detail), int((4.2 + 2 * level.turn[1]) * detail))
    colours = contrasting(rng, others, level.contrast)
    far = contrasting(rng, others, level.contrast) if rng.uniform() < level.other_side else colours
    seed = rng.integers(2**31)
    return Look(outline, Skin(lambda: _hide(np.random.default_rng(seed), shape, detail, colours, far)), detail, colours)


def _hide(
    rng: np.random.Generator, shape: tuple[int, int], detail: float, colours: np.ndarray, far: np.ndarray
) -> np.ndarray:
    """A texture with markings, float32 (h, w, 3); its right part, the far side of the body, has the colours `far`."""
    grain = detail * rng.uniform(0.35, 0.8)
    texture = surface(rng, shape, colours, grain)
    marking = surface(rng, shape, colours[::-1] * rng.uniform(0.7, 1.1), 0.6 * grain)
    texture = patchwork(rng, shape, texture, marking)
    if far is colours:
        return texture
    ahead = (np.arange(shape[1]) - shape[1] / 2) / detail - rng.uniform(0.5, 0.9)
    return texture + np.float32(1 / (1 + np.exp(-8 * ahead)))[:, None] * (surface(rng, shape, far, grain) - texture)


def twin(rng: np.random.Generator, look: Look) -> Look:
    """A look hard to tell from the given one: the same family of shapes, the same texture in mirror image."""
    colour = rng.normal(1, 0.05, 3)
    return replace(look, outline=look.outline.vary(rng, 0.08), skin=Skin(lambda: look.skin.picture[:, ::-1] * colour))
