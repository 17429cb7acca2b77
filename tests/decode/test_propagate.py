from unittest.mock import Mock

import numpy as np
import pytest
import torch

import memvos
from memvos.decode.gate import OracleQuality
from memvos.decode.propagate import Segmenter
from memvos.decode.sizes import FrameSize
from memvos.errors import InputError
from memvos.memory.storage import FrameStore

SIZE = (18, 23)  # padded to 20×24
BOX = (4, 12, 4, 12)
OTHER = (6, 16, 14, 22)


def label_map(boxes):
    labels = np.zeros(SIZE, np.uint8)
    for key, (top, bottom, left, right) in boxes.items():
        labels[top:bottom, left:right] = key
    return labels


def stepper(model, memory="first_previous", **more):
    return Segmenter(model, memory, device="cpu", precision="float32", **more)


def test_a_step_gives_labels_probabilities_quality_and_whether_it_was_stored(painted, paint):
    segmenter = stepper(painted)
    first = segmenter.step(paint(SIZE, {0: BOX}, quality=0.6), label_map({7: BOX}))
    assert np.array_equal(first.labels, label_map({7: BOX}))
    assert first.stored
    second = segmenter.step(paint(SIZE, {0: OTHER}, quality=0.4))
    assert np.array_equal(second.labels, label_map({7: OTHER}))
    assert second.labels.dtype == np.uint8
    assert (second.time, second.stored) == (1, False)
    assert list(second.probabilities) == [7]
    assert second.probabilities[7].shape == SIZE
    assert second.probabilities[7].dtype == np.float32
    assert np.array_equal(second.probabilities[7] > 0.5, second.labels == 7)
    assert second.quality == {7: pytest.approx(0.4, abs=0.01)}


def test_ids_keep_their_gaps(painted, paint):
    segmenter = stepper(painted)
    frame = paint(SIZE, {0: BOX, 1: OTHER})
    segmenter.step(frame, label_map({3: BOX, 200: OTHER}))
    assert np.array_equal(segmenter.step(frame).labels, label_map({3: BOX, 200: OTHER}))


def test_results_come_in_the_frames_size_when_it_is_scaled_down(painted, paint):
    segmenter = stepper(painted, short_side=9)
    segmenter.step(paint(SIZE, {0: BOX}), label_map({1: BOX}))
    step = segmenter.step(paint(SIZE, {0: BOX}))
    assert step.labels.shape == step.probabilities[1].shape == SIZE
    assert ((step.labels == 1) == (label_map({1: BOX}) == 1)).mean() > 0.9


def test_given_masks_keep_their_pixels_when_frames_are_scaled_down(painted, paint):
    segmenter = stepper(painted, short_side=9)
    given = label_map({1: (3, 12, 5, 12), 4: (11, 16, 15, 22)})
    first = segmenter.step(paint(SIZE, {0: BOX}), given)
    assert np.array_equal(first.labels, given)
    corrected = segmenter.step(paint(SIZE, {0: BOX, 1: OTHER}), {4: given == 4})
    assert np.array_equal(corrected.labels == 4, given == 4)
    assert np.array_equal(corrected.probabilities[4], given == 4)
    assert (corrected.labels == 1).any()


def test_an_object_hidden_by_another_given_mask_is_told(painted, paint):
    segmenter, box = stepper(painted), label_map({1: BOX}) == 1
    with pytest.raises(InputError, match="first mask of object 1, at frame 0, is hidden by masks given after it"):
        segmenter.step(paint(SIZE, {0: BOX}), {1: box, 2: box})
    assert segmenter.time == 0


def test_an_object_for_which_the_working_size_has_no_pixel_is_told(painted, paint):
    segmenter = stepper(painted, short_side=1)
    with pytest.raises(
        InputError, match=r"object 4, at frame 0, is lost in the working size, 1×1 pixels; choose a larg"
    ):
        segmenter.step(paint(SIZE, {0: BOX}), label_map({1: BOX, 4: OTHER}))
    assert segmenter.time == 0


def test_an_id_that_no_mask_file_holds_leaves_the_segmenter_as_it_was(painted, paint):
    segmenter = stepper(painted)
    segmenter.step(paint(SIZE, {0: BOX}), label_map({1: BOX}))
    with pytest.raises(InputError, match="integers from 1 to 65535, got 2147483648"):
        segmenter.step(paint(SIZE, {0: BOX}), label_map({1: BOX}).astype(np.int64) * 2**31)
    assert (segmenter.ids, segmenter.step(paint(SIZE, {0: BOX})).time) == ([1], 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigma": -1}, "memory: expected sigma as a number from 0"),
        ({"memory": {"foo": 1}}, "unknown option 'foo' of the memory; known: every, sigma"),
        ({"memory": None}, "unknown memory preset None; known: all, every_5"),
        ({"short_side": 0}, "short_side as a whole number from 1"),
        ({"device": "meta"}, "unknown device 'meta'; use auto, cpu"),
        ({"device": None}, "unknown device None"),
        ({"gate": "oracle"}, r"expected gate as an object that is called, e\.g\. OracleQuality\(\), got 'oracle'"),
        ({"gate": OracleQuality}, r"expected gate as an object that is called, e\.g\. OracleQuality\(\), got <class"),
        ({"corruption": 0.5}, r"expected corruption as an object .* MaskCorruption\(0\.5\), got 0\.5"),
        ({"prior": "plain"}, r"expected prior as an object .* DoubleSoftmaxPrior\(\), got 'plain'"),
        ({"score_all": "no"}, "expected score_all=true or score_all=false, got 'no'"),
    ],
)
def test_settings_that_cannot_be_are_refused(painted, settings, message):
    with pytest.raises(InputError, match=message):
        Segmenter(painted, **{"device": "cpu", **settings})


def test_previous_probabilities_are_shown_to_the_model(painted, paint):
    segmenter = stepper(painted)
    first = segmenter.step(paint(SIZE, {0: BOX}), label_map({1: BOX}))
    segmenter.step(paint(SIZE, {0: BOX}))
    previous = next(call[2] for call in painted.seen if call[0] == "segment")
    assert previous.shape == (1, 1, 20, 24)
    assert np.allclose(previous[0, 0, 1:19, 0:23].numpy(), first.probabilities[1])


def test_an_object_can_enter_at_any_frame(painted, paint):
    segmenter = stepper(painted)
    frame = paint(SIZE, {0: (0, 18, 0, 23), 1: OTHER})  # the first object is predicted everywhere
    segmenter.step(frame, label_map({1: BOX}))
    entry = segmenter.step(frame, label_map({5: OTHER}))
    assert (entry.labels == 5).sum() == (label_map({5: OTHER}) == 5).sum()  # the new mask has its pixels
    assert (entry.labels[label_map({5: OTHER}) == 0] == 1).all()  # the old object is predicted elsewhere
    assert entry.stored
    assert set(entry.quality) == {1, 5}
    painted.seen.clear()
    segmenter.step(frame)
    valid = next(call[1] for call in painted.seen if call[0] == "segment")
    assert valid.tolist() == [[[True, True], [False, True]]]  # the new object may not read the first frame


def test_a_known_object_can_be_corrected_at_any_frame(painted, paint):
    segmenter = stepper(painted)
    frame = paint(SIZE, {0: BOX, 1: OTHER})
    segmenter.step(frame, label_map({1: BOX, 2: OTHER}))
    moved = (0, 4, 0, 4)
    step = segmenter.step(frame, {1: label_map({1: moved}) == 1})
    assert np.array_equal(step.labels, label_map({1: moved, 2: OTHER}))
    assert segmenter.bank.times == (0, 1)


def test_an_object_can_be_declared_gone(painted, paint):
    segmenter = stepper(painted)
    frame = paint(SIZE, {0: BOX, 1: OTHER})
    segmenter.step(frame, label_map({1: BOX, 2: OTHER}))
    step = segmenter.step(frame, {1: np.zeros(SIZE, bool)})
    assert np.array_equal(step.labels, label_map({2: OTHER}))


def test_nothing_is_predicted_where_every_object_is_given(painted, paint):
    segmenter = stepper(painted)
    for _ in range(2):
        segmenter.step(paint(SIZE, {0: BOX}), label_map({1: BOX}))
    assert not any(call[0] == "segment" for call in painted.seen)


def test_last_frame_is_scored_unless_it_is_declared_the_last(painted, paint):
    segmenter = stepper(painted)
    frame = paint(SIZE, {0: BOX}, quality=0.5)
    segmenter.step(frame, label_map({1: BOX}))
    assert segmenter.step(frame).quality
    calls = len(painted.seen)
    assert segmenter.step(frame, last=True).quality == {}
    assert [call[0] for call in painted.seen[calls:]] == ["segment"]
    assert segmenter.step(frame, label_map({1: BOX}), last=True).stored  # masks that are given are kept in any case


def test_frames_the_memory_does_not_want_need_not_be_memorised(painted, paint):
    segmenter = stepper(painted, "first", score_all=False)
    frame = paint(SIZE, {0: BOX})
    segmenter.step(frame, label_map({1: BOX}))
    step = segmenter.step(frame)
    assert step.quality == {}
    assert sum(call[0] == "memorize" for call in painted.seen) == 1


@pytest.mark.parametrize("score_all", [True, False])
def test_the_first_prediction_is_the_reference_whether_or_not_all_are_scored(painted, paint, score_all):
    rule = {"every": 3, "sigma": 0.8, "beta": None, "keep_previous": False, "reference": "first_predicted"}
    segmenter = stepper(painted, rule, score_all=score_all)
    qualities = [1.0, 1.0, 0.5, 0.5, 0.5, 1.0]
    frames = [paint((20, 24), {0: BOX}, quality=quality) for quality in qualities]  # without padding
    given = np.pad(label_map({1: BOX}), ((0, 2), (0, 1)))
    steps = [segmenter.step(frame, None if time else given) for time, frame in enumerate(frames)]
    assert [step.time for step in steps if step.stored] == [0, 5]  # frame 3 has half the score of frame 1


def test_changing_a_result_does_not_change_what_follows(nearest, clip):
    frames, labels = clip(4, 32, 40)
    mine, other = stepper(nearest), stepper(nearest)
    for time, frame in enumerate(frames):
        step, expected = (each.step(frame, labels[0] if time == 0 else None) for each in (mine, other))
        assert np.array_equal(step.probabilities[1], expected.probabilities[1])
        step.probabilities[1][:] = 0


def test_a_moving_object_is_followed(nearest, clip):
    frames, labels = clip(20, 40, 48)
    segmenter = stepper(nearest, "qdmn")
    for time, frame in enumerate(frames):
        step = segmenter.step(frame, labels[0] if time == 0 else None)
        overlap = ((step.labels == 1) & (labels[time] == 1)).sum() / ((step.labels == 1) | (labels[time] == 1)).sum()
        assert overlap > 0.5


def test_memory_stays_bounded_over_300_frames(nearest, clip):
    frames, labels = clip(300, 16, 16)
    segmenter = stepper(nearest, "qdmn", every=1, beta=6, sigma=None)
    for time, frame in enumerate(frames):
        segmenter.step(frame, labels[0] if time == 0 else None)
        assert len(segmenter.bank) <= 8
    assert segmenter.bank._store.capacity <= 10
    assert segmenter.bank.times[0] == 0


def test_reset_starts_another_video(painted, paint):
    segmenter = stepper(painted)
    segmenter.step(paint(SIZE, {0: BOX}), label_map({7: BOX}))
    segmenter.reset()
    step = segmenter.step(np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), np.uint8))
    assert (step.time, list(step.probabilities)) == (0, [1])


def test_bf16_gives_nearly_the_labels_of_float32(nearest, clip):
    frames, labels = clip(6, 40, 48)
    exact = stepper(nearest)
    half = Segmenter(nearest, "first_previous", device="cpu", precision="bf16")
    for time, frame in enumerate(frames):
        given = labels[0] if time == 0 else None
        assert (exact.step(frame, given).labels == half.step(frame, given).labels).mean() > 0.97


def test_a_first_frame_without_masks_is_refused(painted, paint):
    with pytest.raises(InputError, match="frame 0 comes before any mask; give masks with the first frame"):
        stepper(painted).step(paint(SIZE, {0: BOX}))


def test_a_new_object_with_an_empty_mask_is_refused(painted, paint):
    with pytest.raises(InputError, match="first mask of object 4, at frame 0, is empty"):
        stepper(painted).step(paint(SIZE, {0: BOX}), {4: np.zeros(SIZE, bool)})


def test_bad_input_in_the_middle_leaves_the_segmenter_as_it_was(nearest, clip):
    frames, labels = clip(6, 32, 40)
    mine, other = stepper(nearest), stepper(nearest)
    mine.step(frames[0], labels[0])
    other.step(frames[0], labels[0])
    with pytest.raises(InputError, match=r"frame 1 is 20×32 pixels, the frames before are 40×32; resize it, or call"):
        mine.step(frames[1][:, :20])
    with pytest.raises(InputError, match="expected a frame as uint8 RGB"):
        mine.step(frames[1].astype(np.float32))
    with pytest.raises(InputError, match="the given mask in the size of the frame"):
        mine.step(frames[1], labels[1][:5])
    with pytest.raises(InputError, match="the first mask of object 9"):
        mine.step(frames[1], {9: np.zeros((32, 40), bool)})
    for frame in frames[1:]:
        step, expected = mine.step(frame), other.step(frame)
        assert step.time == expected.time
        assert np.array_equal(step.probabilities[1], expected.probabilities[1])


def test_a_model_that_fails_leaves_the_segmenter_as_it_was(painted, paint, monkeypatch):
    segmenter, frame = stepper(painted), paint(SIZE, {0: BOX, 1: OTHER})

    def full(*arguments):
        raise RuntimeError("out of memory")

    def step(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(type(painted), "memorize", full)
            with pytest.raises(RuntimeError, match="out of memory"):
                segmenter.step(*arguments)

    step(np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), np.uint8))
    segmenter.step(frame, label_map({1: BOX}))
    step(frame, label_map({5: OTHER}))
    assert segmenter.ids == [1]
    assert np.array_equal(segmenter.step(frame).labels, label_map({1: BOX}))


def test_a_frame_that_fails_in_its_own_size_or_in_the_memory_may_come_again(painted, paint, monkeypatch):
    frame = paint(SIZE, {0: BOX, 1: OTHER})
    segmenter, other = (
        stepper(painted, memory={"every": 1, "beta": 1}),
        stepper(painted, memory={"every": 1, "beta": 1}),
    )
    for each in (segmenter, other):
        each.step(frame, label_map({1: BOX}))
    for home, name in ((FrameSize, "restore"), (FrameStore, "write")):
        with monkeypatch.context() as patch:
            patch.setattr(home, name, Mock(side_effect=torch.OutOfMemoryError("out of memory")))
            with pytest.raises(torch.OutOfMemoryError):
                segmenter.step(frame)
    for _ in range(2):
        step, expected = segmenter.step(frame), other.step(frame)
        assert step.time == expected.time
        assert np.array_equal(step.labels, expected.labels)
    assert segmenter.bank.times == other.bank.times


def test_the_name_of_a_model_is_not_a_model():
    with pytest.raises(
        InputError, match=r"expected a network as model, got a str; load one, e\.g\. memvos\.load_model"
    ):
        Segmenter("qdmn")


def test_segmenter_is_public():
    assert memvos.Segmenter is Segmenter


def test_no_gradient_is_kept(nearest, clip):
    frames, labels = clip(2, 32, 40)
    segmenter = stepper(nearest)
    for time, frame in enumerate(frames):
        segmenter.step(frame, labels[0] if time == 0 else None)
    assert not segmenter.bank.read().value.requires_grad
    assert all(parameter.requires_grad for parameter in nearest.parameters())
    assert torch.is_grad_enabled()


def test_qdmn_goes_through_the_stepper_with_late_objects_and_resumes(clip, tmp_path):
    torch.manual_seed(0)
    trunk = {"depth": 18, "width": 32, "output_stride": 8}
    fresh = {"_target_": "memvos.model.backbone.ResNet", "_partial_": True, **trunk}
    model = memvos.load_model("qdmn_small", backbone=fresh)  # scores that no shipped weights can change
    frames, labels = clip(8, 40, 56)
    corner = np.zeros((40, 56), bool)
    corner[:10, 40:] = True
    mine, other = (stepper(model, "qdmn", every=2, beta=1, top_k=20, short_side=32) for _ in range(2))
    for time, frame in enumerate(frames):
        step = mine.step(frame, {0: labels[0], 3: {4: corner}}.get(time))
        assert step.labels.shape == (40, 56)
        assert all(0 <= score <= 1 for score in step.quality.values())
        if time == 4:
            mine.save(tmp_path / "memory.pt")
            other.load(tmp_path / "memory.pt")
        if time > 4:
            expected = other.step(frame)
            assert all(np.array_equal(step.probabilities[key], expected.probabilities[key]) for key in (1, 4))
    assert mine.bank.times[:2] == (0, 3)
