"""Textures of the embedded benchmark."""

import numpy as np
import pytest
from PIL import Image

from memvos.data.synthetic_textures import PATTERNS, Backdrop, PhotoBackdrop, Skin, colourise, contrasting, fractal


@pytest.mark.parametrize("pattern", PATTERNS)
def test_pattern_is_a_field_of_the_shape_asked_for_with_contrast(pattern):
    field = pattern(np.random.default_rng(0), (60, 91), 12.0)
    assert field.shape == (60, 91)
    assert field.min() >= 0
    assert field.max() <= 1
    assert field.std() > 0.05


def test_noise_is_stronger_at_low_frequencies():
    spectrum = np.abs(np.fft.fft2(fractal(np.random.default_rng(1), (64, 64), 1.4)))
    assert spectrum[0, 1:4].mean() > 10 * spectrum[0, 25:32].mean()


def test_colours_run_along_the_palette():
    picture = colourise(np.array([[0.0, 1.0]]), np.float32([[10, 20, 30], [110, 120, 130]]))
    assert np.allclose(picture, [[[10, 20, 30], [110, 120, 130]]])


def test_of_many_palettes_the_most_distinct_one_is_kept():
    other = [np.full((3, 3), 128.0)]
    one = [np.linalg.norm(contrasting(np.random.default_rng(k), other, 1).mean(axis=0) - 128) for k in range(40)]
    ten = [np.linalg.norm(contrasting(np.random.default_rng(k), other, 10).mean(axis=0) - 128) for k in range(40)]
    assert all(b >= a for a, b in zip(one, ten, strict=True))
    assert np.mean(ten) > 1.3 * np.mean(one)


def test_skin_is_painted_once_and_only_when_asked_for():
    calls = []
    skin = Skin(lambda: calls.append(1) or np.full((2, 2, 3), 300.0))
    assert not calls
    assert skin.picture.max() == skin.picture.max() == 255
    assert len(calls) == 1


def test_background_is_larger_than_the_frame():
    skin, palette = Backdrop()(np.random.default_rng(2), (60, 80))
    assert skin.picture.shape == (120, 160, 3)
    assert palette.shape == (6, 3)


@pytest.mark.parametrize("shape", [(40, 300), (500, 90)])
def test_photograph_of_any_shape_fills_the_background(tmp_path, shape):
    Image.fromarray(np.full((*shape, 3), (10, 200, 30), np.uint8)).save(tmp_path / "a.png")
    skin, palette = PhotoBackdrop([tmp_path / "a.png"])(np.random.default_rng(3), (60, 80))
    assert skin.picture.shape == (120, 160, 3)
    assert np.all(skin.picture == (10, 200, 30))
    assert np.allclose(palette, (10, 200, 30))
