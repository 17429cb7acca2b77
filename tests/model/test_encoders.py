import torch
from torch import nn

from memvos.model.backbone import Features, ResNet
from memvos.model.encoders import KeyValue, MemoryEncoder, QueryEncoder, sum_of_others


class Input(nn.Module):
    """A trunk that returns what it was given."""

    def forward(self, x):
        return Features(x, x, x)


def test_the_others_of_an_object_are_the_sum_of_all_other_masks():
    masks = torch.tensor([0.25, 0.5, 1.0]).view(1, 3, 1, 1)
    assert sum_of_others(masks).flatten().tolist() == [1.5, 1.25, 0.75]


def test_a_single_object_has_no_others():
    assert sum_of_others(torch.rand(2, 1, 4, 4)).count_nonzero() == 0


def test_the_memory_encoder_sees_image_mask_and_others_in_this_order_for_each_object():
    image, masks = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    seen = MemoryEncoder(Input())(image, masks)
    assert torch.equal(seen[1, 2, :3], image[1])
    assert torch.equal(seen[1, 2, 3], masks[1, 2])
    torch.testing.assert_close(seen[1, 2, 4], masks[1, 0] + masks[1, 1])


def test_the_query_encoder_returns_three_features():
    assert len(QueryEncoder(ResNet(18, width=4))(torch.zeros(1, 3, 32, 32))) == 3


def test_key_and_value_keep_the_grid():
    key, value = KeyValue(8, 2, 5)(torch.zeros(3, 8, 6, 7))
    assert (key.shape, value.shape) == ((3, 2, 6, 7), (3, 5, 6, 7))


def test_key_and_value_keep_every_leading_dimension():
    key, value = KeyValue(8, 2, 5)(torch.zeros(2, 3, 8, 6, 7))
    assert (key.shape, value.shape) == ((2, 3, 2, 6, 7), (2, 3, 5, 6, 7))
