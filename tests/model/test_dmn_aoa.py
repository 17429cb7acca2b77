"""DMN-AOA as a whole: every row of Table 3, objects together and apart, empty and vanished ones, cached memories."""

from functools import partial

import numpy as np
import pytest
import torch

from memvos.decode.propagate import Segmenter
from memvos.errors import InputError
from memvos.model.aoa import AdaptiveAlignment, MeanCosine, NoAlignment
from memvos.model.backbone import ResNet
from memvos.model.dmn import DynamicMemory, FirstFrameTemplate, SinusoidalPosition
from memvos.model.dmn_aoa import DMNAOA
from memvos.model.frozen import FrozenStatistics
from memvos.model.interface import Memory, Place
from memvos.model.matcher import AlignedMatcher, TemplateDecoder
from memvos.model.matching_layer import BestProposal, DykstraSolver, HungarianSolver, ProjectionSolver, SoftAssignment
from memvos.model.memory_read import MemoryRead
from memvos.model.proposal_sources import NoProposals
from memvos.model.proposals import Proposals
from memvos.model.qam import AcceptAll, QualityHead
from memvos.model.refine_net import CoarseMask, RefineNet
from memvos.model.start import MatchedTemplates

SIZE = 64


def quarters(image, place):
    """A source that proposes the four quarters of the image, and nothing learned."""
    half = torch.tensor([[0.0, 0], [32, 0], [0, 32], [32, 32]])
    boxes = torch.cat([half, half + 32], dim=1)
    return Proposals.join([Proposals.of_image(boxes, torch.ones(4, 28, 28), torch.ones(4))] * len(image))


def nothing(image, place):
    return Proposals.none() if len(image) == 1 else Proposals.join([Proposals.none()] * len(image))


def aligned(alignment=None, solver=None, assignment=None, **options):
    return partial(
        AlignedMatcher,
        alignment=alignment or AdaptiveAlignment(),
        similarity=MeanCosine(),
        solver=solver or ProjectionSolver(10.0, 40),
        assignment=assignment or SoftAssignment(),
        shared_channels=16,
        **options,
    )


def network(**changes) -> DMNAOA:
    torch.manual_seed(0)
    parts = {
        "backbone": partial(ResNet, 18, width=8),
        "proposals": quarters,
        "template": DynamicMemory,
        "matcher": aligned(),
        "refine": partial(RefineNet, width=16),
        "quality": AcceptAll,
        "read": MemoryRead(),
        "level_channels": (8, 8, 16),
        "channels": 32,
        "grid": 6,
    }
    return DMNAOA(**{**parts, **changes}).eval()


ROWS = {
    "F0": {},
    "A1": {"template": FirstFrameTemplate, "matcher": aligned(NoAlignment())},
    "A2": {"matcher": aligned(NoAlignment())},
    "A3": {"template": FirstFrameTemplate},
    "A4": {"template": partial(DynamicMemory, whole_frames=True)},
    "A5": {"matcher": partial(TemplateDecoder, width=16), "proposals": NoProposals()},
    "A6": {"refine": CoarseMask},
    "dmm": {"matcher": aligned(solver=DykstraSolver(), iou_weight=0.3)},
    "hard": {"matcher": aligned(assignment=BestProposal())},
}


def image(seed: int = 0, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def two_masks(batch: int = 1) -> torch.Tensor:
    masks = torch.zeros(batch, 2, SIZE, SIZE)
    masks[:, 0, 4:28, 4:28], masks[:, 1, 36:60, 36:60] = 1, 1
    return masks


def after_two_frames(net, masks=None):
    """The third frame with the memory of the first two."""
    masks = two_masks() if masks is None else masks
    records = [net.memorize(net.query(image(t), Place(t)), masks) for t in range(2)]
    return net.query(image(2), Place(2)), Memory.stack(records), masks


def idle(net) -> list[str]:
    """Trained weights that got no gradient, or one of zeros."""
    trained = {name: weight.grad for name, weight in net.named_parameters() if weight.requires_grad}
    return [name for name, gradient in trained.items() if gradient is None or not gradient.any()]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_segments_and_every_weight_learns(row):
    net = network(**ROWS[row]).train()
    logits = net.segment(*after_two_frames(net))
    assert logits.shape == (1, 2, SIZE, SIZE)
    assert logits.isfinite().all()
    logits.square().mean().backward()
    assert not idle(net)


@pytest.mark.parametrize("row", ["F0", "A2", "A3"])
def test_matched_templates_find_their_own_proposals_from_the_start(row):
    """The quarters of one image, as objects and as proposals; chance finds all four once in 256 networks."""
    short = partial(DynamicMemory, position=partial(SinusoidalPosition, scale=32**-0.5))
    net = network(**{"template": short, **ROWS[row]}, start=MatchedTemplates(1.2))
    masks = torch.zeros(1, 4, SIZE, SIZE)
    for n, (x, y) in enumerate([(0, 0), (32, 0), (0, 32), (32, 32)]):
        masks[0, n, y : y + 32, x : x + 32] = 1
    with torch.no_grad():
        memory = Memory.stack([net.memorize(net.query(image()), masks)])
        similarity = net.follow(net.query(image(), Place(1)), memory, masks).match.similarity
    assert similarity.argmax(dim=2).tolist() == [[0, 1, 2, 3]]


def test_without_a_matcher_the_start_matches_keys_alone():
    network(**ROWS["A5"], start=MatchedTemplates())


def test_boxes_are_as_they_are_where_nothing_enlarges_them():
    masks = torch.zeros(1, 1, SIZE, SIZE)
    masks[0, 0, 20:24, 10:18], masks[0, 0, 40, 40] = 1, 1
    query, memory, _ = after_two_frames(network(margin=1.0, least=1.0, trim=0.0), masks)
    strict = network(margin=1.0, least=1.0, trim=0.0)
    assert strict.targets(query, memory, masks).boxes[0, 0].tolist() == [10, 20, 41, 41]
    stray = network(margin=1.0, least=16.0, trim=0.05)  # one of 33 pixels is less
    assert stray.targets(query, memory, masks).boxes[0, 0].tolist() == [6, 14, 22, 30]


def test_batch_norms_are_frozen_with_their_weights():
    norms = [part for part in network().train().modules() if isinstance(part, FrozenStatistics)]
    assert norms
    assert not any(part.training or part.weight.requires_grad or part.bias.requires_grad for part in norms)


def test_objects_with_proposals_of_their_own_are_segmented_as_if_alone():
    net = network(matcher=aligned(solver=HungarianSolver()))
    with torch.no_grad():
        query, memory, masks = after_two_frames(net)
        both = net.follow(query, memory, masks)
        chosen = both.match.weights.argmax(dim=2)[0]
        best = both.match.similarity.argmax(dim=2)[0]
        assert chosen[0] != chosen[1]
        for n in range(2):
            alone = net.follow(*after_two_frames(net, masks[:, n : n + 1]))
            if chosen[n] == best[n]:  # no contest: the layer does not couple them
                torch.testing.assert_close(both.logits[:, n : n + 1], alone.logits, atol=1e-4, rtol=1e-4)
        assert (chosen == best).any()


def test_templates_and_similarities_of_an_object_do_not_depend_on_the_others():
    net = network()
    with torch.no_grad():
        both = net.follow(*after_two_frames(net)).match.similarity
        for n in range(2):
            alone = net.follow(*after_two_frames(net, two_masks()[:, n : n + 1])).match.similarity
            torch.testing.assert_close(both[:, n : n + 1], alone, atol=1e-5, rtol=1e-5)


def test_clips_of_a_batch_do_not_see_each_other():
    net = network()
    masks = two_masks(2)
    masks[1] = masks[1].flip(0)
    with torch.no_grad():
        records = [net.memorize(net.query(image(t, 2), Place(torch.tensor([t, 3 * t]))), masks) for t in range(2)]
        both = net.segment(net.query(image(2, 2), Place(torch.tensor([2, 6]))), Memory.stack(records), masks)
        alone = [net.memorize(net.query(image(t, 2)[1:], Place(3 * t)), masks[1:]) for t in range(2)]
        second = net.segment(net.query(image(2, 2)[1:], Place(6)), Memory.stack(alone), masks[1:])
    torch.testing.assert_close(both[1:], second, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("row", ROWS)
def test_without_proposals_nothing_is_nan_and_the_coarse_mask_is_empty(row):
    net = network(**{**ROWS[row], "proposals": nothing})
    with torch.no_grad():
        found = net.follow(*after_two_frames(net))
    assert found.logits.isfinite().all()
    assert row == "A5" or not found.match.coarse.any()


@pytest.mark.parametrize("row", ROWS)
def test_empty_and_vanished_objects_are_never_nan(row):
    net = network(**ROWS[row])
    masks = two_masks()
    masks[:, 1] = 0
    with torch.no_grad():
        query, memory, _ = after_two_frames(net, masks)
        assert memory.valid.tolist() == [[[True, True], [False, False]]]
        logits = net.segment(query, memory, torch.zeros_like(masks))
    assert logits.isfinite().all()


def test_a_vanished_object_takes_no_proposal_from_the_others():
    net = network()
    masks = two_masks()
    masks[:, 1] = 0
    with torch.no_grad():
        weights = net.follow(*after_two_frames(net, masks)).match.weights
    assert not weights[0, 1].any()
    assert weights[0, 0].sum().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("memory", ["first", "previous", "first_previous", "every_5", "all"])
def test_an_object_that_is_out_of_sight_for_a_frame_is_found_again(memory):
    def source(image, place):
        corner = torch.tensor([[0.0, 0, 32, 32]])
        return Proposals.none() if place.time == 1 else Proposals.of_image(corner, torch.ones(1, 28, 28), torch.ones(1))

    segmenter = Segmenter(network(proposals=source, refine=CoarseMask), memory, "cpu", "float32")
    frame, mask = np.zeros((SIZE, SIZE, 3), np.uint8), np.zeros((SIZE, SIZE), np.uint8)
    mask[:32, :32] = 1
    seen = [segmenter.step(frame, mask if time == 0 else None).labels.any() for time in range(4)]
    assert seen == [True, False, True, True]


def test_without_a_source_of_proposals_it_refuses():
    net = network(proposals=NoProposals())
    with pytest.raises(InputError, match="has no source of them; choose a source"):
        net.segment(*after_two_frames(net))


def test_quality_can_be_assessed_by_qam():
    net = network(quality=QualityHead)
    record = net.memorize(net.query(image()), two_masks())
    assert record.quality.shape == (1, 2)


def video(length: int = 8) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return list(generator.integers(0, 256, (length, 60, 62, 3), dtype=np.uint8))


def first_masks(frames=1) -> np.ndarray:
    labels = np.zeros((60, 62), np.uint8)
    labels[4:28, 4:28] = 1
    labels[34:56, 36:60] = 2
    return labels


@pytest.mark.parametrize("memory", ["first", "previous", "first_previous", "every_5", "all"])
def test_the_stepper_drives_it_with_every_memory(memory):
    segmenter = Segmenter(network(), memory=memory, precision="float32")
    steps = [segmenter.step(frame, first_masks() if t == 0 else None) for t, frame in enumerate(video())]
    assert all(np.isfinite(step.probabilities[1]).all() for step in steps)
    assert segmenter.bank.read().previous is not None
    assert segmenter.bank.read().first_of == (0, 0)


def test_memories_kept_in_the_bank_equal_those_encoded_anew():
    net = network()
    segmenter = Segmenter(net, memory="all", precision="float32")
    masks = []
    for t, frame in enumerate(video(4)):
        segmenter.step(frame, first_masks() if t == 0 else None)
        masks.append(segmenter._previous[:, 1:])
    kept = segmenter.bank.read()
    with torch.inference_mode():
        for t, frame in enumerate(video(4)):
            from memvos.data.clip import normalise

            padded = segmenter._size.shrink(normalise(torch.from_numpy(frame)).unsqueeze(0))
            anew = net.memorize(net.query(padded, Place(t)), masks[t])
            torch.testing.assert_close(kept.key[:, :, :, t], anew.key, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(kept.value[:, :, :, t], anew.value, atol=1e-5, rtol=1e-5)


def test_a_late_object_has_its_own_first_frame_and_a_saved_state_goes_on_bit_equal(tmp_path):
    late = np.zeros((60, 62), np.uint8)
    late[30:50, 4:20] = 3
    frames, given = video(7), {0: first_masks(), 3: late}
    one = Segmenter(network(), memory="every_5", precision="float32")
    for t, frame in enumerate(frames[:5]):
        one.step(frame, given.get(t))
    assert one.bank.read().first_of == (0, 0, 1)
    one.save(tmp_path / "state")
    two = Segmenter(network(), memory="every_5", precision="float32")
    two.load(tmp_path / "state")
    for frame in frames[5:]:
        expected, found = one.step(frame), two.step(frame)
        assert all(np.array_equal(expected.probabilities[key], found.probabilities[key]) for key in (1, 2, 3))


def test_times_count_from_the_first_frame_of_each_object(monkeypatch):
    late = np.zeros((60, 62), np.uint8)
    late[30:50, 4:20] = 3
    segmenter = Segmenter(network(), memory="every_5", precision="float32")
    times = []
    position = segmenter.model.template.position
    add = position.forward
    monkeypatch.setattr(position, "forward", lambda feature, time: times.append(time) or add(feature, time))
    for t, frame in enumerate(video(5)):
        segmenter.step(frame, {0: first_masks(), 3: late}.get(t))
    query, memorised = (time.tolist() for time in times[-2:])  # of frame 4, which the bank keeps as the previous one
    assert query == memorised == [[4, 4, 1]]
    assert times[:2] == [0, 1]


def test_the_names_of_frames_reach_the_source():
    asked = []

    def source(image, place):
        asked.append((place.time, place.names, place.window))
        return quarters(image, place)

    segmenter = Segmenter(network(proposals=source), memory="first", precision="float32")
    for t, frame in enumerate(video(3)):
        segmenter.step(frame, first_masks() if t == 0 else None, name=("dog", f"{t:05d}"))
    assert asked == [(t, (("dog", f"{t:05d}"),), (1.0, 2.0, 63.0, 62.0)) for t in (1, 2)]


def test_with_disjoint_proposals_all_objects_at_once_equal_one_at_a_time(monkeypatch):
    """The matching layer is all that couples objects: where each has proposals of its own, nothing does."""
    net = network()
    similarity = torch.full((1, 2, 4), 0.1)
    similarity[0, 0, :2], similarity[0, 1, 2:] = torch.tensor([0.9, 0.85]), torch.tensor([0.7, 0.72])
    with torch.no_grad():
        monkeypatch.setattr(net.matcher, "compare", lambda templates, proposals: similarity)
        both = net.follow(*after_two_frames(net))
        assert (both.match.weights > 0).sum(dim=1).max() == 1  # no proposal is shared
        for n in range(2):
            monkeypatch.setattr(net.matcher, "compare", lambda templates, proposals, n=n: similarity[:, n : n + 1])
            alone = net.follow(*after_two_frames(net, two_masks()[:, n : n + 1]))
            torch.testing.assert_close(both.match.weights[:, n : n + 1], alone.match.weights, atol=1e-6, rtol=0)
            torch.testing.assert_close(both.logits[:, n : n + 1], alone.logits, atol=1e-4, rtol=1e-4)
