import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from memvos.model.dmn import DynamicMemory, FirstFrameTemplate, NoPosition, SinusoidalPosition
from memvos.model.interface import Memory, MemoryFrame
from memvos.model.memory_read import MemoryRead

C, R = 16, 3


def network(**options) -> DynamicMemory:
    torch.manual_seed(0)
    return DynamicMemory(C, **options).eval()


def frames(net, count: int = 3) -> list[MemoryFrame]:
    generator = torch.Generator().manual_seed(1)
    records = []
    for time in range(count):
        feature = torch.randn(1, 2, C, R, R, generator=generator)
        mask = torch.rand(1, 2, 1, R, R, generator=generator)
        records.append(MemoryFrame(*net.remember(feature, mask, time), torch.ones(1, 2), time))
    return records


def test_equation_1_is_scaled_dot_product_attention():
    net, query = network(), torch.randn(1, 2, C, R, R)
    memory = Memory.stack(frames(net))
    template = net.template(query, 3, memory, MemoryRead())
    key = memory.key.flatten(3).transpose(2, 3)
    value = memory.value.flatten(3).transpose(2, 3)
    embedded = (
        net.query_projection(net.position(query, 3).flatten(0, 1)).unflatten(0, (1, 2)).flatten(3).transpose(2, 3)
    )
    expected = F.scaled_dot_product_attention(embedded, key, value)  # scale 1 / √(C/4)
    torch.testing.assert_close(template.flatten(3).transpose(2, 3), expected, atol=1e-5, rtol=1e-5)


def test_one_position_in_memory_is_read_whole():
    net = network()
    memory = Memory(torch.randn(1, 1, C // 4, 1, 1, 1), torch.randn(1, 1, C, 1, 1, 1))
    template = net.template(torch.randn(1, 1, C, R, R), 1, memory, MemoryRead())
    torch.testing.assert_close(template, memory.value[:, :, :, 0].expand(1, 1, C, R, R))


def test_a_frame_that_is_not_valid_changes_nothing():
    net, query = network(), torch.randn(1, 2, C, R, R)
    first, second = frames(net, 2)
    alone = net.template(query, 2, Memory.stack([first]), MemoryRead())
    valid = torch.tensor([[[True, False], [True, False]]])
    both = Memory.stack([first, second])
    joined = net.template(query, 2, Memory(both.key, both.value, valid), MemoryRead())
    torch.testing.assert_close(joined, alone)


def test_memories_of_whole_frames_are_read_by_the_grid_of_the_object():
    net = network(whole_frames=True)
    key, value = net.remember(torch.randn(1, 2, C, 4, 6), torch.rand(1, 2, 1, 4, 6), 0)
    memory = Memory(key.unsqueeze(3), value.unsqueeze(3), torch.tensor([[[True], [False]]]))
    template = net.template(torch.randn(1, 2, C, R, R), 1, memory, MemoryRead())
    assert template.shape == (1, 2, C, R, R)
    assert not template[0, 1].any()


def test_the_embedding_is_that_of_the_transformer():
    embedded = SinusoidalPosition(4)(torch.zeros(1, 1, 4, 1, 1), 5).flatten()
    assert embedded.tolist() == pytest.approx([math.sin(5), math.cos(5), math.sin(0.05), math.cos(0.05)], abs=1e-6)


def test_the_embedding_follows_the_time_of_each_clip_and_can_be_limited():
    feature = torch.zeros(2, 1, C, 1, 1)
    position = SinusoidalPosition(C)
    both = position(feature, torch.tensor([2, 7]))
    torch.testing.assert_close(both[1:], position(feature[:1], 7))
    late = position(feature[:1].expand(1, 3, C, 1, 1), torch.tensor([[7, 2, 0]]))  # each object's own
    torch.testing.assert_close(late[:, :2], both.flip(0).transpose(0, 1))
    limited = SinusoidalPosition(C, longest=7)
    torch.testing.assert_close(limited(feature, 90), limited(feature, 7))
    torch.testing.assert_close(SinusoidalPosition(C, scale=0.25)(feature, 3), position(feature, 3) / 4)
    assert torch.equal(NoPosition()(feature, 3), feature)


def test_the_fixed_template_is_the_first_frame_that_an_object_is_valid_in():
    net = FirstFrameTemplate()
    features = torch.randn(3, 1, 2, C, R, R)
    records = [MemoryFrame(*net.remember(f, torch.zeros(1, 2, 1, R, R), 0), torch.ones(1, 2)) for f in features]
    memory = Memory.stack(records)
    assert torch.equal(net.template(features[0], 1, memory, MemoryRead()), features[0])
    late = Memory(memory.key, memory.value, torch.tensor([[[True, True, True], [False, True, True]]]))
    template = net.template(features[0], 1, late, MemoryRead())
    assert torch.equal(template[0, 0], features[0, 0, 0])
    assert torch.equal(template[0, 1], features[1, 0, 1])
    mixed = Memory(memory.key, memory.value, late.valid, times=(9, 7, 4))  # slots that were freed are used again
    template = net.template(features[0], 1, mixed, MemoryRead())
    assert torch.equal(template[0], features[2, 0])
    assert torch.equal(net.template(features[0], 1, replace(mixed, valid=None), MemoryRead()), features[2])
    never = Memory(memory.key, memory.value, torch.zeros(1, 2, 3, dtype=torch.bool))
    assert not net.template(features[0], 1, never, MemoryRead()).any()


def test_matched_keys_tell_positions_apart_from_the_start():
    net, feature = network(position=NoPosition), torch.randn(4, 1, C, 8, 8).relu()
    with torch.no_grad():
        net.match(feature, 3.0)
    query = net.query_projection(feature.flatten(0, 1)).flatten(2)
    key = net.remember(feature, torch.zeros(4, 1, 1, 8, 8), 0)[0].flatten(0, 1).flatten(2)
    logits = query.transpose(1, 2) @ key / 2  # √(C/4)
    assert logits.std(dim=-1).mean().item() == pytest.approx(3, rel=1e-4)
    own = logits.diagonal(dim1=1, dim2=2)
    assert (own.mean() - logits.mean()).item() > 3  # a deviation above the rest
    assert FirstFrameTemplate().match(feature, 3.0) is None


def test_matched_values_are_much_like_the_features():
    net, feature = network(position=NoPosition), torch.randn(4, 1, C, 8, 8).relu()
    with torch.no_grad():
        net.match(feature, 3.0)
    value = net.remember(feature, torch.rand(4, 1, 1, 8, 8), 0)[1]
    assert F.cosine_similarity(value, feature, dim=2).mean().item() > 0.95
