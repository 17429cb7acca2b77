"""`memvos evaluate`: score a trained model, or a floor, on a split; result.json, objects.csv and quality.csv."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from memvos.app import composition, provenance, sweep
from memvos.app.job import teller
from memvos.app.runs import (
    build_model,
    check_numbers,
    data_of,
    describe,
    instantiate,
    instantiate_all,
    raise_data_faults,
    start_from,
    writable_folder,
)
from memvos.errors import InputError

OF_PROTOCOL = ("memory", "previous_mask", "gate", "corruption_rate", "device", "precision", "short_side", "tta")
"""Keys of the configuration that say how videos are segmented."""


def run(arguments: list[str]) -> int:
    """Run the command line."""
    return sweep.launch("evaluate", arguments, evaluate)


def evaluate(config: DictConfig) -> dict[str, Any]:
    """Score one model on one split and return result.json.

    Raises:
        InputError: for bad settings, data or weights, before anything is computed.
    """
    import torch

    from memvos.lit.evaluation import evaluate as score
    from memvos.lit.video_scores import Protocol
    from memvos.model.interface import VOSModel

    settings = composition.resolved(config)
    check_numbers(settings)
    folder = writable_folder(settings["output_dir"])
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])

    model = build_model(settings["model"], settings["weights"])
    if not isinstance(model, VOSModel):
        raise InputError(
            f"{type(model).__name__} segments no videos; choose a network (model=…). How many objects a detector of "
            "proposals finds is logged where it is trained, and where DMN-AOA is evaluated with it"
        )
    weights = start_from(model, settings)
    if weights is None and model.needs_weights and not settings["untrained"]:
        raise InputError("no weights to evaluate; give weights=FILE (or untrained=true for random ones)")
    tree = instantiate(data_of(settings, "split"))
    if settings["check_data"]:
        raise_data_faults([tree])
    if weights and (known := videos_in_training(settings, [video.name for video in tree.videos])):
        print(
            f"note: {len(known)} of {len(tree.videos)} videos were trained on (first: {known[0]!r}), whose scores say "
            "little; leave some out of the training: data.test_videos=[...] for train and evaluate",
            file=sys.stderr,
        )
    require_truth(settings["gate"], tree)
    require_sight(settings["tta"], model)
    videos = tree.sequences()
    record = _identify(settings, tree.fingerprint(), weights)
    loggers = instantiate_all(settings["logger"])
    result = score(
        model,
        videos,
        Protocol(corruption_seed=settings["seed"], scored=tree.protocol, **{key: settings[key] for key in OF_PROTOCOL}),
        folder,
        seen=tree.seen,
        workers=settings["workers"],
        write_masks=settings["write_masks"],
        progress=sys.stderr.isatty(),
        tell=teller(),
        facts={**describe(settings), "provenance": record},
    )
    if loggers:
        _tell(loggers, settings, result)
    print(summary(result, folder, tree.protocol))
    return result


def _tell(loggers: list[Any], settings: dict[str, Any], result: dict[str, Any]) -> None:
    from memvos.lit.loggers import told

    metrics = metrics_of(result)
    with told(loggers, settings):
        for logger in loggers:
            logger.log_metrics(metrics, 0)


def metrics_of(result: dict[str, Any]) -> dict[str, float]:
    """The numbers of result.json for a logger, named as validation names them: test/J&F, test/quality/spearman, ..."""
    split = result["split"]
    scores = {f"{split}/{name}": value for name, value in {**result["scores"], **result.get("youtube", {})}.items()}
    parts = ("quality", "memory", "proposals", "speed")
    beside = {f"{split}/{part}/{name}": value for part in parts for name, value in (result[part] or {}).items()}
    return {name: value for name, value in {**scores, **beside}.items() if value is not None}


def videos_in_training(settings: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Which videos of a folder the weights were trained on, where the run that left them says so.

    Args:
        settings: the configuration of the evaluation.
        names: of the videos that are evaluated.
    """
    recorded = provenance.training_data(settings["weights"]).get("train") or {}
    if "without" not in recorded or _folder(recorded) != _folder(settings["data"][settings["split"]]):
        return []  # other sets tell by their splits
    chosen, without = ([key] if isinstance(key, str) else key for key in (recorded["videos"], recorded["without"]))
    return [name for name in names if (chosen is None or name in chosen) and name not in (without or ())]


def _folder(data: Mapping[str, Any]) -> tuple[Any, ...]:
    """What is the same where two trees find the same videos."""
    return (Path(data.get("root") or "").resolve(), *(data.get(key) for key in ("_target_", "folder", "images")))


def require_truth(gate: str, tree: Any) -> None:
    """The oracle gate goes by true masks of predicted frames.

    Raises:
        InputError: if the data has none, before anything is computed.
    """
    if gate == "oracle" and tree.first_masks_only():
        raise InputError(
            f"gate=oracle needs true masks, and data {tree.name} has none after those that are given; take "
            "gate=predicted, or data whose masks you have"
        )


def require_sight(tta: Any, model: Any) -> None:
    """In several views only proposals of a source that looks at the image lie where the objects are.

    Raises:
        InputError: if the model's proposals are kept in files, before anything is computed.
    """
    source = getattr(model, "proposals", None)
    if tta is not None and hasattr(source, "check"):  # as `check_source` tells them
        raise InputError(
            f"tta shows every frame in several views, and {type(source).__name__} knows it in one; expected a source "
            "that looks at the image: model/proposals=detector or mask_rcnn, or tta=null"
        )


def _identify(settings: dict[str, Any], data: str, weights: dict[str, Any] | None) -> dict[str, Any]:
    """The provenance of this evaluation."""
    from memvos.decode.precision import choose_device, choose_precision

    start = provenance.weights_identity(settings["weights"]) if weights else None
    mark = settings["fingerprint"] or provenance.of_evaluation(settings, data, start)
    device = choose_device(settings["device"])
    precision = str(choose_precision(settings["precision"], device)).removeprefix("torch.")
    return provenance.collect(settings, mark, data, str(device), precision, weights)


def summary(result: dict[str, Any], folder: Path, protocol: str) -> str:
    """One line: the scores in percent, and where the files are.

    Args:
        result: what result.json holds.
        folder: where the files are.
        protocol: which frames count, a name of `memvos.metrics.SCORED`.
    """
    from memvos.lit.result_files import counts
    from memvos.metrics import RULES

    known = {name: result["scores"][name] for name in ("J&F", "J", "F", "J&F_present")} | result.get("youtube", {})
    scores = "  ".join(f"{name} {100 * value:.1f}" for name, value in known.items() if value is not None)
    scores = scores or f"not scored: no masks after the first on frames that count; {RULES[protocol]}"
    return f"{scores}  ({counts(folder)}, {folder})"
