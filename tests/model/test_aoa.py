import pytest
import torch

from memvos.model.aoa import (
    AdaptiveAlignment,
    FlatCosine,
    MeanCosine,
    NoAlignment,
    PooledCosine,
    Projector,
    unit,
)


def features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_shuffled_copy_is_put_back_in_place():
    template = features(1, 1, 16, 32)
    shuffled = template[:, :, torch.randperm(16)]
    aligned = AdaptiveAlignment(alpha=100.0)(template, shuffled)
    torch.testing.assert_close(aligned[:, :, 0], template, atol=1e-3, rtol=0)
    assert MeanCosine()(template, aligned).item() == pytest.approx(1, abs=1e-4)
    assert MeanCosine()(template, NoAlignment()(template, shuffled)).item() < 0.5


def test_without_sharpness_every_position_is_the_mean():
    template, proposals = features(1, 2, 9, 8), features(1, 3, 9, 8, seed=1)
    aligned = AdaptiveAlignment(alpha=0.0)(template, proposals)
    mean = proposals.mean(dim=2)[:, None, :, None].expand(1, 2, 3, 9, 8)
    torch.testing.assert_close(aligned, mean, atol=1e-5, rtol=0)


def test_equations_2_and_3_written_out():
    template, proposals, alpha = features(2, 2, 5, 8), features(2, 3, 5, 8, seed=1), 7.0
    cosines = torch.einsum("bnid,bkjd->bnkij", unit(template), unit(proposals))
    expected = torch.einsum("bnkij,bkjd->bnkid", (alpha * cosines).softmax(dim=-1), proposals)
    torch.testing.assert_close(AdaptiveAlignment(alpha)(template, proposals), expected)


def test_centring_takes_a_common_offset_out_of_the_correspondences():
    template = features(1, 1, 16, 32)
    moved = template + 5
    aligned = AdaptiveAlignment(alpha=100.0, centre=True)(template, moved)
    torch.testing.assert_close(aligned[:, :, 0], moved, atol=1e-3, rtol=0)


def test_similarities_by_hand():
    template = torch.tensor([[[[1.0, 0], [0, 2]]]])
    aligned = torch.tensor([[[[[1.0, 0], [2, 0]]]]])
    assert MeanCosine()(template, aligned).item() == pytest.approx(0.5, abs=1e-5)
    assert FlatCosine()(template, aligned).item() == pytest.approx(1 / 5, abs=1e-5)
    assert PooledCosine()(template, aligned).item() == pytest.approx(1.5 * 0.5 / (1.5 * 1.25**0.5), abs=1e-5)


def test_features_of_nothing_have_similarity_zero():
    template, aligned = torch.zeros(1, 1, 4, 8), features(1, 1, 2, 4, 8)
    assert MeanCosine()(template, aligned).tolist() == [[[0, 0]]]


def test_the_projector_puts_positions_in_rows():
    assert Projector(16, 32)(torch.randn(2, 3, 16, 4, 4)).shape == (2, 3, 16, 32)
