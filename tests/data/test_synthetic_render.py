"""The painter of the embedded benchmark, on hand-made scenes."""

import numpy as np
import pytest

from memvos.data.synthetic_render import render
from memvos.data.synthetic_textures import Skin

Y, X = np.mgrid[:128, :128] + 0.5  # pixel centres
AREA = np.pi * 25.6**2  # of a disc of radius 0.2 in a frame of 128×128


def circle(x: float, y: float, radius: float = 25.6) -> np.ndarray:
    return np.hypot(X - x, Y - y) <= radius


def test_label_map_is_exactly_the_disc(disc, scene_of):
    frame = next(render(scene_of(disc(label=3))))
    assert np.array_equal(frame.labels, 3 * circle(64, 64))
    assert frame.image.dtype == np.uint8
    assert np.all(frame.image[0, 0] == 90)
    assert frame.image[64, 64, 0] > 150 > 60 > frame.image[64, 64, 1]


def test_positions_are_in_units_of_the_root_of_the_area(disc, scene_of):
    frame = next(render(scene_of(disc(position=np.full((4, 2), (0.25, -0.125))))))
    assert np.array_equal(frame.labels > 0, circle(64 + 32, 64 - 16))


def test_body_in_front_takes_the_pixels_and_is_counted_as_hiding(disc, scene_of):
    # two equal discs one radius apart share (2π/3 − √3/2) r², 39.1 % of a disc
    front = disc(label=0, position=np.full((4, 2), (0.2, 0.0)))
    frame = next(render(scene_of(disc(), front)))
    assert np.array_equal(frame.labels > 0, circle(64, 64) & ~circle(64 + 25.6, 64))
    trace = frame.traces[0]
    assert trace.amodal == pytest.approx(AREA, rel=0.01)
    assert trace.inside == trace.amodal
    assert trace.foreign / trace.inside == pytest.approx(0.391, abs=0.01)
    assert trace.inside - trace.visible == trace.foreign


def test_what_another_object_hides_is_not_foreign(disc, scene_of):
    frame = next(render(scene_of(disc(), disc(label=2, position=np.full((4, 2), (0.2, 0.0))))))
    assert frame.traces[0].foreign == 0
    assert frame.traces[0].visible / frame.traces[0].inside == pytest.approx(0.609, abs=0.01)


def test_area_is_measured_beyond_the_border(disc, scene_of):
    # the middle half a radius beyond the right border: (arccos ½ − ½·√¾) / π = 19.6 % of the disc stay inside
    frame = next(render(scene_of(disc(position=np.full((4, 2), (0.6, 0.0))))))
    assert frame.traces[0].amodal == pytest.approx(AREA, rel=0.01)
    assert frame.traces[0].inside / frame.traces[0].amodal == pytest.approx(0.196, abs=0.01)


def test_body_outside_of_the_frame_leaves_no_trace_but_its_area(disc, scene_of):
    frame = next(render(scene_of(disc(position=np.full((4, 2), (2.0, 0.0))))))
    assert not frame.labels.any()
    assert frame.traces[0].amodal == pytest.approx(AREA)
    assert frame.traces[0].inside == frame.traces[0].visible == 0
    assert np.all(np.isnan(frame.traces[0].look))


def test_zoom_and_shift_of_the_camera_move_everything(disc, scene_of):
    camera = {"zoom": np.full(4, 1.25), "shift": np.full((4, 2), (0.1, 0.0))}
    frame = next(render(scene_of(disc(position=np.full((4, 2), (0.0, 0.1))), camera=camera)))
    assert np.array_equal(frame.labels > 0, circle(64 + 12.8, 64 + 1.25 * 12.8, 1.25 * 25.6))


def test_motion_blur_is_in_the_image_and_not_in_the_labels(disc, scene_of):
    path = np.stack([np.linspace(-0.15, 0.15, 4), np.zeros(4)], axis=1)  # 0.1 a frame: 12.8 pixels
    sharp, blurred = (
        list(render(scene_of(disc(position=path), camera={"shutter": shutter})))[1] for shutter in (0.0, 0.5)
    )
    assert np.array_equal(sharp.labels, blurred.labels)
    assert blurred.traces[0].blur == pytest.approx(6.4)
    edge = (slice(60, 68), slice(28, 38))  # around the trailing edge, at x = 64 − 6.4 − 25.6 = 32
    assert len(np.unique(sharp.image[edge][..., 0])) < len(np.unique(blurred.image[edge][..., 0]))
    steps = np.abs(np.diff(blurred.image[64, 25:40, 0].astype(int)))
    assert steps.max() < np.abs(np.diff(sharp.image[64, 25:40, 0].astype(int))).max() / 2


def test_light_scales_the_image_but_not_the_measured_colours(disc, scene_of):
    bright, dark = render(scene_of(disc(frames=2), gain=np.array([1.0, 0.5])))
    assert np.allclose(dark.image, bright.image * 0.5, atol=1)
    assert np.array_equal(bright.traces[0].look, dark.traces[0].look)


def test_look_is_mean_and_deviation_of_the_visible_colours(disc, scene_of):
    trace = next(render(scene_of(disc(colour=(200, 100, 0))))).traces[0]
    assert trace.look[0] == pytest.approx(2 * trace.look[1], rel=0.01)  # shading changes all channels by one factor
    assert trace.look[2] == pytest.approx(0, abs=1)


def test_texture_moves_with_the_body(disc, scene_of):
    texture = np.random.default_rng(0).integers(0, 255, (64, 64, 3))
    path = np.array([[0.0, 0.0], [0.125, 0.0]])  # 16 pixels
    first, second = render(scene_of(disc(frames=2, position=path, skin=Skin(lambda: texture))))
    inner = np.s_[50:78, 50:78]
    assert np.array_equal(first.image[inner], second.image[50:78, 66:94])
    assert first.image[inner].std() > 20


def test_turning_body_shows_another_part_of_its_texture(disc, scene_of):
    texture = np.zeros((64, 64, 3))
    texture[:, 44:] = 255  # white from 1.2 radii right of the middle on
    first, second = render(scene_of(disc(frames=2, turn=np.array([0.0, 1.3]), skin=Skin(lambda: texture))))
    assert first.image[64, 64].max() < 10
    assert second.image[64, 70].min() > 200
