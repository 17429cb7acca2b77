import torch

from memvos.model.interface import Memory


def test_objects_share_the_key_and_have_their_own_value(tiny_stcn):
    model, image, masks = tiny_stcn(), torch.randn(2, 3, 32, 48), torch.rand(2, 3, 32, 48)
    record = model.memorize(model.query(image), masks)
    assert (record.key.shape, record.value.shape) == ((2, 1, 4, 4, 6), (2, 3, 6, 4, 6))
    assert not torch.allclose(record.value[:, 0], record.value[:, 1])


def test_the_key_of_a_frame_does_not_depend_on_its_masks(tiny_stcn):
    model, image = tiny_stcn(), torch.randn(1, 3, 32, 32)
    query = model.query(image)
    keys = [model.memorize(query, torch.full((1, 2, 32, 32), value)).key for value in (0.0, 1.0)]
    assert torch.equal(*keys)
    assert torch.equal(keys[0][:, 0], query.features.key)


def test_a_frame_is_encoded_once_for_reading_and_remembering(tiny_stcn):
    model, seen = tiny_stcn(), []
    model.query_encoder.register_forward_hook(lambda *_: seen.append(1))
    query, masks = model.query(torch.randn(1, 3, 32, 32)), torch.rand(1, 2, 32, 32)
    record = model.memorize(query, masks)
    model.segment(query, Memory.stack([record]), masks)
    assert len(seen) == 1


def test_objects_are_segmented_in_the_size_of_the_image(tiny_stcn):
    model, images, masks = tiny_stcn(), torch.randn(2, 2, 3, 32, 48), torch.rand(2, 3, 32, 48)
    memory = Memory.stack([model.memorize(model.query(images[0]), masks)])
    logits = model.segment(model.query(images[1]), memory, masks)
    assert (logits.shape, logits.dtype) == ((2, 3, 32, 48), torch.float32)


def test_gradients_reach_every_parameter(tiny_stcn):
    model, images, masks = tiny_stcn(), torch.randn(2, 1, 3, 32, 32), torch.rand(1, 2, 32, 32)
    memory = Memory.stack([model.memorize(model.query(images[0]), masks)])
    model.segment(model.query(images[1]), memory, masks).square().sum().backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]
