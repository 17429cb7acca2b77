"""Attributes are measured: scenes made by hand, with values just above and just below every threshold."""

import numpy as np
import pytest

from memvos.data.synthetic_attributes import measure
from memvos.data.synthetic_render import render


def attributes(scene) -> tuple[str, ...]:
    return measure(scene, [frame.traces for frame in render(scene)])


def along_x(*x: float) -> np.ndarray:
    return np.stack([np.array(x), np.zeros(len(x))], axis=1)


def test_disc_at_rest_has_no_attribute(disc, scene_of):
    assert attributes(scene_of(disc())) == ()


# equal discs at a distance of d radii share 2 arccos(d/2) − d √(1 − d²/4) of r²: 39 % of a disc for d = 1, 24 % for 1.3
@pytest.mark.parametrize(("distance", "expected"), [(1.0, {"occlusion", "foreign-occluder"}), (1.3, set())])
def test_object_is_occluded_if_thirty_percent_are_hidden(disc, scene_of, distance, expected):
    front = disc(label=0, colour=(20, 20, 200), position=along_x(*[0.2 * distance] * 4))
    assert set(attributes(scene_of(disc(), front))) == expected


def test_occlusion_by_another_object_is_not_by_a_foreign_one(disc, scene_of):
    front = disc(label=2, colour=(20, 20, 200), position=along_x(0.2, 0.2, 0.2, 0.2))
    assert set(attributes(scene_of(disc(), front))) == {"occlusion"}


def test_one_occluded_frame_is_enough(disc, scene_of):
    front = disc(label=0, colour=(20, 20, 200), position=along_x(5, 5, 0.1, 5))
    assert "foreign-occluder" in attributes(scene_of(disc(), front))


# the middle 0.05 beyond the border: more than half outside; 0.1 before it: 19.6 % outside
@pytest.mark.parametrize(("x", "expected"), [(0.55, True), (0.4, False)])
def test_object_is_out_of_view_if_half_of_it_lies_outside(disc, scene_of, x, expected):
    assert ("out-of-view" in attributes(scene_of(disc(position=along_x(x, x, x, x))))) == expected


# a disc of radius 0.2 has an area of the root 0.354: 0.1 a frame is 0.28 of it, 0.08 is 0.23
@pytest.mark.parametrize(("step", "expected"), [(0.1, True), (0.08, False)])
def test_object_is_fast_if_it_moves_by_a_quarter_of_its_size(disc, scene_of, step, expected):
    assert ("fast-motion" in attributes(scene_of(disc(position=along_x(*np.arange(4) * step))))) == expected


# 0.1 a frame with a shutter of 0.5 blurs 0.05, 0.14 of the size; with a shutter of 0.4, 0.11
@pytest.mark.parametrize(("shutter", "expected"), [(0.5, True), (0.4, False)])
def test_motion_blur_is_measured_against_the_size(disc, scene_of, shutter, expected):
    scene = scene_of(disc(position=along_x(0, 0.1, 0.2, 0.3)), camera={"shutter": shutter})
    assert ("motion-blur" in attributes(scene)) == expected


@pytest.mark.parametrize(("radius", "expected"), [(0.29, True), (0.27, False)])  # area ratios 2.1 and 1.8
def test_scale_varies_if_the_area_doubles(disc, scene_of, radius, expected):
    scene = scene_of(disc(radius=np.array([0.2, 0.2, radius, 0.2])))
    assert ("scale-variation" in attributes(scene)) == expected


def test_hidden_part_does_not_count_as_change_of_scale(disc, scene_of):
    front = disc(label=0, colour=(20, 20, 200), position=along_x(5, 5, 0.05, 5))
    assert "scale-variation" not in attributes(scene_of(disc(), front))


@pytest.mark.parametrize(("gain", "expected"), [(1.4, True), (1.3, False)])
def test_illumination_is_the_ratio_of_the_brightest_to_the_darkest(disc, scene_of, gain, expected):
    found = attributes(scene_of(disc(), gain=np.array([1.0, gain, 1.0, 1.0])))
    assert ("illumination" in found) == expected
    assert "appearance-change" not in found


# grey 150 in the texture, 0.5 times as bright: about 70 grey levels less; 0.9 times: about 14 less
@pytest.mark.parametrize(("tint", "expected"), [(0.5, True), (0.9, False)])
def test_appearance_changes_if_the_colours_do(disc, scene_of, tint, expected):
    scene = scene_of(disc(colour=(150, 150, 150), tint=np.outer([1, 1, tint, 1], [1, 1, 1])))
    assert ("appearance-change" in attributes(scene)) == expected


def test_camera_shakes_if_it_accelerates_to_and_fro(disc, scene_of):
    to_and_fro = {"shift": along_x(0.01, -0.01, 0.01, -0.01)}  # second differences of 0.04
    steady = {"shift": along_x(0.0, 0.05, 0.1, 0.15)}
    assert "camera-shake" in attributes(scene_of(disc(), camera=to_and_fro))
    assert "camera-shake" not in attributes(scene_of(disc(), camera=steady))


def test_similar_objects_have_like_colours_wherever_they_are(disc, scene_of):
    left, right = along_x(*[-0.25] * 4), along_x(*[0.25] * 4)
    for label in (0, 2):
        assert attributes(scene_of(disc(position=left), disc(label=label, position=right))) == ("similar-objects",)
        other = disc(label=label, position=right, colour=(40, 200, 40))
        assert attributes(scene_of(disc(position=left), other)) == ()


# the unit circle and an ellipse of half axes 2 and 1/2 have an IoU of 0.42; of 1.4 and 1/1.4, of about 0.65
@pytest.mark.parametrize(("stretch", "expected"), [(2.0, True), (1.4, False)])
def test_deformation_is_a_change_of_the_outline_alone(disc, scene_of, stretch, expected):
    body = disc(frames=9, angle=np.linspace(0, 2, 9))
    body.contour.stretch[4:] = stretch
    assert ("deformation" in attributes(scene_of(body))) == expected


def test_sliver_at_the_border_is_not_called_occluded(disc, scene_of):
    # only 8 % of the object are in the frame, and all of these are hidden
    body = disc(position=along_x(*[0.65] * 4))
    front = disc(label=0, colour=(20, 20, 200), position=along_x(*[0.5] * 4))
    assert "occlusion" not in attributes(scene_of(body, front))
