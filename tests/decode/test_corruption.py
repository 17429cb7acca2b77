from time import process_time

import numpy as np
import pytest
import torch

from memvos.decode.corruption import _FAILURES, KINDS, MaskCorruption, NoCorruption
from memvos.decode.gate import OracleQuality
from memvos.decode.propagate import Segmenter

HEIGHT, WIDTH = 48, 64


def disc(row, column, radius):
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    return ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2).float()


@pytest.fixture
def one():
    return disc(20, 24, 8).view(1, 1, HEIGHT, WIDTH)


@pytest.fixture
def two():
    return torch.stack([disc(20, 16, 8), disc(28, 48, 6)])[None]


def iou(a, b):
    a, b = a > 0.5, b > 0.5
    return ((a & b).sum() / (a | b).sum()).item()


def test_rate_is_the_share_of_frames_that_are_corrupted(one):
    hits = sum(MaskCorruption(0.3, seed=1)(one, time, salt=5) is not None for time in range(600))
    assert hits / 600 == pytest.approx(0.3, abs=0.06)  # three deviations


def test_extreme_rates_spare_all_or_none(one):
    assert all(MaskCorruption(0.0)(one, time, 0) is None for time in range(50))
    assert all(MaskCorruption(1.0)(one, time, 0) is not None for time in range(50))
    assert NoCorruption()(one, 0, 0) is None


def test_same_seed_frame_and_video_fail_the_same_way(one):
    first, again = (MaskCorruption(1.0, seed=3)(one, 7, salt=11) for _ in range(2))
    assert torch.equal(first, again)
    others = [MaskCorruption(1.0, seed=3)(one, 7, salt=salt) for salt in range(12, 20)]
    assert not all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("kind", KINDS)
def test_every_failure_spoils_the_mask_and_stays_a_probability(one, two, kind):
    for clean in (one[0], two[0]):
        for seed in range(20):
            failed = _FAILURES[kind](clean, 0, np.random.default_rng(seed))
            assert failed.shape == clean[0].shape
            assert 0 <= failed.min() <= failed.max() <= 1
            assert iou(failed, clean[0]) < 0.7


def test_shift_is_about_the_objects_size(one):
    for seed in range(20):
        moved = _FAILURES["shifted"](one[0], 0, np.random.default_rng(seed))
        centre = torch.nonzero(moved > 0.5).float().mean(dim=0)
        distance = (centre - torch.tensor([20.0, 24.0])).norm()
        assert 0.7 * 17 <= distance <= 1.3 * 17  # the disc is 17 pixels wide


def test_swap_takes_another_object_or_a_background_blob_of_the_same_area(one, two):
    random = np.random.default_rng(0)
    assert torch.equal(_FAILURES["swapped"](two[0], 0, random), two[0, 1])
    blobs = [_FAILURES["swapped"](one[0], 0, np.random.default_rng(seed)) for seed in range(30)]
    assert max(iou(blob, one[0]) for blob in blobs) < 0.01
    assert max(blob.sum() for blob in blobs) == pytest.approx(one.sum().item(), rel=0.1)


def test_half_of_the_mask_is_lost(one):
    for seed in range(20):
        kept = _FAILURES["half_lost"](one[0], 0, np.random.default_rng(seed))
        assert kept.sum() / one.sum() == pytest.approx(0.5, abs=0.08)
        assert (kept <= one[0]).all()


def test_leak_about_doubles_the_area(one):
    for seed in range(20):
        grown = _FAILURES["leaked"](one[0], 0, np.random.default_rng(seed))
        assert 1.6 <= (grown > 0.5).sum() / one.sum() <= 2.6
        assert (grown >= one[0]).all()


class Upwards:
    """Random numbers that move everything to the upper edge."""

    def uniform(self, low, high):
        return 1.5 * np.pi


def test_a_mask_that_leaks_out_of_the_frame_and_never_doubles_takes_no_minutes():
    strip = torch.zeros(1, 240, 320)
    strip[0, :60] = 1
    began = process_time()
    assert torch.equal(_FAILURES["leaked"](strip, 0, Upwards()), strip[0])
    assert process_time() - began < 10


def kind_of(slot, time):
    """The failure of an object as its own generator draws it."""
    return KINDS[np.random.default_rng([0, time, 9, slot + 1]).integers(len(KINDS))]


def test_how_an_object_fails_does_not_depend_on_whether_another_is_visible():
    two = torch.stack([disc(6, 6, 2), disc(34, 50, 5)])[None]  # so far apart that no failure of one reaches the other
    alone = two.clone()
    alone[0, 0] = 0
    seen = set()
    for time in range(40):
        both, second = (MaskCorruption(1.0)(masks, time, salt=9) for masks in (two, alone))
        assert not second[0, 0].any()
        if kind_of(0, time) == "swapped":  # the first object then lies on the second
            continue
        if kind_of(1, time) == "swapped":
            assert torch.equal(both[0, 1] > 0, two[0, 0] > 0)
            assert second[0, 1].sum() == pytest.approx(two[0, 1].sum().item(), rel=0.1)  # a blob of its own area
        else:
            assert torch.equal(both[0, 1], second[0, 1])
        seen.add(kind_of(1, time))
    assert seen == set(KINDS)


def test_a_swap_has_the_same_partner_whoever_else_is_visible():
    masks = torch.stack([disc(10, 10, 4), disc(30, 50, 5), disc(36, 12, 6)])
    fewer = masks.clone()
    fewer[2] = 0
    for seed in range(20):
        all_seen, two_seen = (_FAILURES["swapped"](m, 0, np.random.default_rng(seed)) for m in (masks, fewer))
        partner = 1 if torch.equal(all_seen, masks[1]) else 2
        assert torch.equal(all_seen, masks[partner])
        assert torch.equal(two_seen, masks[1]) == (partner == 1)  # the other is not seen: a blob in its place


def test_a_blobs_place_is_a_ratio_of_the_frame_and_the_same_for_another_mask(one):
    larger = disc(20, 24, 10)[None]
    for seed in range(20):
        blobs = [_FAILURES["swapped"](m, 0, np.random.default_rng(seed)) for m in (one[0], larger)]
        assert iou(*blobs) > 0.3


def test_corrupted_objects_never_sum_to_more_than_one(two):
    for time in range(40):
        assert MaskCorruption(1.0, seed=2)(two, time, 0).sum(dim=1).max() <= 1 + 1e-6


def test_objects_that_are_not_visible_stay_as_they_are(two):
    two[0, 1] = 0.1
    corrupted = MaskCorruption(1.0)(two, 3, 0)
    assert torch.allclose(corrupted[0, 1].clamp(max=0.05), torch.tensor(0.05))


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(ValueError, match=rf"corruption rate in \[0, 1\], got {rate}"):
        MaskCorruption(rate)


def play(model, clip, gate, sigma, rate):
    frames, truth = clip(25, 40, 48)
    memory = {"every": 2, "sigma": sigma, "beta": None}
    corruption = MaskCorruption(rate, seed=1)
    stepper = Segmenter(model, memory, device="cpu", precision="float32", gate=gate, corruption=corruption)
    return [stepper.step(f, truth[0] if t == 0 else None, truth=truth[t]) for t, f in enumerate(frames)]


def test_without_a_gate_corrupted_frames_are_stored_and_the_temporary_entry_stays_clean(painted, clip):
    frames, truth = clip(25, 40, 48)
    stepper = Segmenter(painted, "all", device="cpu", precision="float32", corruption=MaskCorruption(1.0))
    for time in range(3):
        step = stepper.step(frames[time], truth[0] if time == 0 else None)
        assert step.corrupted == (time > 0)
        assert step.stored
    memory = stepper.bank.read()
    assert stepper.bank.times == (0, 1, 2, 2)
    clean = torch.nn.functional.avg_pool2d(torch.from_numpy(step.probabilities[1])[None], 4)
    assert torch.allclose(memory.value[0, 0, 0, 3], clean[0], atol=1e-6)
    assert not torch.allclose(memory.value[0, 0, 0, 2], clean[0], atol=1e-2)


def test_oracle_gate_keeps_corrupted_frames_out(painted, clip):
    steps = play(painted, clip, OracleQuality(), 0.8, 0.5)
    corrupted = [step for step in steps if step.corrupted]
    assert len(corrupted) >= 5
    assert not any(step.stored for step in corrupted)
    assert all(step.stored for step in steps if step.decision.checked and not step.corrupted)


def test_prediction_and_score_that_are_put_out_are_the_clean_ones(painted, clip):
    spoiled = play(painted, clip, OracleQuality(), 0.8, 1.0)
    clean = play(painted, clip, OracleQuality(), 0.8, 0.0)
    for mine, other in zip(spoiled, clean, strict=True):
        assert np.array_equal(mine.probabilities[1], other.probabilities[1])
        assert mine.quality == other.quality
