import numpy as np
import pytest
import torch
from PIL import Image

from memvos.decode import Segmenter
from memvos.decode.gate import OracleQuality
from memvos.decode.views import MultiViewSegmenter, View, views
from memvos.errors import InputError
from memvos.model.floors import CopyFirst


def made():
    return Segmenter(CopyFirst(), "first", "cpu", "float32")


def scene(size=(40, 60)):
    frame = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    mask = np.zeros(size, np.uint8)
    mask[8:20, 10:30] = 1
    mask[24:36, 30:50] = 4
    return frame, mask


def test_every_scale_comes_mirrored_too():
    assert views([0.5, 1], flip=True) == [View(0.5), View(0.5, True), View(1.0), View(1.0, True)]
    assert views() == [View()]
    assert views(np.array([0.5, 1.0], np.float32)) == [View(0.5), View(1.0)]


@pytest.mark.parametrize("chosen", [views(flip=True), views([0.5, 1, 1.5]), views([1.3], flip=True)])
def test_a_mask_that_is_copied_stays_where_it_is_in_every_view(chosen):
    segmenter = MultiViewSegmenter(made, chosen)
    frame, mask = scene()
    first = segmenter.step(frame, mask)
    assert np.array_equal(first.labels, mask)
    second = segmenter.step(frame)
    assert second.labels.shape == mask.shape
    assert (second.labels != mask).mean() < 0.04  # edges only
    assert set(np.unique(second.labels)) == {0, 1, 4}
    assert set(second.probabilities) == {1, 4}


@pytest.mark.parametrize("flip", [False, True])
def test_an_object_of_a_pixel_is_kept_in_a_smaller_view(flip):
    frame, mask = scene()
    for row, column in ((2, 3), (3, 2), (37, 55), (38, 58)):
        mask[row, column] = 9
        shown = View(0.3, flip).show_masks({1: mask == 1, 9: mask == 9})
        places = np.argwhere(shown[9] if not flip else shown[9][:, ::-1])
        assert abs(places / 0.3 - (row, column)).max() < 4
        step = MultiViewSegmenter(made, [View(0.3, flip)]).step(frame, mask)
        assert step.labels[row, column] == 9
        assert set(step.probabilities) == {1, 4, 9}
        mask[row, column] = 0


@pytest.mark.parametrize("view", [View(flip=True), View(0.5, flip=True), View(2.0, flip=True)])
@pytest.mark.parametrize("size", [(4, 1), (1, 4), (1, 1)])
def test_a_frame_of_a_pixel_is_mirrored_too(size, view):
    mask = np.ones(size, np.uint8)
    segmenter = MultiViewSegmenter(made, [view])
    for given in (mask[:, ::-1], None):
        step = segmenter.step(np.zeros((*size, 3), np.uint8)[:, ::-1], given)
        assert np.array_equal(step.labels, mask)


def test_one_plain_view_is_the_segmenter_itself():
    frame, mask = scene()
    several, alone = MultiViewSegmenter(made, views()), made()
    for masks in (mask, None):
        ours, theirs = several.step(frame, masks), alone.step(frame, masks)
        assert np.array_equal(ours.labels, theirs.labels)
        assert ours.quality == theirs.quality
    several.reset()
    with pytest.raises(InputError, match="comes before any mask"):
        several.step(frame)


def test_large_frames_are_scaled_down_before_the_views():
    seen = []

    class Spy(CopyFirst):
        def encode(self, image):
            seen.append(tuple(image.shape[2:]))

        def memorize(self, query, masks):
            query.features  # noqa: B018
            return super().memorize(query, masks)

    segmenter = MultiViewSegmenter(lambda: Segmenter(Spy(), "first", "cpu", "float32"), views([1, 1.5]), short_side=20)
    frame, mask = scene()
    assert segmenter.step(frame, mask).labels.shape == (40, 60)
    assert seen == [(20, 30), (30, 45)]


def test_scales_that_are_none_are_refused():
    for scales in ([], [0], [-1, 1], [float("inf")], [float("nan")], np.array([]), "1", 1.0, None):
        with pytest.raises(InputError, match="expected a list of numbers above 0"):
            views(scales)


def test_mirrored_is_true_or_false():
    with pytest.raises(InputError, match="expected flip=true or flip=false, got 'no'"):
        views(flip="no")


def test_frames_are_taken_as_a_segmenter_takes_them():
    frame, mask = scene()
    chosen, expected = views([0.5]), MultiViewSegmenter(made, views([0.5])).step(frame, mask).labels
    for same in (torch.from_numpy(frame), Image.fromarray(frame)):
        assert np.array_equal(MultiViewSegmenter(made, chosen).step(same, mask).labels, expected)
    with pytest.raises(InputError, match=r"expected a frame as uint8 RGB \(H, W, 3\), got float64 \(40, 60, 3\)"):
        MultiViewSegmenter(made, chosen).step(frame / 255, mask)


def test_masks_that_overlap_are_taken_as_a_segmenter_takes_them():
    frame = np.zeros((64, 64, 3), np.uint8)
    small, large = np.zeros((64, 64), bool), np.ones((64, 64), bool)
    small[11:14, 11:14] = True
    large[12, 12] = False  # of the small one a single pixel is left
    segmenter = MultiViewSegmenter(made, views([1.0, 0.5]))
    labels = segmenter.step(frame, {1: small, 2: large}).labels
    assert np.argwhere(labels == 1).tolist() == [[12, 12]]
    hidden = MultiViewSegmenter(made, views([1.0, 0.5]))
    with pytest.raises(InputError, match="hidden by masks given after it"):
        hidden.step(frame, {1: small, 2: np.ones((64, 64), bool)})
    assert np.array_equal(hidden.step(frame, {1: small}).labels, small)  # no view was left behind


def test_an_object_for_which_a_view_has_no_pixel_is_told_before_any_view_goes_on():
    frame, mask = scene()
    segmenter = MultiViewSegmenter(made, views([1, 0.02]))
    with pytest.raises(
        InputError, match=r"of object \d, at frame 0, is lost in the working size, 1×1 pixels; choose a"
    ):
        segmenter.step(frame, mask)
    assert segmenter.step(frame, mask == 1).time == 0


def test_given_objects_have_exactly_the_pixels_of_their_masks():
    frame, stripes = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), bool)
    stripes[::3, 10:21] = True
    first = MultiViewSegmenter(made, views([0.5])).step(frame, {1: stripes})
    assert np.array_equal(first.labels, stripes)
    assert np.array_equal(first.probabilities[1], stripes)


def test_quality_is_the_mean_of_the_views_that_scored(painted, paint):
    rule = {"every": 2, "beta": None, "keep_previous": False}
    sigmas = iter([0.9, 0.1])  # what the first view rejects in frame 2, the second stores, and is not asked for frame 3
    segmenter = MultiViewSegmenter(
        lambda: Segmenter(painted, {**rule, "sigma": next(sigmas)}, "cpu", "float32", score_all=False), views([1, 1])
    )
    box = np.zeros((16, 16), np.uint8)
    box[4:12, 4:12] = 1
    frames = [paint((16, 16), {0: (4, 12, 4, 12)}, quality=quality) for quality in (1.0, 0.5, 0.5, 0.5)]
    steps = [segmenter.step(frame, None if segmenter.ids else box) for frame in frames]
    assert [step.quality.get(1) for step in steps[1:]] == [
        None,
        pytest.approx(0.5, abs=3e-3),
        pytest.approx(0.5, abs=3e-3),
    ]


def oracle(truth=None):
    memory = {"every": 1, "sigma": 0.9, "beta": None}
    return lambda: Segmenter(CopyFirst(), memory, "cpu", "float32", gate=OracleQuality(truth))


@pytest.mark.parametrize("view", [View(flip=True), View(0.5), View(1.5, flip=True)])
def test_every_view_is_shown_the_truth_of_which_the_gate_is_asked_once(view):
    frame, mask = scene()
    asked = []
    segmenter = MultiViewSegmenter(oracle(lambda time: asked.append(time) or mask), [view, View()])
    steps = [segmenter.step(frame, mask), segmenter.step(frame)]
    assert [step.decision.score for step in steps] == pytest.approx([1, 1])  # the mask is copied: no pixel is wrong
    assert asked == [0, 1]


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, lambda mask: {1: mask == 1, 4: mask == 4}])
def test_truth_is_taken_as_a_segmenter_takes_it(kind):
    frame, mask = scene()
    segmenter = MultiViewSegmenter(oracle(), [View(0.5, flip=True)])
    segmenter.step(frame, mask)
    assert segmenter.step(frame, truth=kind(mask)).decision.score == pytest.approx(1)
    with pytest.raises(InputError, match=r"the true labels.* in the size of the frame, 60×40 pixels, got 60×20"):
        segmenter.step(frame, truth=kind(mask[:20]))
    assert not segmenter.step(frame).stored  # no truth, no score


def test_the_last_frame_is_memorised_by_no_view():
    frame, mask = scene()
    segmenter = MultiViewSegmenter(made, views([1, 0.5]))
    segmenter.step(frame, mask)
    assert set(segmenter.step(frame).quality) == {1, 4}
    assert segmenter.step(frame, last=True).quality == {}


def test_a_frame_that_failed_in_some_of_the_views_ends_the_video():
    failing = set()

    class Failing(CopyFirst):
        def segment(self, query, memory, previous):
            if query.image.shape[3] in failing:
                raise MemoryError
            return super().segment(query, memory, previous)

    frame, mask = scene()
    segmenter = MultiViewSegmenter(lambda: Segmenter(Failing(), "first", "cpu", "float32"), views([1, 0.5]))
    segmenter.step(frame, mask)
    for width in (60, 30):  # where the first view fails none has gone on
        failing.add(width)
        with pytest.raises(MemoryError):
            segmenter.step(frame)
        failing.clear()
    with pytest.raises(InputError, match=r"frame 1 failed in some of the views, .*; call reset\(\)"):
        segmenter.step(frame)
    segmenter.reset()
    assert np.array_equal(segmenter.step(frame, mask).labels, mask)


def test_frames_of_another_size_are_refused_in_their_own():
    frame, mask = scene()
    segmenter = MultiViewSegmenter(made, views([1, 0.5]), short_side=20)
    segmenter.step(frame, mask)
    with pytest.raises(InputError, match="frame 1 is 120×80 pixels, the frames before are 60×40; resize it, or call"):
        segmenter.step(np.tile(frame, (2, 2, 1)))
    assert segmenter.step(frame).time == 1
    segmenter.reset()
    assert segmenter.step(np.tile(frame, (2, 2, 1)), np.tile(mask, (2, 2))).labels.shape == (80, 120)
