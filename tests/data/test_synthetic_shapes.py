"""Outlines of the embedded benchmark."""

import numpy as np

from memvos.data.synthetic_shapes import Contour, Outline


def grid(half: float = 2.0, points: int = 201) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[-half : half : points * 1j, -half : half : points * 1j].astype(np.float32)
    return x, y


def test_outline_without_coefficients_is_the_unit_circle():
    contour = Contour(np.random.default_rng(0), Outline(np.zeros((2, 6)), 1.0, 0.0), 3, 0.0, 20)
    x, y = grid()
    coverage, depth, _ = contour.cover(1, x, y, scale=50)
    assert np.array_equal(coverage >= 0.5, np.hypot(x, y) <= 1)
    assert np.allclose(depth, np.hypot(x, y), atol=1e-4)


def test_coverage_at_the_edge_falls_from_one_to_zero_within_a_pixel():
    contour = Contour(np.random.default_rng(0), Outline(np.zeros((2, 6)), 1.0, 0.0), 1, 0.0, 20)
    x = np.float32(
        [[1 - 0.5 / 50, 1, 1 + 0.25 / 50, 1 + 0.5 / 50]]
    )  # half a pixel inside, on it, a quarter, half outside
    coverage, _, _ = contour.cover(0, x, np.zeros_like(x), scale=50)
    assert np.allclose(coverage, [[1, 0.5, 0.25, 0]], atol=1e-3)


def test_stretched_outline_keeps_its_area_and_its_sharp_edge():
    # stretch 4: an ellipse of half axes 2 and 1/2
    contour = Contour(np.random.default_rng(0), Outline(np.zeros((2, 6)), 4.0, 0.0), 1, 0.0, 20)
    x, y = grid()
    coverage, _, _ = contour.cover(0, x, y, scale=50)
    assert np.array_equal(coverage >= 0.5, (x / 2) ** 2 + (2 * y) ** 2 <= 1)
    across, _, _ = contour.cover(0, np.zeros((1, 1), np.float32), np.float32([[0.5 + 0.25 / 50]]), scale=50)
    assert abs(across.item() - 0.25) < 1e-3


def test_points_lie_on_the_outline_of_any_family():
    rng = np.random.default_rng(3)
    for _ in range(20):
        contour = Contour(rng, Outline.sample(rng), 4, 0.15, 12)
        x, y = contour.points(2).astype(np.float32).T[..., None]
        _, depth, _ = contour.cover(2, x, y, scale=50)
        assert np.allclose(depth, 1, atol=0.02)


def test_contour_deforms_over_time():
    contour = Contour(np.random.default_rng(4), Outline(np.zeros((2, 6)), 1.0, 0.0), 30, 0.2, 15)
    assert contour.radius.std(axis=0).max() > 0.05
    assert np.allclose(contour.rest, 1)


def test_texture_coordinates_stay_with_the_outline_as_it_deforms():
    contour = Contour(np.random.default_rng(5), Outline(np.zeros((2, 6)), 1.0, 0.0), 30, 0.2, 15)
    for t in (0, 20):
        x, y = contour.points(t).astype(np.float32).T[..., None]
        _, _, (u, v) = contour.cover(t, x, y, scale=50)
        assert np.allclose(np.hypot(u, v), 1, atol=0.02)  # the rim of the texture is always on the rim of the body


def test_varied_outline_is_of_the_same_family_but_not_the_same():
    rng = np.random.default_rng(6)
    outline = Outline.sample(rng)
    other = outline.vary(rng, 0.08)
    assert np.abs(other.coefficients - outline.coefficients).max() < 0.4
    assert not np.array_equal(other.coefficients, outline.coefficients)
    assert other.bend == outline.bend
