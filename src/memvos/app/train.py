"""`memvos train`: one stage of training, composed by Hydra and built by five instantiations; a sweep with -m."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from memvos.app import composition, provenance, sweep
from memvos.app.finished import is_trained
from memvos.app.job import teller
from memvos.app.runs import (
    build_model,
    check_numbers,
    data_of,
    instantiate,
    instantiate_all,
    is_first_rank,
    raise_data_faults,
    start_from,
    writable_folder,
)
from memvos.errors import InputError

OUTPUT = "MEMVOS_OUTPUT_DIR"
"""Environment variable by which further ranks, started with the same arguments, find the run's folder."""


def run(arguments: list[str]) -> int:
    """Run the command line."""
    return sweep.launch("train", arguments, train)


def train(config: DictConfig) -> dict[str, Any]:
    """Train one stage and return its provenance.

    Raises:
        InputError: for bad settings or data, before anything is trained.
        KeyboardInterrupt: after Ctrl-C, when last.ckpt is written.
    """
    import torch
    from pytorch_lightning import seed_everything

    from memvos.lit.batch import split_batch
    from memvos.lit.loggers import told
    from memvos.lit.training import fit

    settings = composition.resolved(config)
    check_numbers(settings)
    folder = writable_folder(settings["output_dir"])
    torch.set_num_threads(settings["threads"])
    seed_everything(settings["seed"], workers=True, verbose=False)

    loggers = instantiate_all(settings["logger"])
    trainer = instantiate(
        {**settings["trainer"], "devices": _devices(settings)},
        logger=loggers,
        callbacks=_callbacks(settings),
    )
    batch = split_batch(settings["batch_size"], trainer.world_size, settings["largest_batch"])
    trainer.accumulate_grad_batches = batch.accumulate
    model = build_model(settings["model"], settings["weights"])
    module = instantiate({**settings["lit"], "model": None}, model=model)
    module.remember(model=settings["model"])
    weights = start_from(model, settings, training=True)
    datamodule = instantiate(data_of(settings, "stage"), batch_size=batch.per_device)
    if settings["check_data"] and is_first_rank():
        raise_data_faults(datamodule.trees)

    record = _identify(settings, datamodule.fingerprint(), weights, trainer)
    if done := _already(folder, record, settings["resume"]):
        return done
    last = folder / "checkpoints" / "last.ckpt"
    with _told_to_ranks(folder), told(loggers, settings):
        fit(trainer, module, datamodule, last if settings["resume"] and last.is_file() else None)
        return _finish(folder, record, trainer)  # first: at their end loggers may wait for a server, or fail


@contextlib.contextmanager
def _told_to_ranks(folder: Path) -> Iterator[None]:
    os.environ[OUTPUT] = str(folder.resolve())
    try:
        yield
    finally:
        del os.environ[OUTPUT]


def _devices(settings: dict[str, Any]) -> Any:
    """`trainer.devices`; where it is auto, as many of the devices as share the global batch evenly."""
    from memvos.lit.batch import most_devices
    from memvos.lit.training import device_count

    trainer, batch = settings["trainer"], settings["batch_size"]
    if trainer["devices"] != "auto" or (there := device_count(trainer["accelerator"])) < 2:
        return trainer["devices"]
    taken = most_devices(batch, there, trainer["num_nodes"])
    if taken is None:
        return trainer["devices"]
    if taken < there and is_first_rank():
        print(
            f"note: trainer.devices=auto takes {taken} of {there} devices, the most that share a global batch of "
            f"{batch} evenly",
            file=sys.stderr,
        )
    return taken


def _callbacks(settings: dict[str, Any]) -> list[Any]:
    callbacks = instantiate_all(settings["callbacks"])
    tell = teller()
    return [*callbacks, steps_told(tell)] if tell and is_first_rank() else callbacks


def steps_told(tell: Callable[[int, int, int], None]) -> Any:
    """A callback that tells the steps of the training once a second, as `teller` wants them."""
    from pytorch_lightning import Callback

    class StepsTold(Callback):
        before, written = 0, 0.0

        def on_train_start(self, trainer: Any, *_: Any) -> None:
            self.before = trainer.global_step

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if time.monotonic() - self.written > 1:
                self.written = time.monotonic()
                tell(self.before, trainer.global_step, trainer.max_steps)

    return StepsTold()


def _identify(settings: dict[str, Any], data: str, weights: dict[str, Any] | None, trainer: Any) -> dict[str, Any]:
    """The provenance of this training."""
    start = provenance.weights_identity(weights["path"]) if weights else None
    mark = settings["fingerprint"] or provenance.of_training(settings, data, start)
    return provenance.collect(settings, mark, data, trainer.strategy.root_device.type, str(trainer.precision), weights)


def _already(folder: Path, record: dict[str, Any], resume: bool) -> dict[str, Any] | None:
    """The provenance of the same training if it is finished and its weights are there; else writes the new one.

    Raises:
        InputError: if the folder holds another training.
    """
    known = provenance.read(folder)
    if known and known.get("fingerprint") != record["fingerprint"] and (folder / "checkpoints").exists():
        raise InputError(
            f"{folder} holds another training ({provenance.difference(known, record)}); "
            "choose another output_dir=FOLDER, or delete it"
        )
    if resume and is_trained(folder, record["fingerprint"]):
        print(f"{folder} is finished already; nothing to do")
        return known
    if is_first_rank():
        provenance.write(folder, record)
    return None


def _finish(folder: Path, record: dict[str, Any], trainer: Any) -> dict[str, Any]:
    scores = [callback.latest for callback in trainer.callbacks if hasattr(callback, "latest")]
    record = record | {
        "finished": provenance.now(),
        "steps": trainer.global_step,
        "validation": dict(scores[0]) if scores else {},
    }
    if is_first_rank():
        provenance.write(folder, record)
    return record
