import math

import pytest
import torch

from memvos.errors import InputError
from memvos.model.interface import Memory
from memvos.model.memory_read import DotProduct, Kernel, MemoryRead, NegativeDistance, Softmax, TopK, gather


def dense(weights, positions):
    """Weights (Q, P) of a selection's result (Q, K)."""
    if weights.places is None:
        return weights.amounts
    return torch.zeros(*weights.amounts.shape[:-1], positions).scatter(-1, weights.places, weights.amounts)


def memory_of(keys, values, valid=None):
    """Keys and values (N, C, M, h, w) as a memory of one clip."""
    return Memory(keys.unsqueeze(0), values.unsqueeze(0), None if valid is None else valid.unsqueeze(0))


def test_similarity_is_the_dot_product_over_the_root_of_the_key_channels():
    query, memory = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[1.0, 0], [1, 0], [1, 0], [1, 2]])
    assert DotProduct()(query, memory).tolist() == [[5.0, 4.0]]  # 10 / 2 and 8 / 2


def test_similarity_by_distance_by_hand():
    query, memory = torch.tensor([[1.0], [2.0], [0.0], [0.0]]), torch.tensor([[1.0, 0], [0, 3], [0, 0], [2, 0]])
    # |q - m|² = 0 + 4 + 0 + 4, and 1 + 1 + 0 + 0; √Ck = 2
    assert NegativeDistance()(query, memory).tolist() == [[-4.0, -1.0]]


def test_the_kernel_read_by_distance_goes_by_the_nearest_query_position():
    torch.manual_seed(0)
    query, memory = torch.randn(3, 6) * torch.tensor([1.0, 1, 1, 3, 3, 3]), torch.randn(3, 5)  # some keys are long
    nearest = torch.cdist(query.T, memory.T).argmin(dim=0)
    assert torch.equal(NegativeDistance()(query, memory).argmax(dim=-2), nearest)
    kernel = Kernel(sigma=0.1)  # reads a memory position from its best query position alone
    weights = kernel(NegativeDistance()(query, memory), (2, 3)).amounts
    assert all(weights[place].argmax() in (nearest == place).nonzero() for place in nearest)


def test_attention_by_distance_does_not_change_when_all_keys_shift():
    torch.manual_seed(0)
    query, memory, shift = torch.randn(4, 6), torch.randn(4, 9), torch.randn(4, 1)
    one, other = (NegativeDistance()(q, m).softmax(-1) for q, m in ((query, memory), (query + shift, memory + shift)))
    torch.testing.assert_close(one, other)


def test_an_invalid_frame_of_a_shared_key_is_skipped_by_its_object_alone():
    torch.manual_seed(0)
    key, values, query = torch.randn(1, 4, 2, 3, 3), torch.randn(2, 5, 2, 3, 3), torch.randn(1, 4, 3, 3)
    read = MemoryRead(TopK(4), NegativeDistance()).eval()
    readout = read(query, memory_of(key, values, torch.tensor([[True, True], [False, True]])))
    torch.testing.assert_close(readout[:, :1], read(query, memory_of(key, values[:1])))
    torch.testing.assert_close(readout[:, 1:], read(query, memory_of(key[:, :, 1:], values[1:, :, 1:])))


def test_a_read_of_two_orthogonal_keys_by_hand():
    a = math.sqrt(2) * math.log(3)  # key channels 2, so logits are a·b / √2
    keys = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(1, 2, 1, 1, 2)
    values = torch.tensor([8.0, 4.0]).view(1, 1, 1, 1, 2)
    query = torch.tensor([a, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 2)
    # logits log 3 and 0, weights 3/4 and 1/4
    assert MemoryRead()(query, memory_of(keys, values)).flatten().tolist() == pytest.approx([7.0, 7.0])


def test_top_k_keeps_the_k_largest_and_renormalises():
    logits = torch.log(torch.tensor([[1.0, 6.0, 2.0]]))
    assert dense(TopK(2)(logits, (1, 1)), 3).flatten().tolist() == pytest.approx([0, 0.75, 0.25])


def test_top_k_of_everything_is_the_softmax():
    logits = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(dense(TopK(5)(logits, (2, 2)), 5), Softmax()(logits, (2, 2)).amounts)


@pytest.mark.parametrize("selection", [TopK(7), Kernel(k=7)])
def test_a_top_k_larger_than_the_memory_is_refused_with_both_numbers(selection):
    with pytest.raises(InputError, match="top-k of 7 is larger than the memory of 6 positions; read all: top_k=null"):
        selection(torch.zeros(1, 1, 3, 6), (1, 3))


def test_the_kernel_by_hand_on_a_grid_of_three():
    # Memory positions 0 and 1 match query positions 0 and 2 best; distances 0 1 2 and 2 1 0; sigma 1.
    logits = torch.tensor([[3.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    near, far = math.exp(-1 / 2), math.exp(-2)
    products = [[1.0, math.exp(-3) * far], [near, near], [math.exp(-2) * far, 1.0]]
    expected = [[a / (a + b), b / (a + b)] for a, b in products]
    weights = Kernel(sigma=1.0)(logits.view(1, 1, 3, 2), (1, 3)).amounts
    torch.testing.assert_close(weights, torch.tensor(expected).view(1, 1, 3, 2))


def test_the_kernel_measures_distance_in_rows_and_columns():
    logits = torch.zeros(4, 1)  # a 2 × 2 grid; the memory position matches query position 0 (the first of equals)
    logits[0] = 1.0
    gaussian = Kernel(sigma=1.0)._gaussian(logits, (2, 2), logits.argmax(dim=0), 0).flatten()
    assert gaussian.tolist() == pytest.approx([1, math.exp(-0.5), math.exp(-0.5), math.exp(-1)])


def test_the_kernel_selects_the_largest_products():
    logits = torch.randn(1, 2, 6, 12)
    every, some = Kernel(2.0)(logits, (2, 3)).amounts, dense(Kernel(2.0, k=3)(logits, (2, 3)), 12)
    assert (some > 0).sum(dim=-1).unique().tolist() == [3]
    kept = torch.where(some > 0, every, 0)
    torch.testing.assert_close(some, kept / kept.sum(dim=-1, keepdim=True))


def test_gathering_selected_values_equals_the_dense_product():
    torch.manual_seed(0)
    logits, value = torch.randn(2, 3, 4, 10), torch.randn(2, 3, 10, 5)
    weights = TopK(3)(logits, (2, 2))
    torch.testing.assert_close(gather(weights, value), dense(weights, 10) @ value)


def test_objects_may_share_the_key():
    torch.manual_seed(0)
    key, values, query = torch.randn(1, 4, 2, 3, 3), torch.randn(2, 5, 2, 3, 3), torch.randn(1, 4, 3, 3)
    for selection in (Softmax(), TopK(4)):
        read = MemoryRead(selection).eval()
        shared, own = memory_of(key, values), memory_of(key.expand(2, -1, -1, -1, -1), values)
        torch.testing.assert_close(read(query, shared), read(query, own))


@pytest.mark.parametrize("selection", [Softmax(), TopK(4), Kernel(2.0), Kernel(2.0, 4)])
def test_frames_that_are_not_valid_for_an_object_are_as_if_absent(selection):
    torch.manual_seed(0)
    keys, values, query = torch.randn(2, 4, 3, 2, 2), torch.randn(2, 5, 3, 2, 2), torch.randn(1, 4, 2, 2)
    valid = torch.tensor([[True, True, True], [False, False, True]])  # the second object entered at the last frame
    read = MemoryRead(selection).eval()
    readout = read(query, memory_of(keys, values, valid))
    torch.testing.assert_close(readout[:, :1], read(query, memory_of(keys[:1], values[:1])))
    torch.testing.assert_close(readout[:, 1:], read(query, memory_of(keys[1:, :, 2:], values[1:, :, 2:])))


@pytest.mark.parametrize("selection", [Softmax(), TopK(4), Kernel(2.0)])
def test_an_object_without_any_valid_frame_reads_zeros_and_has_finite_gradients(selection):
    keys = torch.randn(2, 4, 1, 2, 2, requires_grad=True)
    memory = memory_of(keys, torch.randn(2, 5, 1, 2, 2), torch.tensor([[True], [False]]))
    readout = MemoryRead(selection).eval()(torch.randn(1, 4, 2, 2), memory)
    readout.sum().backward()
    assert readout[0, 1].count_nonzero() == 0
    assert keys.grad.isfinite().all()


def test_reading_objects_in_turns_changes_nothing(monkeypatch):
    torch.manual_seed(0)
    query, memory = torch.randn(2, 4, 3, 3), Memory(torch.randn(2, 3, 4, 2, 3, 3), torch.randn(2, 3, 5, 2, 3, 3))
    read = MemoryRead(TopK(5)).eval()
    together = read(query, memory)
    monkeypatch.setattr("memvos.model.memory_read.CHUNK", 9 * 18 * 2)
    with torch.no_grad():
        torch.testing.assert_close(read(query, memory), together)


@pytest.mark.parametrize("selection", [Softmax(), TopK(5), Kernel(1.0), Kernel(1.0, 7)], ids=repr)
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("keys", [1, 2])
def test_reading_an_object_by_rows_of_the_grid_changes_nothing(monkeypatch, selection, rows, keys):
    torch.manual_seed(0)
    valid = torch.tensor([[[True, True], [False, True]]])
    query = torch.randn(1, 4, 5, 3)
    memory = Memory(torch.randn(1, keys, 4, 2, 4, 3), torch.randn(1, 2, 5, 2, 4, 3), valid)
    read, held = MemoryRead(selection).eval(), []
    together, spread = read(query, memory), read.statistics(query, memory)
    monkeypatch.setattr("memvos.model.memory_read.CHUNK", rows * 3 * 24)
    read.similarity.register_forward_hook(lambda part, inputs, logits: held.append(logits.numel()))
    with torch.no_grad():
        torch.testing.assert_close(read(query, memory), together)
    assert max(held) == rows * 3 * 24
    assert read.statistics(query, memory) == pytest.approx(spread)


@pytest.mark.parametrize("shape", [(2, 4, 3, 3), (2, 3, 4, 3, 3)])
@pytest.mark.parametrize("keys", [1, 3])
def test_statistics_hold_no_more_similarities_at_once_than_a_read(monkeypatch, shape, keys):
    torch.manual_seed(0)
    query, memory = torch.randn(shape), Memory(torch.randn(2, keys, 4, 2, 3, 3), torch.randn(2, 3, 5, 2, 3, 3))
    read, held = MemoryRead(), []
    together = read.statistics(query, memory)
    monkeypatch.setattr("memvos.model.memory_read.CHUNK", 9 * 18 * 2)
    read.similarity.register_forward_hook(lambda part, inputs, logits: held.append(logits.shape[1]))
    assert read.statistics(query, memory) == pytest.approx(together)
    objects = max(keys, 3 if len(shape) == 5 else 1)
    assert (max(held), sum(held)) == (min(objects, 2), objects)


def test_every_position_is_read_while_training():
    query, memory = torch.randn(1, 4, 3, 3), Memory(torch.randn(1, 1, 4, 2, 3, 3), torch.randn(1, 1, 5, 2, 3, 3))
    torch.testing.assert_close(MemoryRead(TopK(1)).train()(query, memory), MemoryRead().eval()(query, memory))


def test_similarities_are_float32_under_autocast():
    query, memory = torch.randn(1, 4, 3, 3), Memory(torch.randn(1, 1, 4, 2, 3, 3), torch.randn(1, 1, 5, 2, 3, 3))
    read = MemoryRead()
    with torch.autocast("cpu", torch.bfloat16):
        logits = read._logits(query, memory, slice(None))
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, read._logits(query, memory, slice(None)), rtol=0, atol=0)


def test_the_read_out_is_channels_last_in_memory():
    readout = MemoryRead()(
        torch.randn(1, 4, 3, 3), Memory(torch.randn(1, 2, 4, 2, 3, 3), torch.randn(1, 2, 5, 2, 3, 3))
    )
    assert readout.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def test_the_logit_deviation_is_taken_over_memory_positions():
    keys = torch.tensor([1.0, -1.0, 1.0, -1.0]).view(1, 1, 4, 1, 1)
    memory = memory_of(keys, torch.zeros(1, 1, 4, 1, 1))
    statistics = MemoryRead().statistics(torch.full((1, 1, 1, 1), 3.0), memory)  # logits 3 -3 3 -3
    assert statistics["logit_std"] == pytest.approx(math.sqrt(4 * 9 / 3))


def test_statistics_are_over_the_positions_that_an_object_may_read():
    torch.manual_seed(0)
    query, keys, values = torch.randn(1, 4, 2, 2), torch.randn(2, 4, 3, 2, 2), torch.randn(2, 5, 3, 2, 2)
    valid = torch.tensor([[True, True, True], [False, False, True]])
    spread = MemoryRead().statistics(query, memory_of(keys, values, valid))["logit_std"]
    first = MemoryRead().statistics(query, memory_of(keys[:1], values[:1]))["logit_std"]
    second = MemoryRead().statistics(query, memory_of(keys[1:, :, 2:], values[1:, :, 2:]))["logit_std"]
    assert spread == pytest.approx((first + second) / 2)
    shared = MemoryRead().statistics(query, memory_of(keys[:1], values, valid))["logit_std"]  # one key, two objects
    late = MemoryRead().statistics(query, memory_of(keys[:1, :, 2:], values[1:, :, 2:]))["logit_std"]
    assert shared == pytest.approx((first + late) / 2)
    never = torch.tensor([[True, True, True], [False, False, False]])
    assert MemoryRead().statistics(query, memory_of(keys, values, never))["logit_std"] == pytest.approx(first)
