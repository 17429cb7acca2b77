from types import SimpleNamespace

import pytest
import torch

from memvos.lit.qdmn import correlation
from memvos.lit.unroll import unroll
from memvos.losses import mask_iou
from memvos.model.plugin import QAMPlugin
from memvos.model.qam import QualityHead


class NoSegmentationLoss(torch.nn.Module):
    """Leaves the quality loss alone."""

    def forward(self, logits, labels, step):
        return 0 * logits.sum()


def backward_of_quality_loss(module, batch):
    """The gradients of a training step's quality loss alone."""
    module.segmentation_loss = NoSegmentationLoss()
    without_trainer(module)
    module.training_step(batch, 0)["loss"].backward()


def gradients_of_quality_loss(module, batch):
    """Gradient sums of the quality loss alone, by part of the network."""
    backward_of_quality_loss(module, batch)
    parts = {"head": module.model.quality, "memory": module.model.memory_encoder, "segmenter": module.model.decoder}
    return {
        name: sum(float(p.grad.abs().sum()) for p in part.parameters() if p.grad is not None)
        for name, part in parts.items()
    }


@pytest.mark.parametrize(
    ("quality_gradient", "trained"),
    [("released", {"head", "memory", "segmenter"}), ("encoder", {"head", "memory"}), ("detached", {"head"})],
)
def test_the_quality_loss_trains_what_its_gradient_is_let_to(tiny, batch, module_of, quality_gradient, trained):
    gradients = gradients_of_quality_loss(module_of(tiny, quality_gradient=quality_gradient), batch)
    assert {name for name, size in gradients.items() if size > 0} == trained


def test_a_score_of_a_pass_of_its_own_is_the_same_score(tiny, batch, module_of):
    outputs = []
    for quality_gradient in ("detached", "encoder"):
        module = module_of(tiny, quality_gradient=quality_gradient)
        logged = without_trainer(module)
        outputs.append((float(module.training_step(batch, 0)["loss"].detach()), logged["train/quality"]))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(("gradient", "reaches"), [("detached", False), ("encoder", True), ("released", True)])
def test_qam_as_a_plugin_is_trained_like_a_networks_own(tiny_without_qam, batch, module_of, gradient, reaches):
    plugin = QAMPlugin(tiny_without_qam, QualityHead, grid=4)
    module = module_of(plugin, quality_gradient=gradient)
    assert module.trains_quality
    backward_of_quality_loss(module, batch)
    assert plugin.quality.fc1.weight.grad.count_nonzero() > 0
    touched = [p for p in plugin.network.parameters() if p.grad is not None and p.grad.count_nonzero()]
    assert bool(touched) == reaches


def without_trainer(module):
    """A module whose logged values are collected in `logged`."""
    logged = {}
    module.log = lambda name, value, **options: logged.__setitem__(name, float(value))
    module.log_dict = lambda values, **options: logged.update({name: float(value) for name, value in values.items()})
    module._trainer = SimpleNamespace(global_step=0, global_rank=0, log_every_n_steps=1, optimizers=[])
    return logged


def test_teachers_force_less_and_less_by_seed_and_step(tiny, batch, module_of):
    module = module_of(tiny, teacher_forcing=0.5)
    without_trainer(module)
    module._trainer.max_steps = 1000
    shares = {}
    for start in (0, 500, 999):
        drawn = []
        for step in range(start, start + 1 if start == 999 else start + 100):
            module._trainer.global_step = step
            drawn.append(module._forced(batch, [3, step]))
            assert torch.equal(module._forced(batch, [3, step]), drawn[-1])
        shares[start] = torch.stack(drawn).float().mean().item()
    assert shares == {0: pytest.approx(0.475, abs=0.05), 500: pytest.approx(0.225, abs=0.05), 999: 0}
    assert module_of(tiny)._forced(batch, [3, 0]) is None


def test_scores_of_true_masks_are_scores_of_true_masks(tiny, batch, module_of):
    """Every frame is forced: what QAM scores has the IoU of the true masks with themselves, 1."""
    module = module_of(tiny, teacher_forcing=1.0)
    logged = without_trainer(module)
    module._trainer.max_steps = 10
    module.segmentation_loss = NoSegmentationLoss()
    module.training_step(batch, 0)
    expected = 0.0
    for frame in unroll(tiny, batch, forced=torch.ones(3, 2, dtype=torch.bool)):
        squares = (frame.quality.detach() - 1).square()
        expected += float((squares[0].mean() + squares[1, 0]) / 2)
    assert logged["train/quality"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("wrong", [-0.1, 1.5])
def test_teacher_forcing_is_a_probability(tiny, module_of, wrong):
    with pytest.raises(ValueError, match=r"expected teacher_forcing, a probability, in \[0, 1\], got"):
        module_of(tiny, teacher_forcing=wrong)


def test_the_loss_is_the_sum_over_frames_of_both_losses(tiny, batch, module_of):
    module = module_of(tiny, quality_weight=0.5)
    logged = without_trainer(module)
    output = module.training_step(batch, 0)
    expected = 0.0
    for frame in unroll(tiny, batch):
        truth = batch.masks[:, frame.time]
        entropy = torch.nn.functional.cross_entropy(frame.logits, batch.labels[:, frame.time])
        squares = (frame.quality - mask_iou(frame.probabilities, truth)).square()
        # clip 0 has two objects, clip 1 only its first
        quality = (squares[0].mean() + squares[1, 0]) / 2
        expected += entropy + 0.5 * quality
    assert float(output["loss"].detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert logged["train/loss"] == pytest.approx(float(expected.detach()), rel=1e-5)


def test_score_and_iou_are_averaged_over_existing_objects(tiny, batch, module_of):
    module = module_of(tiny)
    logged = without_trainer(module)
    output = module.training_step(batch, 0)
    scores = torch.stack([frame.quality for frame in unroll(tiny, batch)])
    expected = (scores[:, 0].sum() + scores[:, 1, 0].sum()) / 6
    assert output["score"].item() == pytest.approx(float(expected))
    assert {"train/iou", "train/segmentation", "train/quality", "train/score"} <= logged.keys()
    assert -1 <= logged["train/score_iou_correlation"] <= 1


def test_the_correlation_of_scores_is_that_of_the_step_it_is_written_for(tiny, batch, module_of):
    module = module_of(tiny)
    logged = without_trainer(module)
    module._trainer.log_every_n_steps = 4  # Lightning then writes what step 3 logged, the fourth
    for step in range(5):
        logged.pop("train/score_iou_correlation", None)
        module._trainer.global_step = step
        module.training_step(batch, 0)
        assert ("train/score_iou_correlation" in logged) == (step == 3)


def test_a_trainer_that_never_logs_is_no_hindrance(tiny, batch, module_of):
    module = module_of(tiny)
    logged = without_trainer(module)
    module._trainer.log_every_n_steps = 0
    module.training_step(batch, 0)
    assert "train/score_iou_correlation" not in logged


def test_without_a_quality_head_only_the_segmentation_is_trained(tiny_without_qam, batch, module_of):
    module = module_of(tiny_without_qam)
    logged = without_trainer(module)
    output = module.training_step(batch, 0)
    assert not module.trains_quality
    assert "score" not in output
    assert "train/quality" not in logged
    assert output["loss"].item() == pytest.approx(logged["train/segmentation"])


def test_an_unknown_quality_gradient_is_refused(tiny, module_of):
    with pytest.raises(ValueError, match="'released', 'encoder', 'detached', got 'half'"):
        module_of(tiny, quality_gradient="half")


class Spoil:
    """In place of a `MaskJitter`."""

    share = 1.0

    def __init__(self, spoil) -> None:
        self.spoil = spoil

    def __call__(self, masks: torch.Tensor, random: object) -> torch.Tensor:
        return self.spoil(masks)


def test_jittered_masks_are_scored_with_their_own_iou(tiny, batch, module_of):
    module = module_of(tiny, quality_gradient="encoder", quality_jitter=1.0)
    logged, shown = without_trainer(module), []
    for batch_idx in (0, 0, 1):
        module.training_step(batch, batch_idx)
        shown.append((logged["train/quality"], logged["train/iou"]))
    plain = module_of(tiny, quality_gradient="encoder")
    logged = without_trainer(plain)
    plain.training_step(batch, 0)
    assert shown[0] == shown[1]  # a training that goes on meets the masks it would have met
    assert shown[1][0] != shown[2][0]
    assert logged["train/quality"] not in (shown[0][0], shown[2][0])
    assert {iou for _, iou in shown} == {logged["train/iou"]}  # of what was predicted


def test_masks_as_predicted_and_jittered_ones_count_alike(tiny, batch, module_of):
    def loss(module) -> float:
        logged = without_trainer(module)
        module.training_step(batch, 0)
        return float(logged["train/quality"])

    plain = loss(module_of(tiny, quality_gradient="encoder"))
    module = module_of(tiny, quality_gradient="encoder", quality_jitter=1.0)
    module._jitter = Spoil(lambda masks: masks)
    assert loss(module) == pytest.approx(plain)  # the same masks twice
    alone = module_of(tiny, quality_gradient="encoder")
    apart = alone._scored_apart
    alone._scored_apart = lambda frames, masks, truth: apart(frames, [0 * mask for mask in masks], truth)
    module._jitter = Spoil(torch.zeros_like)
    assert loss(module) == pytest.approx((plain + loss(alone)) / 2)


def test_jittered_masks_need_a_pass_of_their_own(tiny, module_of):
    with pytest.raises(ValueError, match=r"quality_gradient='encoder' with quality_jitter=0\.5, got 'released'"):
        module_of(tiny, quality_jitter=0.5)


def test_the_quality_loss_counts_from_its_first_step_on(tiny, batch, module_of):
    module = module_of(tiny, quality_start=10)
    logged = without_trainer(module)
    before = module.training_step(batch, 0)
    assert float(before["loss"].detach()) == pytest.approx(logged["train/segmentation"])
    assert "score" not in before  # a head that is not trained yet has not collapsed
    assert "train/score" in logged
    module._trainer.global_step = 10
    together = module.training_step(batch, 1)
    assert float(together["loss"].detach()) == pytest.approx(logged["train/segmentation"] + logged["train/quality"])
    assert "score" in together


def test_a_negative_quality_weight_is_refused(tiny, module_of):
    with pytest.raises(ValueError, match="quality_weight and quality_start of at least 0, got -1 and 0"):
        module_of(tiny, quality_weight=-1)


def test_correlation_is_pearsons():
    assert correlation(torch.tensor([[1.0, 2, 3], [2, 4, 6]])).item() == pytest.approx(1.0)
    assert correlation(torch.tensor([[1.0, 2, 3], [6, 4, 2]])).item() == pytest.approx(-1.0)
    assert correlation(torch.tensor([[1.0, 1, 1], [6, 4, 2]])).item() == 0.0
