from dataclasses import replace

import pytest
import torch

from memvos.lit.unroll import unroll


def test_every_frame_after_the_first_is_segmented(tiny, batch):
    frames = unroll(tiny, batch)
    assert [frame.time for frame in frames] == [1, 2]
    assert frames[0].logits.shape == (2, 3, 16, 16)
    assert frames[0].probabilities.shape == (2, 2, 16, 16)
    assert frames[1].quality.shape == (2, 2)


def test_a_frame_reads_all_frames_before_it_and_its_prior_is_the_prediction_before(tiny, batch, monkeypatch):
    seen = []
    segment = type(tiny).segment

    def spy(self, query, memory, previous):
        seen.append((memory.key.shape[3], previous))
        return segment(self, query, memory, previous)

    monkeypatch.setattr(type(tiny), "segment", spy)
    frames = unroll(tiny, batch)
    assert [count for count, _ in seen] == [1, 2]
    assert torch.equal(seen[0][1], batch.masks[:, 0])
    assert torch.equal(seen[1][1], frames[0].probabilities)
    assert not seen[1][1].requires_grad


def test_true_masks_stand_in_for_predictions_where_teachers_force(tiny, batch, monkeypatch):
    seen, memorised = [], []
    segment, memorize = type(tiny).segment, type(tiny).memorize
    monkeypatch.setattr(type(tiny), "segment", lambda net, *rest: seen.append(rest[2]) or segment(net, *rest))
    monkeypatch.setattr(type(tiny), "memorize", lambda net, *rest: memorised.append(rest[1]) or memorize(net, *rest))
    first = unroll(tiny, batch, forced=torch.tensor([[False, False], [True, False], [False, False]]))[0]
    for masks in (seen[1], memorised[1], first.shown):
        assert torch.equal(masks[0], batch.masks[0, 1])
        assert torch.equal(masks[1], first.probabilities[1])


def test_gradient_flows_through_the_memorised_prediction(tiny, batch):
    first, second = unroll(tiny, batch)
    (gradient,) = torch.autograd.grad(second.logits[:, :2].sum(), first.probabilities)
    assert gradient.abs().sum() > 0


def test_an_empty_slot_gets_no_probability(tiny, batch):
    frame = unroll(tiny, batch)[0]
    assert frame.probabilities[1, 1].max() == 0
    assert frame.probabilities[0, 1].min() > 0


def test_the_last_frame_is_memorised_only_for_its_score(tiny, batch):
    frames = unroll(tiny, batch, score_last=False)
    assert frames[0].quality is not None
    assert frames[1].quality is None


def test_clips_of_any_length_are_unrolled(tiny, batch):
    longer = replace(
        batch, frames=batch.frames.repeat(1, 2, 1, 1, 1), masks=batch.masks.repeat(1, 2, 1, 1, 1), times=None
    )
    assert len(unroll(tiny, longer)) == 5


def test_a_single_frame_is_refused(tiny, batch):
    with pytest.raises(ValueError, match="at least 2 frames, the first with its masks, got T=1"):
        unroll(tiny, replace(batch, frames=batch.frames[:, :1], masks=batch.masks[:, :1]))
