import time
from types import SimpleNamespace

import pytest
import torch

from memvos.lit import (
    ChannelsLast,
    CollapseDetector,
    Divergence,
    DivergenceDetector,
    Progress,
    QualityCollapse,
    ReadMonitor,
)


def feed(detector, scores, accumulate=1, start=0):
    """Train on batches of these scores, `accumulate` of them a step, from step `start` on."""
    trainer = SimpleNamespace(global_step=start, max_steps=start + len(scores) // accumulate)
    for index, score in enumerate(scores):
        detector.on_train_batch_start(trainer, None, None, index)
        trainer.global_step = start + (index + 1) // accumulate
        detector.on_train_batch_end(trainer, None, {"score": torch.tensor(score)}, None, index)


def test_a_collapsed_head_stops_the_training():
    with pytest.raises(QualityCollapse, match=r"below 0.05 for the last 500 steps: the quality head has collapsed"):
        feed(CollapseDetector(), [0.5] * 25 + [0.01] * 500)


def test_a_head_that_has_collapsed_by_the_last_step_is_told_there():
    with pytest.raises(QualityCollapse, match="for the last 506 steps"):
        feed(CollapseDetector(), [0.5] * 4 + [0.01] * 506)  # 510 steps; looked at every 25


def test_a_head_that_recovers_in_time_does_not():
    feed(CollapseDetector(), ([0.01] * 499 + [0.06]) * 3)


def test_accumulated_batches_are_one_step_with_their_mean_score():
    feed(CollapseDetector(), [0.01] * 1996, accumulate=4)  # 499 steps
    with pytest.raises(QualityCollapse, match="for the last 500 steps"):
        feed(CollapseDetector(), [0.01] * 2000, accumulate=4)
    with pytest.raises(QualityCollapse, match="for the last 3 steps"):
        feed(CollapseDetector(patience=3, check_every=1), [0.0, 0.08] * 3, accumulate=2)  # 0.04 a step
    feed(CollapseDetector(patience=3, check_every=1), [0.0, 0.12] * 9, accumulate=2)  # 0.06 a step


def test_a_head_that_is_not_trained_is_not_watched():
    detector, trainer = CollapseDetector(patience=1, check_every=1), SimpleNamespace(global_step=0, max_steps=1)
    detector.on_train_batch_start(trainer, None, None, 0)
    trainer.global_step = 1
    detector.on_train_batch_end(trainer, None, {"loss": torch.zeros(())}, None, 0)
    assert detector.state_dict() == {"below": 0}


def test_the_count_survives_a_checkpoint():
    first, second = CollapseDetector(patience=50), CollapseDetector(patience=50)
    feed(first, [0.0] * 30)
    assert first.state_dict() == {"below": 30}
    second.load_state_dict(first.state_dict())
    with pytest.raises(QualityCollapse):
        feed(second, [0.0] * 20, start=30)


@pytest.mark.parametrize(("step", "batch"), [(3, 24), (10, 3)])
def test_a_loss_that_is_no_number_stops_the_training(step, batch):
    detector, trainer = DivergenceDetector(check_every=25), SimpleNamespace(global_step=step, max_steps=10)
    detector.on_train_batch_end(trainer, None, {"loss": torch.tensor(1e30)}, None, batch)
    with pytest.raises(Divergence, match=f"the loss is nan at step {step}: the training has diverged"):
        detector.on_train_batch_end(trainer, None, {"loss": torch.tensor(torch.nan)}, None, batch)


def test_the_loss_is_looked_at_now_and_then():
    trainer = SimpleNamespace(global_step=3, max_steps=10)
    DivergenceDetector(check_every=25).on_train_batch_end(trainer, None, {"loss": torch.tensor(torch.nan)}, None, 23)


def test_weights_are_kept_in_channels_last_order(tiny):
    ChannelsLast().setup(None, tiny, "fit")
    assert tiny.memory_encoder.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_spread_of_the_read_is_logged_now_and_then(tiny, batch):
    from memvos.lit.unroll import unroll

    logged = []
    logger = SimpleNamespace(log_metrics=lambda metrics, step: logged.append((metrics, step)))
    monitor, module = ReadMonitor(every_steps=2), SimpleNamespace(model=tiny)
    for step in range(3):
        trainer = SimpleNamespace(global_step=step, loggers=[logger])
        monitor.on_train_batch_start(trainer, module, batch, step)
        unroll(tiny, batch)
        monitor.on_train_batch_end(trainer, module, {}, batch, step)
    assert [step for _, step in logged] == [0, 2]
    assert logged[0][0]["train/logit_std"] > 0


def test_progress_counts_optimiser_steps_from_where_the_training_goes_on(capsys):
    bar = Progress(seconds=0.001)
    trainer = SimpleNamespace(max_steps=10, global_step=4, accumulate_grad_batches=2)
    bar.on_train_start(trainer, None)
    for step in (4, 5, 5, 6):
        trainer.global_step = step
        time.sleep(0.002)
        bar.on_train_batch_end(trainer, None, {"loss": torch.tensor(0.25)}, None, 0)
    bar.print("validated")
    bar.on_train_end(trainer, None)
    shown = capsys.readouterr().err
    assert "6/10" in shown
    assert "loss=0.500" in shown  # of the whole step
    assert "validated" in shown


def test_progress_shows_nothing_on_other_ranks(capsys):
    bar = Progress()
    bar.disable()
    trainer = SimpleNamespace(max_steps=10, global_step=0, accumulate_grad_batches=1)
    bar.on_train_start(trainer, None)
    bar.on_train_batch_end(trainer, None, {"loss": torch.tensor(0.25)}, None, 0)
    bar.print("validated")
    bar.on_exception(trainer, None, KeyboardInterrupt())
    assert capsys.readouterr().err == ""
