"""Geometry of scenes."""

import numpy as np
import pytest

from memvos.data.synthetic_scene import Body, Camera


def camera(shift=(0.0, 0.0), zoom=1.0, roll=0.0, pan=(0.0, 0.0)) -> Camera:
    """A camera of one frame."""
    return Camera(np.array([shift]), np.array([zoom]), np.array([roll]), np.array([pan]), 0.0)


@pytest.mark.parametrize(
    ("moved", "place"),
    [
        ({}, (0.3, 0.1)),
        ({"shift": (0.02, -0.05)}, (0.32, 0.05)),
        ({"zoom": 2.0}, (0.6, 0.2)),
        ({"roll": np.pi / 2}, (-0.1, 0.3)),  # x goes to y, y to -x
        ({"shift": (1.0, 0.0), "zoom": 2.0, "roll": np.pi}, (0.4, -0.2)),  # turned and magnified, then shifted
        ({"pan": (0.5, 0.5)}, (0.3, 0.1)),  # moves the background alone
    ],
)
def test_a_camera_turns_and_magnifies_about_the_middle_and_then_shifts(moved, place):
    assert np.allclose(camera(**moved).centres(np.array([[0.3, 0.1]])), [place])


def test_every_frame_has_a_camera_of_its_own():
    moving = Camera(np.array([[0.0, 0.0], [0.1, 0.0]]), np.array([1.0, 3.0]), np.zeros(2), np.zeros((2, 2)), 0.0)
    assert np.allclose(moving.centres(np.array([[0.2, 0.1], [0.2, 0.1]])), [[0.2, 0.1], [0.7, 0.3]])


def test_a_scene_is_as_long_as_its_light_and_measures_in_the_root_of_its_area(scene_of, disc):
    scene = scene_of(disc(frames=5), gain=np.ones(5))
    assert scene.frames == 5
    assert scene.unit == 128.0  # of 128×128 pixels


def test_a_body_is_not_to_be_segmented_unless_it_has_a_label(disc):
    unnamed = {name: value for name, value in vars(disc(label=3)).items() if name != "label"}
    assert Body(**unnamed).label == 0
