"""`memvos segment INPUT --masks FIRST --out DIR`: follow the objects of a video; masks and quality.csv as they come."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from memvos.app import composition, provenance, sweep
from memvos.app.finished import OVERLAY, QUALITY
from memvos.app.runs import build_model, writable_folder
from memvos.errors import InputError, check_number, check_switch

HELP = """usage: memvos segment INPUT --masks FIRST --out DIR [weights=FILE] [OPTION=VALUE ...]

INPUT is a video file, a folder of images, a camera (/dev/video0) or a stream (rtsp://...).
FIRST is the mask of the first frame (a PNG whose values are object ids), or a folder of masks named as their frames:
objects may come in, and be corrected, at any frame. DIR gets one mask per frame and quality.csv, which says for every
frame and object how good the network, if it has QAM, believes its mask to be: sort by it to see which frames to check.
After Ctrl-C the same command goes on where it was, also with masks added for frames to come, and what is finished is
not done again (a camera or a stream starts again).

  --masks FIRST, --out DIR, --weights FILE, --overlay (a video with the objects tinted, too)
  --model NAME          a network of conf/model; left out, that of the weights, if they are a checkpoint of memvos, or
                        qdmn; matching_medium (with memory=first_previous) needs no weights
  model/PART=CHOICE     a part of the network, and model.KEY=VALUE a value, as for memvos evaluate; DMN-AOA needs
                        model/proposals=detector model.proposals.checkpoint=FILE
  --config-dir FOLDER   configurations of your own, e.g. of a network
  memory=NAME           a preset of conf/memory; memory.sigma=, memory.beta=, memory.every= change it
  threshold=true        masks have smoothed edges: grey values of 128 and more are the object
  ignore=[255]          values of masks that are read as background
  device= precision= short_side= top_k= kernel= (null: no limit) threads= untrained=true (random weights)
  -m                    sweep, e.g. -m memory.sigma=0.5,0.8"""
OPTIONS = {"--masks": "masks", "--out": "output_dir", "--weights": "weights", "--model": "model"}
PATHS = ("input", "masks", "output_dir", "weights")


def run(arguments: list[str]) -> int:
    """Run the command line."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0 if arguments else 2
    return sweep.launch("segment", translate(arguments), segment)


def translate(arguments: Sequence[str]) -> list[str]:
    """Turn the friendly options into overrides, after Hydra's own options, which pass.

    Raises:
        InputError: if an option lacks its value, or there is more than one input.
    """
    of_hydra, waiting = composition.split_options(arguments)
    is_sweep = bool(set(composition.SWEEP) & set(of_hydra))
    names = {**OPTIONS, "--out": "hydra.sweep.dir"} if is_sweep else {**OPTIONS, **{key: key for key in PATHS}}
    overrides: list[str] = []
    while waiting:
        argument = waiting.pop(0)
        option, equals, value = argument.partition("=")
        if option in names and value != "null" and (equals or option.startswith("-")):
            if not equals and (not waiting or waiting[0].startswith("-")):
                raise InputError(f"{option} needs a value: {option} PATH")
            overrides.append(f"{names[option]}={composition.path_value(value if equals else waiting.pop(0))}")
        elif argument == "--overlay":
            overrides.append("overlay=true")
        elif option.startswith("--"):
            known = ", ".join((*OPTIONS, "--overlay", "--config-dir"))
            raise InputError(f"unknown option {option}; expected {known}, or OPTION=VALUE (memvos segment --help)")
        elif argument.startswith(("-", "+", "~")) or _is_override(argument):
            overrides.append(argument)
        elif any(override.startswith("input=") for override in overrides):
            raise InputError(f"expected one input, got a second: {argument}")
        else:
            overrides.append(f"input={composition.path_value(argument)}")
    return [*of_hydra, *overrides]


def segment(config: DictConfig) -> None:
    """Segment one video.

    Raises:
        InputError: for a missing or unreadable input, mask or weights, before anything is written.
    """
    for key, option in (("input", "INPUT"), ("masks", "--masks FIRST"), ("output_dir", "--out DIR")):
        if not config[key]:
            raise InputError(f"{option} is missing; expected memvos segment INPUT --masks FIRST --out DIR")
    import torch

    from memvos.app.given_masks import find_masks, look_over, noted
    from memvos.app.segment_progress import SegmentProgress, identity
    from memvos.data.files import MaskFormat
    from memvos.decode.video import follow, open_frames
    from memvos.decode.writers import MaskWriter, OverlayWriter, QualityWriter, write_given
    from memvos.lit.evaluation import has_quality_head

    settings = composition.resolved(config)
    _check(settings)
    if settings["threads"] is not None:
        torch.set_num_threads(settings["threads"])
    frames = open_frames(settings["input"], without=[settings["masks"]])
    given: dict[str, list[int]] = {}
    reader = MaskFormat(threshold=settings["threshold"], ignore=settings["ignore"])
    found = find_masks(Path(settings["masks"]), frames)
    _spare_inputs(settings, frames, found.values())
    look_over(found.values(), reader)
    masks = {name: partial(noted, given, name, partial(reader.read, path)) for name, path in found.items()}
    overrides = HydraConfig.get().overrides.task
    is_chosen = any(composition.key_of(override) == "model" for override in overrides)
    chosen = composition.places(overrides, "model")
    segmenter = build_segmenter(settings, chosen, is_chosen)
    folder = writable_folder(settings["output_dir"], "--out")
    run = identity(settings, frames, found, segmenter.model, [is_chosen, *chosen])
    progress = SegmentProgress(folder, segmenter, given, run)
    if progress.is_finished(settings["overlay"]):
        print(f"{folder} is finished already; nothing to do (delete it to segment the video again)")
        return
    record = _identify(settings, run, segmenter)
    if told := progress.go_on():
        _note(told)
    predicted = has_quality_head(segmenter.model)
    if not predicted:
        _note("this network has no quality head (QAM): the column quality of quality.csv stays empty")
    video = video_name(settings["input"])
    shown = iter(_shown(frames))
    steps = follow(segmenter, progress.watched(shown), progress.waiting(masks), video)
    with contextlib.ExitStack() as files:
        files.enter_context(progress.stoppable())
        # A first mask that does not fit its frame, and a memory that the second cannot read, are told before results
        # are written over.
        first = [] if progress.names else list(islice(steps, 2))
        if not progress.names and (folder / QUALITY).is_file():
            _note(f"{folder} holds results of an earlier run; masks of frames that do not come again stay")
        progress.start()
        quality = files.enter_context(QualityWriter(folder / QUALITY, predicted, progress.written(video)))
        overlay = files.enter_context(OverlayWriter(folder / OVERLAY, frames.rate)) if settings["overlay"] else None
        writer = MaskWriter(folder)
        for name, frame in progress.passed(shown):
            if overlay is not None:  # which cannot be added to
                overlay.write(frame, writer.read(name))
        for name, frame, step in chain(first, steps):
            if name in given:
                write_given(folder, given)
            writer.write(name, step.labels)
            quality.write(video, name, step)
            if overlay is not None:
                overlay.write(frame, step.labels)
            progress.names.append(name)
    progress.finish(settings["overlay"], record)
    if told := getattr(frames, "cut_off", None):
        _note(told)
    print(f"{len(progress.names)} masks of objects {', '.join(map(str, segmenter.ids))} and quality.csv in {folder}")


def _check(settings: dict[str, Any]) -> None:
    """Refuse settings that cannot be, and output that would overwrite input.

    Raises:
        InputError: if so.
    """
    if settings["threads"] is not None:
        check_number("threads", settings["threads"], 1)
    for key in ("overlay", "untrained", "threshold"):
        check_switch(key, settings[key])
    target = Path(settings["output_dir"]).resolve()
    for key, what in (("input", "INPUT"), ("masks", "--masks")):
        if "://" not in str(settings[key]) and Path(settings[key]).resolve() == target:
            raise InputError(
                f"--out and {what} are the same folder, {target}, whose files would be overwritten; name another"
            )


def _spare_inputs(settings: dict[str, Any], frames: Any, masks: Iterable[Path]) -> None:
    """Refuse to write a mask over a frame or a mask that is given, or to lose a video that lies where overlays do.

    Raises:
        InputError: if so.
    """
    from memvos.app.given_masks import names_of
    from memvos.data.files import MASK_SUFFIX

    target, known = Path(settings["output_dir"]).resolve(), names_of(frames)
    for path in (*getattr(frames, "paths", [Path(settings["input"])]), *masks):
        real = path.resolve() if path.suffix.lower() == MASK_SUFFIX or path.is_symlink() else path
        if real.parent == target and real.suffix.lower() == MASK_SUFFIX and known(real.stem):
            raise InputError(f"{real} would be overwritten by the mask found for frame {real.stem}; name another --out")
    if Path(settings["input"]).resolve() == target / OVERLAY:
        raise InputError(f"{target / OVERLAY} would be lost as an overlay of an earlier call; name another --out")


def _identify(settings: dict[str, Any], run: Any, segmenter: Any) -> dict[str, Any]:
    """The provenance of these masks."""
    mark, data = (run.fingerprint, run.marks["input"]) if run else (None, None)
    path = settings["weights"]
    weights = path and {"path": path, "sha256": provenance.file_digest(path)}
    precision = str(segmenter.dtype).removeprefix("torch.")
    return provenance.collect(settings, mark, data, str(segmenter.device), precision, weights)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def video_name(source: str) -> str:
    """What quality.csv calls the video: the folder's name, or the file's without its suffix."""
    path = Path(source)
    return path.resolve().name if path.is_dir() else path.stem


def build_segmenter(settings: dict[str, Any], chosen: Sequence[str] = (), is_chosen: bool = True) -> Any:
    """The network with its weights in a stepper.

    Args:
        settings: the configuration.
        chosen: places below `model` that the command line changed: there the weights' own configuration gives way.
        is_chosen: did the command line choose the network? If not, it is that of the weights.

    Raises:
        InputError: if there are no weights, or they do not fit.
    """
    from memvos import Segmenter
    from memvos.model.checkpoints import load_configured
    from memvos.model.composition import targets

    configuration, weights = settings["model"], settings["weights"]
    if weights is None:
        model = untrained_model(configuration, settings["untrained"])
    else:
        trusted = set(targets(configuration))
        model = load_configured(configuration, weights, chosen, settings["untrained"], trusted, not is_chosen)[0]
    memory, device, precision = (settings[key] for key in ("memory", "device", "precision"))
    return Segmenter(model, memory, device, precision, short_side=settings["short_side"], **chosen_read(settings))


def untrained_model(configuration: dict[str, Any], allowed: bool) -> Any:
    """A network as its configuration starts it.

    Raises:
        InputError: if it has to be trained before it is of any use, and is not allowed to be as it starts.
    """
    from memvos.model.composition import needs_weights

    if needs_weights(configuration) and not allowed:
        raise InputError(
            f"no weights for {configuration['_target_'].rpartition('.')[2]}: give --weights FILE, a checkpoint of "
            "memvos train or a released one (or untrained=true for random ones); --model matching_medium "
            "memory=first_previous needs none, and gives rough masks"
        )
    return build_model(configuration, None)


def chosen_read(settings: dict[str, Any]) -> dict[str, Any]:
    """The changes to the network's memory read: what is not its own."""
    return {key: settings[key] for key in ("top_k", "kernel") if settings[key] != "own"}


def _is_override(argument: str) -> bool:
    """Is it KEY=VALUE rather than the path of a file whose name has a `=`?"""
    _, equals, _ = argument.partition("=")
    return bool(equals) and not Path(argument).exists()


def _shown(frames: Any) -> Any:
    from tqdm import tqdm

    return tqdm(frames, total=len(frames) or None, unit="frame", desc="segmenting")
