import numpy as np
import pytest

from memvos.data.colours import colour_matrix, grey_matrix

MEAN = np.array([100.0, 100.0, 100.0])


def seen(matrix, rgb):
    return (matrix @ [*rgb, 1])[:3]


def test_factors_of_one_and_no_turn_change_nothing():
    assert colour_matrix(MEAN, 1, 1, 1, 0) == pytest.approx(np.eye(4), abs=1e-9)


def test_brightness_multiplies():
    assert seen(colour_matrix(MEAN, 1.2, 1, 1, 0), (10, 20, 30)) == pytest.approx([12, 24, 36])


def test_contrast_stretches_about_the_mean_grey():
    assert seen(colour_matrix(MEAN, 1, 1.5, 1, 0), (100, 120, 80)) == pytest.approx([100, 130, 70])


def test_contrast_is_about_the_mean_grey_of_the_brightened_image():
    # brightness 2: mean 200; contrast .5: halfway to 200
    assert seen(colour_matrix(MEAN, 2, 0.5, 1, 0), (50, 100, 100)) == pytest.approx([150, 200, 200])


def test_no_saturation_is_grey():
    # .299·100 + .587·50 + .114·0
    assert seen(colour_matrix(MEAN, 1, 1, 0, 0), (100, 50, 0)) == pytest.approx([59.25] * 3)
    assert seen(grey_matrix(), (100, 50, 0)) == pytest.approx([59.25] * 3)


def test_a_turn_of_the_hue_keeps_greys_and_luma():
    turned = colour_matrix(MEAN, 1, 1, 1, 0.05)
    assert seen(turned, (80, 80, 80)) == pytest.approx([80, 80, 80], abs=0.05)
    assert seen(turned, (200, 40, 60)) @ [0.299, 0.587, 0.114] == pytest.approx(90.12, abs=0.05)
    assert np.abs(seen(turned, (200, 40, 60)) - [200, 40, 60]).max() > 10
