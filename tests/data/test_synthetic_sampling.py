"""Scenes as they are drawn, before anything is rendered: who is there, where, and what happens."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from memvos.data.synthetic_levels import LEVELS
from memvos.data.synthetic_sampling import draw_scene
from memvos.data.synthetic_textures import Backdrop

SIZE = (64, 96)
EXTENT = np.array([96, 64]) / np.sqrt(64 * 96) / 2
"""Half the frame's width and height in units of the root of its area."""
CALM = replace(
    LEVELS["easy"],
    objects=(0.0, 0.0, 1.0, 0.0),
    lookalikes=(1.0,),
    occluders=(1.0,),
    twins=0.0,
    meetings=0.0,
    exits=0.0,
    shake=0.0,
    dimming=0.0,
)
"""Three objects that only wander about."""


def scenes(level=CALM, count=12, frames=24):
    return [draw_scene(np.random.default_rng(seed), level, frames, SIZE, Backdrop()) for seed in range(count)]


def objects(scene):
    return sorted((body for body in scene.bodies if body.label), key=lambda body: body.label)


def test_a_scene_depends_on_the_seed_alone():
    one, again, other = (
        draw_scene(np.random.default_rng(seed), LEVELS["hard"], 8, SIZE, Backdrop()) for seed in (5, 5, 6)
    )
    assert [body.label for body in one.bodies] == [body.label for body in again.bodies]
    assert all(np.array_equal(a.position, b.position) for a, b in zip(one.bodies, again.bodies, strict=True))
    assert one.seed == again.seed != other.seed
    assert np.array_equal(one.background.picture, again.background.picture)


@pytest.mark.parametrize("frames", [2, 3, 32])
def test_every_track_has_a_value_for_each_frame(frames):
    for scene in scenes(LEVELS["hard"], count=6, frames=frames):
        assert (scene.frames, scene.size) == (frames, SIZE)
        camera, light = scene.camera, scene.light
        lengths = {
            len(track) for track in (camera.shift, camera.zoom, camera.roll, camera.pan, light.gain, light.slant)
        }
        for body in scene.bodies:
            assert (body.position.shape, body.tint.shape) == ((frames, 2), (frames, 3))
            lengths |= {len(track) for track in (body.radius, body.angle, body.turn, body.contour.radius)}
        assert lengths == {frames}


def test_objects_are_numbered_from_one_and_stand_in_any_order():
    orders = {tuple(body.label for body in scene.bodies) for scene in scenes()}
    assert all(sorted(order) == [1, 2, 3] for order in orders)
    assert len(orders) > 2


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_scene_has_as_many_objects_as_the_level_draws(count):
    chances = tuple(float(number == count) for number in (1, 2, 3, 4))
    assert all(len(scene.bodies) == count for scene in scenes(replace(CALM, objects=chances), count=3))


def test_look_alikes_have_no_label_and_change_as_an_object_does():
    for scene in scenes(replace(CALM, lookalikes=(0.0, 0.0, 1.0))):
        others = [body for body in scene.bodies if not body.label]
        assert len(others) == 2
        for other in others:
            (model,) = (body for body in objects(scene) if body.tint is other.tint)
            assert np.array_equal(other.turn, -model.turn)
            assert 0.8 <= other.radius[0] / model.radius[0] <= 1.15
            assert other.detail == model.detail


def test_occluders_have_no_label_and_stand_in_front_of_all():
    for scene in scenes(replace(CALM, lookalikes=(0.0, 1.0), occluders=(0.0, 0.0, 1.0))):
        assert [body.label > 0 for body in scene.bodies[4:]] == [False, False]
        assert sorted(body.label for body in scene.bodies[:4]) == [0, 1, 2, 3]


def test_an_occluder_stands_where_some_object_is_at_some_moment():
    for scene in scenes(replace(CALM, occluders=(0.0, 1.0))):
        occluder = scene.bodies[-1]
        gaps = [np.linalg.norm(occluder.position - body.position, axis=1).min() for body in objects(scene)]
        assert min(gaps) == pytest.approx(0, abs=1e-12)
        assert np.ptp(occluder.radius) == 0


def test_objects_start_and_stay_within_the_frame_by_their_middles():
    for scene in scenes():
        for body in objects(scene):
            assert np.all(np.abs(body.position) <= EXTENT)


def test_objects_start_apart_from_each_other():
    """Of 24 places the one farthest from the others is taken: farther than a place drawn blindly."""
    gaps = []
    for scene in scenes():
        first = [body.position[0] for body in objects(scene)]
        gaps.append(min(np.linalg.norm(a - b) for k, a in enumerate(first) for b in first[:k]))
    blind = np.random.default_rng(0).uniform(-0.8, 0.8, (500, 3, 2)) * EXTENT
    by_chance = np.mean(
        [min(np.linalg.norm(a - b) for k, a in enumerate(places) for b in places[:k]) for places in blind]
    )
    assert np.mean(gaps) > 1.3 * by_chance


def test_radii_are_those_of_the_level_in_the_first_frame():
    radii = [body.radius[0] for scene in scenes() for body in objects(scene)]
    assert CALM.radius[0] <= min(radii) < max(radii) <= CALM.radius[1]


def test_an_object_that_exits_is_wholly_out_of_the_frame_once():
    for scene in scenes(replace(CALM, exits=1.0)):
        for body in objects(scene):
            assert np.all(np.abs(body.position[0]) <= EXTENT)
            away = np.abs(body.position[:, 0]).max()
            assert away > EXTENT[0] + body.radius.max()
            assert away <= EXTENT[0] + 1.9 * body.radius.max() + 1e-9


def test_objects_that_meet_come_closer_than_those_that_do_not():
    def nearest(level):
        return np.mean(
            [
                min(np.linalg.norm(a.position - b.position, axis=1).min() for a, b in pairwise(objects(scene)))
                for scene in scenes(level)
            ]
        )

    assert nearest(replace(CALM, meetings=4.0)) < 0.6 * nearest(CALM)


def test_twins_share_the_family_of_shapes_and_the_detail_of_the_one_before():
    for scene in scenes(replace(CALM, twins=1.0)):
        assert len({body.detail for body in objects(scene)}) == 1
    assert any(len({body.detail for body in objects(scene)}) == 3 for scene in scenes())


def test_light_and_camera_are_still_where_the_level_says_so():
    still = replace(CALM, pan=(0.0, 0.0), zoom=0.0, spin=0.0, tint=0.0, growth=(0.0, 0.0))
    for scene in scenes(still, count=3):
        assert np.all(scene.light.gain == 1)
        assert np.all(scene.light.slant == 0)
        assert np.all(scene.camera.zoom == 1)
        assert np.all(scene.camera.shift == 0)
        assert np.all(scene.camera.roll == 0)
        assert all(
            np.ptp(body.radius) == 0 and np.ptp(body.angle) == 0 and np.all(body.tint == 1) for body in scene.bodies
        )


def test_a_shaking_camera_trembles_as_much_as_the_level_says():
    shaking = replace(CALM, shake=1.0, tremble=0.02, pan=(0.0, 0.0))
    shifts = np.concatenate([scene.camera.shift for scene in scenes(shaking, count=20, frames=60)])
    assert shifts.std() == pytest.approx(0.02, rel=0.1)


def test_noise_and_shutter_are_within_their_ranges():
    drawn = scenes(count=20, frames=2)
    assert all(1 <= scene.noise <= 4 for scene in drawn)
    assert all(CALM.shutter[0] <= scene.camera.shutter <= CALM.shutter[1] for scene in drawn)
