import math

import pytest
import torch

from memvos.losses import BootstrappedCrossEntropy


@pytest.mark.parametrize(
    ("step", "fraction"), [(0, 1.0), (20_000, 1.0), (45_000, 0.575), (70_000, 0.15), (150_000, 0.15)]
)
def test_kept_fraction_follows_the_published_schedule(step, fraction):
    assert BootstrappedCrossEntropy().kept_fraction(step) == pytest.approx(fraction)


def logits_with_losses(*losses):
    """One clip of len(losses) pixels, label 0, whose cross-entropies are `losses`: logit gap log(exp(loss) - 1)."""
    gap = torch.tensor([math.log(math.expm1(loss)) for loss in losses])
    logits = torch.stack([torch.zeros_like(gap), gap]).view(1, 2, 1, -1)
    return logits, torch.zeros(1, 1, len(losses), dtype=torch.int64)


def test_every_pixel_counts_before_the_start():
    logits, labels = logits_with_losses(1.0, 2.0, 3.0, 4.0)
    loss = BootstrappedCrossEntropy(start=10, end=20, keep=0.5)
    assert loss(logits, labels, step=9).item() == pytest.approx(2.5)


def test_only_the_hardest_pixels_count_after_the_end():
    logits, labels = logits_with_losses(1.0, 4.0, 3.0, 2.0)
    loss = BootstrappedCrossEntropy(start=10, end=20, keep=0.5)
    assert loss(logits, labels, step=20).item() == pytest.approx(3.5)
    assert loss(logits, labels, step=15).item() == pytest.approx(3.0)  # 0.75 of four pixels: 4, 3 and 2


def test_each_clip_keeps_its_own_hardest_pixels():
    easy, labels = logits_with_losses(1.0, 2.0)
    hard, _ = logits_with_losses(5.0, 7.0)
    loss = BootstrappedCrossEntropy(start=0, end=0, keep=0.5)
    assert loss(torch.cat([easy, hard]), labels.repeat(2, 1, 1)).item() == pytest.approx((2.0 + 7.0) / 2)


def test_at_least_one_pixel_counts():
    logits, labels = logits_with_losses(1.0, 4.0)
    assert BootstrappedCrossEntropy(0, 0, 0.01)(logits, labels).item() == pytest.approx(4.0)


def test_an_empty_slot_with_a_very_negative_logit_changes_nothing():
    logits, labels = logits_with_losses(1.0, 2.0)
    padded = torch.cat([logits, torch.full_like(logits[:, :1], -1e4)], dim=1)
    assert BootstrappedCrossEntropy()(padded, labels).item() == pytest.approx(1.5)


def test_bfloat16_logits_are_scored_in_float32():
    logits, labels = logits_with_losses(1.0, 2.0)
    assert BootstrappedCrossEntropy()(logits.bfloat16(), labels).dtype == torch.float32


@pytest.mark.parametrize("keep", [0.0, -0.5, 1.5])
def test_a_kept_fraction_outside_its_range_is_refused(keep):
    with pytest.raises(ValueError, match=r"fraction of pixels that count, in \(0, 1\], got"):
        BootstrappedCrossEntropy(keep=keep)


def test_steps_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="0 <= start <= end, got start=5, end=4"):
        BootstrappedCrossEntropy(start=5, end=4)


def test_labels_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"expected labels \(B, H, W\) = \(1, 1, 2\).*got \(1, 2, 2\)"):
        BootstrappedCrossEntropy()(torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 2, dtype=torch.int64))
