"""Tensors of a weight file into a network, strictly: each of the file and each of the network is accounted for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from memvos.errors import InputError
from memvos.model.backbone import extend_stem
from memvos.model.interface import VOSModel
from memvos.model.layouts import is_neutral
from memvos.model.released import layout_of, setting_apart
from memvos.model.state_files import LoadReport, abridged, check_finite, check_kinds, check_shapes
from memvos.model.weight_file import WeightFile

SINGLE_OBJECT = 4  # input channels of a stem that knows no other objects: colour and the mask
INSIDE = "network."  # of the tensors of a network that a plugin is on
CHANNELS = re.compile(r"(.+)\[:, ([0-9]+):\]")  # how reports name the channels of a stem that a file lacks
SETTLED = ("activations", "norm", "aspp_rates", "output_stride", "whole_frames", "shared_skip", "alignment")
"""Keys of a model's configuration that change no tensor's shape, and yet must stay as they were trained; of a part that
is its class."""


def fit(model: VOSModel, file: WeightFile, training: bool = False) -> LoadReport:
    """Load tensors under our names or a released layout's, strictly; weights of a network fit into a plugin on it.

    Args:
        model: the network, which keeps what it is where the file does not fit.
        file: the weights.
        training: channels that a stem lacks start orthogonal, not at zero.

    Raises:
        InputError: if a tensor is missing, unexpected, of another kind or shape, or holds no numbers,
            or if a released network had other settings.
    """
    network, source = getattr(model, "network", None), file.source
    if isinstance(network, VOSModel) and not any(key.startswith(INSIDE) for key in file.tensors):
        return _of_plugin(model, fit(network, file, training))
    own = model.state_dict()
    layout = layout_of(model, file)
    try:
        names = {key: key if layout is None else layout.ours(key) for key in file.tensors}
    except InputError as error:
        raise InputError(f"{source}: {error}; choose the model that it is of") from error
    loaded = {names[key]: tensor for key, tensor in file.tensors.items()}
    absent = tuple(name for name, part in model.named_children() if not part.state_dict())
    left_out = {name for name in loaded if name.split(".")[0] in absent}
    unexpected = loaded.keys() - own.keys() - left_out
    missing = own.keys() - loaded.keys()
    lacking = {name for name in missing if layout is not None and layout.may_lack(name)}
    if unexpected or missing - lacking:
        raise InputError(
            f"{source}: does not fit {type(model).__name__}: missing {abridged(missing - lacking) or 'nothing'}, "
            f"unexpected {abridged(unexpected) or 'nothing'}; "
            "choose the parts (backbone, prior, quality) that it was trained with"
        )
    loaded = {name: tensor for name, tensor in loaded.items() if name not in left_out}
    check_kinds(loaded, own, source)
    stems = _cut(loaded, file.fresh) if layout is None else [layout.stem]
    extended = [name for stem in stems for name in _extend(loaded, own, stem, training, source)]
    check_shapes(loaded, own, source, "choose the sizes that it was trained with")
    check_finite(loaded, source)
    whole = layout is not None and layout is model.layouts[0]  # weights of another network only start this one
    if whole and (apart := setting_apart(model, layout)):
        raise InputError(f"{source}: {'; '.join(apart)}")
    model.load_state_dict(loaded, strict=False)
    renamed = {key: name for key, name in names.items() if key != name and name in loaded}
    fresh = sorted({*lacking, *extended, *(own.keys() & file.fresh)})
    matched = tuple(name for name in loaded if name not in file.fresh)
    return LoadReport(source, matched, renamed, tuple(fresh), tuple(sorted(left_out)))


def _extend(
    loaded: dict[str, Tensor], own: Mapping[str, Tensor], stem: str, training: bool, source: str
) -> tuple[str, ...]:
    """Give a stem of the single-object stage the channels that it lacks; returns their name."""
    if loaded[stem].ndim != own[stem].ndim:
        return ()  # told with the other shapes
    given, wanted = loaded[stem].shape[1], own[stem].shape[1]
    if given not in (SINGLE_OBJECT, wanted):
        raise InputError(
            f"{source}: {stem} has {given} input channels, expected {wanted}, or {SINGLE_OBJECT} (colour and one mask) "
            "of the single-object stage; give weights that were trained with masks"
        )
    loaded[stem] = extend_stem(loaded[stem], wanted, orthogonal=training)
    return (f"{stem}[:, {given}:]",) if given < wanted else ()


def _cut(loaded: dict[str, Tensor], fresh: Iterable[str]) -> list[str]:
    """Take off what an import gave to stems, which then lack it as those of its source; returns their names."""
    found = [match for name in fresh if (match := CHANNELS.fullmatch(str(name)))]
    cut = {match[1]: loaded[match[1]][:, : int(match[2])] for match in found if match[1] in loaded}
    loaded.update(cut)
    return list(cut)


def _of_plugin(model: VOSModel, report: LoadReport) -> LoadReport:
    """What was loaded into the network of a plugin, as the plugin sees it."""
    settled = getattr(model, "settled", ())
    fresh = [key for key in model.state_dict() if not key.startswith((INSIDE, *settled))]
    return replace(
        report,
        matched=tuple(INSIDE + name for name in report.matched),
        renamed={key: INSIDE + name for key, name in report.renamed.items()},
        missing=(*(INSIDE + name for name in report.missing), *fresh),
        unexpected=tuple(INSIDE + name for name in report.unexpected),
    )


def require_trained(report: LoadReport) -> None:
    """Refuse weights that leave parts of a network as it started.

    Raises:
        InputError: if so, with the parts.
    """
    if fresh := [name for name in report.missing if not is_neutral(name)]:
        parts = sorted({name.removeprefix(INSIDE).split(".")[0] for name in fresh})
        raise InputError(
            f"{report.source}: holds nothing trained for {', '.join(parts)} ({len(fresh)} tensors: {abridged(fresh)}); "
            "choose the model that the weights are of (of a MiVOS checkpoint: mivos), choose those parts away "
            f"(model/quality=none), or train them first: memvos train weights={report.source}"
        )


def check_settings(stored: Mapping[str, Any], current: Mapping[str, Any], source: str, key: str = "model") -> None:
    """What changes a network's output without changing its tensors is as it was when they were trained.

    Args:
        stored: configuration of the weights.
        current: of the network they go into.
        source: of the weights, for the message.
        key: place of the configurations, for the message.

    Raises:
        InputError: if something of `SETTLED` differs.
    """
    if "network" in current and "network" not in stored:
        return check_settings(stored, current["network"], source, f"{key}.network")
    for name in stored.keys() & current.keys():
        place, was, now = f"{key}.{name}", stored[name], current[name]
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            check_settings(was, now, source, place)
            place, was, now = (f"{place}._target_", was.get("_target_"), now.get("_target_"))
        if name in SETTLED and was != now:
            raise InputError(f"{source}: was trained with {place}={was}, the network has {now}; choose {place}={was}")
    return None
