from functools import partial

import pytest
import torch

from memvos.errors import InputError
from memvos.model.backbone import ResNet
from memvos.model.interface import Memory
from memvos.model.memory_read import MemoryRead, TopK
from memvos.model.pem import NoPrior, StrongPrior, WeakPrior
from memvos.model.qam import AcceptAll, QualityHead
from memvos.model.qdmn import QDMN


def clip(clips=1, objects=2, size=32):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, clips, 3, size, size, generator=generator)
    return images, torch.rand(clips, objects, size, size, generator=generator)


def segment(model, images, masks):
    memory = Memory.stack([model.memorize(model.query(images[0]), masks)])
    return model.segment(model.query(images[1]), memory, masks)


def test_the_published_network_has_the_published_numbers_of_parameters():
    model = QDMN(partial(ResNet, 50, conv_bias=True), WeakPrior, QualityHead, MemoryRead())
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert counts == {
        "query_encoder": 8_558_592,
        "memory_encoder": 8_564_864,
        "memory_projection": 5_898_880,
        "query_projection": 5_898_880,
        "prior": 9_226,
        "read": 0,
        "aspp": 8_917_504,
        "decoder": 24_780_033,
        "quality": 41_880_577,
    }
    assert sum(counts.values()) == 104_508_556
    assert len(model.state_dict()) == 690


def test_shapes_of_a_record_and_of_the_logits(tiny):
    images, masks = clip(clips=2, objects=3)
    model = tiny()
    record = model.memorize(model.query(images[0]), masks)
    assert record.key.shape == (2, 3, 4, 4, 4)
    assert record.value.shape == (2, 3, 6, 4, 4)
    assert record.quality.shape == (2, 3)
    logits = segment(model, images, masks)
    assert (logits.shape, logits.dtype) == ((2, 3, 32, 32), torch.float32)


@pytest.mark.parametrize("stride", [8, 16])
def test_the_network_works_at_both_output_strides(tiny, stride):
    model = tiny(backbone=partial(ResNet, 18, width=4, output_stride=stride), prior=StrongPrior)
    assert (model.stride, model.pad_to) == (stride, stride)
    images, masks = clip()
    assert segment(model, images, masks).shape == masks.shape


def test_sizes_that_are_no_multiple_of_the_stride_are_refused(tiny):
    with pytest.raises(InputError, match="expected image height and width in multiples of 8, got 32×36"):
        tiny().query(torch.zeros(1, 3, 32, 36))


def test_objects_may_come_in_any_order(tiny):
    images, masks = clip(objects=3)
    order, model = [2, 0, 1], tiny(read=MemoryRead(TopK(5)))
    torch.testing.assert_close(segment(model, images, masks[:, order]), segment(model, images, masks)[:, order])
    query = model.query(images[0])
    record, ordered = model.memorize(query, masks), model.memorize(query, masks[:, order])
    torch.testing.assert_close(ordered.quality, record.quality[:, order])


def test_clips_of_a_batch_do_not_see_each_other(tiny):
    images, masks = clip(clips=2)
    model = tiny()
    torch.testing.assert_close(segment(model, images, masks)[1:], segment(model, images[:, 1:], masks[1:]))


def test_an_annotated_frame_needs_no_query_features(tiny):
    model, calls = tiny(), []
    model.query_encoder.register_forward_hook(lambda *_: calls.append(1))
    images, masks = clip()
    query = model.query(images[0])
    record = model.memorize(query, masks)
    assert not calls
    model.segment(query, Memory.stack([record]), masks)
    model.memorize(query, masks)
    assert calls == [1]


def test_without_qam_every_record_has_quality_1(tiny):
    model, (images, masks) = tiny(quality=AcceptAll), clip()
    assert model.memorize(model.query(images[0]), masks).quality.tolist() == [[1, 1]]


def test_the_prior_changes_the_logits_and_its_absence_does_not(tiny):
    images, masks = clip()
    for prior, depends in ((WeakPrior, True), (StrongPrior, True), (NoPrior, False)):
        model = tiny(prior=prior)
        memory = Memory.stack([model.memorize(model.query(images[0]), masks)])
        query = model.query(images[1])
        same = torch.equal(model.segment(query, memory, masks), model.segment(query, memory, masks * 0))
        assert same != depends


def test_a_segmentation_loss_trains_every_part_but_the_quality_head(tiny):
    model, (images, masks) = tiny().train(), clip()
    segment(model, images, masks).square().sum().backward()
    idle = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is None}
    assert idle == {"quality"}


def test_a_score_loss_reaches_the_mask(tiny):
    model, (images, masks) = tiny(quality=QualityHead), clip()
    masks.requires_grad_()
    model.memorize(model.query(images[0]), masks).quality.sum().backward()
    assert masks.grad.count_nonzero() > 0
    assert model.quality.fc2.weight.grad is not None


def test_no_gradient_flows_through_the_prior(tiny):
    model, (images, masks) = tiny(), clip()
    memory = Memory.stack([model.memorize(model.query(images[0]), masks)])
    previous = masks.clone().requires_grad_()
    assert torch.autograd.grad(
        model.segment(model.query(images[1]), memory, previous).sum(), previous, allow_unused=True
    ) == (None,)


def test_bf16_and_channels_last_give_nearly_the_same_logits(tiny):
    model, (images, masks) = tiny(), clip()
    expected = segment(model, images, masks)
    model.to(memory_format=torch.channels_last)
    images = [image.contiguous(memory_format=torch.channels_last) for image in images]
    torch.testing.assert_close(segment(model, images, masks), expected, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        logits = segment(model, images, masks)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0.1, atol=0.1 * expected.abs().max().item())
