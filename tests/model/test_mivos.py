import torch

from memvos.model.interface import Memory
from memvos.model.memory_read import Kernel, MemoryRead, TopK


def remembered(model, images, masks):
    return Memory.stack([model.memorize(model.query(image), masks) for image in images])


def test_every_object_has_its_own_key_value_and_feature(tiny_mivos):
    model, image, masks = tiny_mivos(), torch.randn(2, 3, 32, 48), torch.rand(2, 3, 32, 48)
    record = model.memorize(model.query(image), masks)
    assert (record.key.shape, record.value.shape) == ((2, 3, 4, 4, 6), (2, 3, 6, 4, 6))
    assert record.feature.shape == (2, 3, 16, 4, 6)
    assert record.quality.tolist() == [[1.0] * 3] * 2  # no QAM


def test_objects_are_segmented_in_the_size_of_the_image(tiny_mivos):
    model, images, masks = tiny_mivos(), torch.randn(3, 2, 3, 32, 48), torch.rand(2, 3, 32, 48)
    logits = model.segment(model.query(images[2]), remembered(model, images[:2], masks), masks)
    assert (logits.shape, logits.dtype) == ((2, 3, 32, 48), torch.float32)


def test_the_previous_masks_do_not_matter(tiny_mivos):
    model, images, masks = tiny_mivos(), torch.randn(2, 1, 3, 32, 32), torch.rand(1, 2, 32, 32)
    memory, query = remembered(model, images[:1], masks), model.query(images[1])
    assert torch.equal(model.segment(query, memory, masks), model.segment(query, memory, 1 - masks))


def test_three_reads_share_one_network(tiny_mivos):
    images, masks = torch.randn(2, 1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    models = [tiny_mivos(read=MemoryRead(selection)) for selection in (None, Kernel(1.0), TopK(2))]
    stm, kmn, mivos = (
        model.segment(model.query(images[1]), remembered(model, images[:1], masks), masks) for model in models
    )
    states = [model.state_dict() for model in models]
    assert all(torch.equal(states[0][name], state[name]) for state in states for name in states[0])
    assert not torch.allclose(stm, kmn)
    assert not torch.allclose(stm, mivos)


def test_gradients_reach_every_parameter(tiny_mivos):
    model, images, masks = tiny_mivos(), torch.randn(2, 1, 3, 32, 32), torch.rand(1, 2, 32, 32)
    model.segment(model.query(images[1]), remembered(model, images[:1], masks), masks).square().sum().backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]
