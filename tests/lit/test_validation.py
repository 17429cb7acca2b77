from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import memvos.lit.validation
from memvos.lit import Checkpoints, Validation, evaluate
from memvos.lit.video_scores import Protocol, VideoScores, score_video
from memvos.metrics import ObjectScore


class Log(list):
    def log_metrics(self, metrics, step):
        self.append((metrics, step))


@pytest.fixture
def trainer(make_videos):
    return SimpleNamespace(
        global_step=0,
        max_steps=10,
        datamodule=SimpleNamespace(val_videos=make_videos(2), val_protocol="davis"),
        callbacks=[],
        loggers=[Log()],
        progress_bar_callback=None,
        precision="32-true",
        global_rank=0,
        world_size=1,
    )


def run_steps(validation, trainer, module, steps):
    for step in steps:
        trainer.global_step = step
        validation.on_train_batch_end(trainer, module, {}, None, 0)


def test_videos_are_scored_every_so_often_and_after_the_last_step(trainer, tiny, module_of):
    run_steps(Validation(every_steps=4), trainer, module_of(tiny), range(1, 11))
    assert [step for _, step in trainer.loggers[0]] == [4, 8, 10]


def test_a_step_of_several_batches_is_validated_once(trainer, tiny, module_of):
    run_steps(Validation(every_steps=4), trainer, module_of(tiny), [4, 4, 4])
    assert len(trainer.loggers[0]) == 1


def test_scores_are_those_of_an_evaluation(trainer, tiny, module_of):
    validation = Validation(every_steps=1)
    run_steps(validation, trainer, module_of(tiny), [1])
    protocol = Protocol(device="cpu", precision="float32")
    scores = evaluate(tiny, trainer.datamodule.val_videos, protocol, progress=False)["scores"]
    assert validation.latest == pytest.approx({name: scores[name] for name in ("J", "F", "J&F", "J&F_present")})
    assert trainer.loggers[0][0][0]["val/J&F"] == pytest.approx(scores["J&F"])


def test_the_recall_of_proposals_is_told_where_a_model_has_any(trainer, tiny, module_of, monkeypatch):
    def with_proposals(segmenter, video, **options):
        return replace(score_video(segmenter, video, **options), covered=(3, 1), coverable=4)

    monkeypatch.setattr(memvos.lit.validation, "score_video", with_proposals)
    watching = Validation(every_steps=1)
    run_steps(watching, trainer, module_of(tiny), [1])
    assert (watching.latest["recall@0.5"], watching.latest["recall@0.7"]) == (0.75, 0.25)


def test_a_stop_does_not_wait_for_the_rest_of_the_videos(trainer, tiny, module_of, monkeypatch, tmp_path):
    checkpoints, begun = Checkpoints(tmp_path), []

    def interrupted(segmenter, video, **options):
        begun.append(video.name)
        checkpoints.stop.arrived = True
        return score_video(segmenter, video, **options)

    monkeypatch.setattr(memvos.lit.validation, "score_video", interrupted)
    trainer.callbacks = [checkpoints]
    validation = Validation(every_steps=1)
    run_steps(validation, trainer, module_of(tiny), [1])
    assert begun == ["video0"]
    assert validation.latest == {}
    assert trainer.loggers[0] == []


def test_the_scores_of_the_last_step_outlive_an_interruption(trainer, tiny, module_of):
    first, second = Validation(every_steps=1), Validation(every_steps=1)
    run_steps(first, trainer, module_of(tiny), [10])
    second.load_state_dict(first.state_dict())
    assert second.latest == first.latest


def test_the_training_mode_of_every_part_is_restored(trainer, tiny, module_of):
    module = module_of(tiny)
    module.train()
    tiny.decoder.eval()
    run_steps(Validation(every_steps=1), trainer, module, [1])
    assert tiny.training
    assert not tiny.decoder.training
    assert all(parameter.requires_grad for parameter in tiny.parameters())


def test_averaged_weights_are_validated(trainer, tiny, module_of):
    from pytorch_lightning.callbacks import EMAWeightAveraging

    module, average = module_of(tiny), EMAWeightAveraging(decay=0.5)
    average.setup(trainer, module, "fit")
    trainer.callbacks = [average]
    expected = Validation(every_steps=1)
    run_steps(expected, trainer, module, [1])
    with torch.no_grad():
        for parameter in tiny.parameters():
            parameter.zero_()
    validation = Validation(every_steps=1)
    run_steps(validation, trainer, module, [1])
    assert validation.latest == expected.latest
    assert all(float(parameter.detach().abs().sum()) == 0 for parameter in tiny.parameters())


def test_without_videos_nothing_is_logged(trainer, tiny, module_of):
    trainer.datamodule.val_videos = []
    run_steps(Validation(every_steps=1), trainer, module_of(tiny), [1])
    assert trainer.loggers[0] == []


def test_videos_without_masks_to_score_by_are_left_out(trainer, tiny, module_of, monkeypatch):
    first_only, whole = trainer.datamodule.val_videos
    first_only.annotated = (0,)
    seen = []
    monkeypatch.setattr(
        memvos.lit.validation,
        "score_video",
        lambda segmenter, video, **options: seen.append(video) or score_video(segmenter, video, **options),
    )
    run_steps(Validation(every_steps=1), trainer, module_of(tiny), [1])
    assert seen == [whole]


def test_videos_are_scored_as_their_tree_says(trainer, tiny, module_of):
    trainer.datamodule.val_protocol = "youtube"
    validation = Validation(every_steps=1)
    run_steps(validation, trainer, module_of(tiny), [1])
    protocol = Protocol(device="cpu", precision="float32", scored="youtube")
    scores = evaluate(tiny, trainer.datamodule.val_videos, protocol, progress=False)["scores"]
    assert validation.latest["J&F"] == pytest.approx(scores["J&F"])


def test_means_of_ranks_are_over_the_objects_that_have_a_score(trainer):
    def part(*values):
        none = np.zeros(0)
        made = [np.array([value]) if value is not None else none for value in values]
        return VideoScores([ObjectScore("v", 1, j, j, np.ones(len(j), bool)) for j in made])

    trainer.world_size = 2
    trainer.strategy = SimpleNamespace(
        reduce=lambda sums, reduce_op: sums + torch.tensor([[0.5, 1]] * 4 + [[0, 0]] * 2)
    )
    means = memvos.lit.validation._means(trainer, torch.device("cpu"), [part(0.25, None)])
    assert means == dict.fromkeys(("J", "F", "J&F", "J&F_present"), pytest.approx(0.375))  # (0.25 + 0.5) / 2
