"""How bodies look: large enough a texture, one or two sides, and look-alikes."""

from dataclasses import replace

import numpy as np
import pytest

from memvos.data.synthetic_levels import LEVELS
from memvos.data.synthetic_looks import Look, draw_look, twin
from memvos.data.synthetic_shapes import Outline
from memvos.data.synthetic_textures import Skin

PLAIN = replace(LEVELS["easy"], other_side=0.0, turn=(0.0, 0.5), contrast=1)


def look_of(seed: int = 0, level=PLAIN, pixels: float = 20.0, others=()) -> Look:
    return draw_look(np.random.default_rng(seed), level, pixels, list(others))


@pytest.mark.parametrize(("pixels", "detail"), [(20.0, 24.0), (5.0, 8.0)])
def test_a_texture_is_finer_than_the_frame_and_long_enough_for_the_body_to_turn(pixels, detail):
    look = look_of(pixels=pixels)
    assert look.detail == pytest.approx(detail)  # 1.2 × the radius, and 8 at least
    # across 3.4 body units; along 4.2 of them and the largest turn, 0.5, to either side
    assert look.skin.picture.shape == (int(3.4 * detail), int(5.2 * detail), 3)


def test_a_look_depends_on_the_seed_alone_whenever_it_is_painted():
    first, again, other = look_of(1), look_of(1), look_of(2)
    assert np.array_equal(other.skin.picture, look_of(2).skin.picture)
    assert np.array_equal(first.skin.picture, again.skin.picture)
    assert not np.array_equal(first.skin.picture, other.skin.picture)
    assert np.array_equal(first.outline.coefficients, again.outline.coefficients)
    assert first.colours.shape == (3, 3)


def test_of_several_palettes_the_one_most_distinct_from_the_others_is_taken():
    others = [np.full((3, 3), 128.0)]

    def distances(tries):
        looks = [look_of(seed, replace(PLAIN, contrast=tries), others=others) for seed in range(20)]
        return np.array([np.linalg.norm(look.colours.mean(axis=0) - 128) for look in looks])

    assert np.mean(distances(10)) > 1.3 * np.mean(distances(1))


def test_the_far_side_has_other_colours_where_the_level_says_so():
    """Texture from its middle on, left of it one palette and right of it the other, by their mean colours."""
    apart = {}
    for share in (0.0, 1.0):
        changes = []
        for seed in range(12):
            picture = look_of(seed, replace(PLAIN, other_side=share, turn=(0.0, 2.0))).skin.picture.astype(float)
            third = picture.shape[1] // 3
            changes.append(np.linalg.norm(picture[:, :third].mean(axis=(0, 1)) - picture[:, -third:].mean(axis=(0, 1))))
        apart[share] = np.mean(changes)
    assert apart[1.0] > 2 * apart[0.0]


def test_a_twin_has_the_mirrored_texture_in_nearly_the_same_colours():
    picture = np.full((4, 6, 3), 100, np.uint8)
    picture[:, :2] = 50
    look = Look(Outline(np.zeros((2, 6)), 1.5, 0.3), Skin(lambda: picture), 10.0, np.ones((3, 3)))
    other = twin(np.random.default_rng(0), look)
    factor = other.skin.picture[0, 0] / 100  # of every channel, about 1 with a deviation of 0.05
    assert np.all(np.abs(factor - 1) < 0.25)
    assert np.allclose(other.skin.picture[:, :4], 100 * factor)
    assert np.allclose(other.skin.picture[:, 4:], 50 * factor, atol=1)
    assert np.unique(factor).size > 1


def test_a_twin_is_of_the_same_family_of_shapes_and_shares_the_rest():
    look = look_of(3)
    other = twin(np.random.default_rng(1), look)
    assert (other.detail, other.outline.bend) == (look.detail, look.outline.bend)
    assert other.colours is look.colours
    assert not np.array_equal(other.outline.coefficients, look.outline.coefficients)
    assert np.abs(other.outline.coefficients - look.outline.coefficients).max() < 0.4
