"""Clips of the embedded benchmark: equal seeds give equal bytes, and what every clip must hold."""

import numpy as np
import pytest

from memvos.data import synthetic_clip
from memvos.data.synthetic_attributes import measure
from memvos.data.synthetic_clip import SPLITS, draw_clip, render_clip
from memvos.data.synthetic_levels import LEVELS
from memvos.data.synthetic_render import render
from memvos.data.synthetic_textures import Backdrop
from memvos.errors import InputError

SIZE = (64, 96)
NAMES = {
    "appearance-change",
    "camera-shake",
    "deformation",
    "fast-motion",
    "foreign-occluder",
    "illumination",
    "motion-blur",
    "occlusion",
    "out-of-view",
    "scale-variation",
    "similar-objects",
}


@pytest.mark.parametrize("difficulty", LEVELS)
def test_two_renders_of_a_clip_are_equal_byte_for_byte(difficulty):
    one, two = (render_clip(difficulty, "test", 5, 8, SIZE) for _ in range(2))
    assert one.images.tobytes() == two.images.tobytes()
    assert one.labels.tobytes() == two.labels.tobytes()
    assert one.attributes == two.attributes


def test_seeds_render_what_they_did_when_this_version_was_made():
    """If this fails, a seed renders something else than before: raise VERSION and take the new areas, in pixels."""
    assert synthetic_clip.VERSION == 1
    areas = {
        "easy": [[3325, 393, 378], [3395, 371, 330]],
        "normal": [[3476, 174, 446], [3507, 132, 457]],
        "hard": [[3394, 250, 223, 229], [3803, 148, 53, 92]],
    }
    for difficulty, expected in areas.items():
        labels = render_clip(difficulty, "test", 0, 4, (64, 64)).labels
        found = [np.bincount(frame.ravel(), minlength=len(expected[0])) for frame in (labels[0], labels[3])]
        assert np.abs(np.array(found) - expected).max() <= 3  # processors may differ in single pixels


def test_clips_differ_by_index_split_seed_and_difficulty():
    clips = [
        render_clip(*what, 2, SIZE, seed).images.tobytes()
        for *what, seed in (
            *(("easy", split, 0, 0) for split in SPLITS),
            ("easy", "train", 1, 0),
            ("easy", "train", 0, 1),
            ("normal", "train", 0, 0),
            ("hard", "train", 0, 0),
        )
    ]
    assert len(set(clips)) == len(clips)


@pytest.mark.parametrize("difficulty", LEVELS)
def test_objects_are_numbered_without_gaps_and_every_one_is_well_visible_in_the_first_frame(difficulty):
    counts = set()
    for index in range(12):
        clip = render_clip(difficulty, "val", index, 6, SIZE)
        areas = np.bincount(clip.labels[0].ravel(), minlength=5) / clip.labels[0].size
        objects = int(clip.labels.max())
        counts.add(objects)
        assert set(np.unique(clip.labels[0])) - {0} == set(range(1, objects + 1))
        assert set(np.unique(clip.labels)) <= set(range(objects + 1))
        assert areas[1 : objects + 1].min() >= 0.01
        assert set(clip.attributes) <= NAMES
    assert counts <= {1, 2, 3, 4}
    assert len(counts) > 1


def test_clip_has_the_shape_asked_for():
    clip = render_clip("normal", "train", 3, 5, (96, 72))
    assert clip.images.shape == (5, 96, 72, 3)
    assert clip.labels.shape == (5, 96, 72)
    assert clip.images.dtype == clip.labels.dtype == np.uint8


def test_attributes_are_those_measured_on_the_rendered_frames():
    for index in range(3):
        scene = draw_clip("hard", "test", index, 12, SIZE, 0, Backdrop())
        measured = measure(scene, [frame.traces for frame in render(scene)])
        assert render_clip("hard", "test", index, 12, SIZE).attributes == measured


def test_every_attribute_occurs_and_harder_levels_have_more_of_them():
    found = {level: [render_clip(level, "val", index, 24, SIZE).attributes for index in range(16)] for level in LEVELS}
    assert set().union(*found["normal"]) == NAMES
    counts = [np.mean([len(attributes) for attributes in found[level]]) for level in ("easy", "normal", "hard")]
    assert counts == sorted(counts)


def test_occlusion_attribute_agrees_with_the_label_maps():
    """Rendered once more without what stands in front, a third of some object's pixels comes back."""
    for index in range(20):
        scene = draw_clip("normal", "test", index, 16, SIZE, 0, Backdrop())
        frames = list(render(scene))
        hidden = []
        for body in (body for body in scene.bodies if body.label):
            alone = render(type(scene)(**{**vars(scene), "bodies": (body,)}))
            for frame, free in zip(frames, alone, strict=True):
                whole, seen = free.labels == body.label, frame.labels == body.label
                if whole.sum() >= 0.2 * free.traces[0].amodal:
                    hidden.append(1 - seen.sum() / whole.sum())
        assert ("occlusion" in measure(scene, [frame.traces for frame in frames])) == (max(hidden) >= 0.3)


def test_unknown_difficulty_and_split_are_named_with_the_choices():
    with pytest.raises(InputError, match="got difficulty='mild'; expected one of easy, normal, hard"):
        render_clip("mild", "test", 0, 4, SIZE)
    with pytest.raises(InputError, match="got split='dev'; expected one of train, val, test"):
        render_clip("easy", "dev", 0, 4, SIZE)


def test_level_that_yields_no_fit_scene_says_so(monkeypatch):
    monkeypatch.setattr(synthetic_clip, "_fit", lambda scene, first: False)
    monkeypatch.setattr(synthetic_clip, "ATTEMPTS", 3)
    with pytest.raises(RuntimeError, match=r"no scene of easy/test/0 at \(64, 96\) is fit after 3 attempts"):
        render_clip("easy", "test", 0, 4, SIZE)
