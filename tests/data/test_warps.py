import cv2
import numpy as np
import pytest

from memvos.data import warps
from memvos.data.warps import Map


def at(matrix, x, y):
    return (matrix @ [x, y, 1])[:2].tolist()


def test_matrices_act_as_their_names_say():
    assert at(warps.scaling(2, 3), 1, 1) == [2, 3]
    assert at(warps.shifting(2, 3), 1, 1) == [3, 4]
    assert at(warps.mirroring(10), 1, 4) == [9, 4]
    assert at(warps.about(warps.scaling(2, 2), 5, 5), 5, 5) == [5, 5]
    assert at(warps.about(warps.scaling(2, 2), 5, 5), 6, 5) == [7, 5]


def test_tilting_looks_up_where_a_turned_picture_came_from():
    # the picture is turned by 90°, x → y in image axes: the output at (0, 1) shows what was at (1, 0)
    assert at(warps.tilting(90, 0, 1), 0, 1) == pytest.approx([1, 0])
    assert at(warps.tilting(0, 0, 2), 4, 6) == pytest.approx([2, 3])  # twice as large
    assert at(warps.tilting(0, 45, 1), 3, 2) == pytest.approx([1, 2])  # x moved by y·tan 45°


def test_a_warp_by_the_identity_changes_nothing():
    image = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    assert (warps.warp(image, Map(np.eye(3)), (6, 8), cv2.INTER_LINEAR, (0, 0, 0)) == image).all()
    bent = Map(np.eye(3), np.zeros((5, 5, 2), np.float32))
    assert (warps.warp(image, bent, (6, 8), cv2.INTER_LINEAR, (0, 0, 0)) == image).all()


def test_a_mirrored_warp_flips_exactly():
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert (warps.warp(image, Map(warps.mirroring(6)), (4, 6), cv2.INTER_NEAREST, (0,)) == image[:, ::-1]).all()


def test_outside_the_image_is_fill():
    image = np.full((4, 4), 9, np.uint8)
    assert warps.warp(image, Map(warps.shifting(2, 0)), (4, 4), cv2.INTER_NEAREST, (7,)).tolist() == [[9, 9, 7, 7]] * 4


def test_a_constant_bend_is_a_shift_in_shares_of_the_size():
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    bend = np.zeros((25, 25, 2), np.float32)
    bend[..., 0] = 2 / 8
    out = warps.warp(image, Map(np.eye(3), bend), (8, 8), cv2.INTER_LINEAR, (0,))
    assert (out[:, :6] == image[:, 2:]).all()


def test_a_spline_passes_through_its_control_points():
    rng = np.random.default_rng(0)
    control, moved = rng.random((12, 2)), rng.normal(0, 0.02, (12, 2))
    assert np.abs(warps.bend(control, moved, control) - moved).max() < 2e-3  # not 0: it is a little stiff


def test_a_spline_of_an_affine_displacement_is_affine():
    control = np.random.default_rng(1).random((12, 2))
    positions = np.random.default_rng(2).random((30, 2))
    assert warps.bend(control, 0.1 * control + 0.05, positions) == pytest.approx(0.1 * positions + 0.05, abs=1e-9)


def test_bent_positions_are_those_of_the_spline_within_half_a_percent_of_the_image():
    rng = np.random.default_rng(3)
    control, moved = rng.random((12, 2)), rng.normal(0, 0.02, (12, 2))
    pixels = np.stack(np.meshgrid(np.arange(96), np.arange(64)), -1).reshape(-1, 2)
    exact = pixels + warps.bend(control, moved, (pixels + 0.5) / [96, 64]) * [96, 64]
    got = warps.bent_positions(warps.random_bend(np.random.default_rng(3), 12, 0.02), (64, 96)).reshape(-1, 2)
    assert np.abs(got - exact).max() < 0.005 * 96


def test_images_are_averaged_before_they_are_shrunk():
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, ::2] = 200  # stripes of one pixel, 100 on the average
    small, (fitted,) = warps.shrink(image, [Map(warps.scaling(4, 4))])
    assert small.shape == (10, 10, 3)
    assert fitted.matrix == pytest.approx(np.eye(3))
    assert (warps.warp(small, fitted, (10, 10), cv2.INTER_LINEAR, (0, 0, 0)) == 100).all()


def test_images_that_are_not_halved_stay_as_they_are():
    image = np.zeros((40, 40, 3), np.uint8)
    maps = [Map(warps.scaling(4, 4)), Map(warps.scaling(1.5, 4))]
    assert warps.shrink(image, maps) == (image, maps)
