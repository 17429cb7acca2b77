"""Models by name and weights from files: memvos checkpoints, released checkpoints, and back.

Loading is strict: every tensor of the file and of the network is accounted for in a `LoadReport`, or there is an error,
and a network is not handed out with parts that were never trained unless that is asked for. Nothing in a file is
executed: tensors only, and its configuration may only name classes of `memvos.model` and those that the caller names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from memvos.errors import InputError
from memvos.model.backbone import extend_stem
from memvos.model.composition import build, compose, part, places_named, with_places, without_sources
from memvos.model.interface import VOSModel
from memvos.model.layouts import FOREIGN, Layout, is_neutral
from memvos.model.state_files import (
    LoadReport,
    abridged,
    check_finite,
    check_shapes,
    write_pickled,
    write_safetensors,
)
from memvos.model.weight_file import WeightFile, read_weights, write_weights

TRUNK = "query_encoder.trunk."
SINGLE_OBJECT = 4  # input channels of a stem that knows no other objects: colour and the mask
INSIDE = "network."  # of the tensors of a network that a plugin is on
CHANNELS = re.compile(r"(.+)\[:, ([0-9]+):\]")  # how reports name the channels of a stem that a file lacks
SETTLED = ("activations", "norm", "aspp_rates", "output_stride", "whole_frames", "shared_skip", "alignment")
"""Keys of a model's configuration that change no tensor's shape, and yet must stay as they were trained; of a part that
is its class."""


def load_model(name: str, weights: str | Path | None = None, *, untrained: bool = False, **options: Any) -> VOSModel:
    """Return a network in eval mode.

    Args:
        name: a configuration in conf/model, e.g. "qdmn".
        weights: a memvos checkpoint (.ckpt, .safetensors), which brings its own configuration (STM, KMN and MiVOS are
            one network, whose name says how it reads), or a released checkpoint; None builds the network as its
            configuration starts it (ImageNet encoders, fresh rest).
        untrained: take weights even if they leave parts of the network as it started.
        options: changes to the configuration: a part by name (quality="none", prior="strong", read="softmax",
            backbone="resnet18") or a value (key_channels=64, of a part **{"backbone.weights": "resnet50.pth"}).

    Raises:
        InputError: if the name or an option is unknown, or the weights are damaged, of another network, or lack parts
            that need training.
        FileNotFoundError: if there is no such weight file.
    """
    if weights is None:
        return build(compose(name, options)).eval()
    return load_checkpoint(name, weights, options, untrained)[0]


def load_checkpoint(
    name: str, weights: str | Path, options: Mapping[str, Any] | None = None, untrained: bool = False
) -> tuple[VOSModel, LoadReport, dict[str, Any]]:
    """As `load_model`; returns the network, what was loaded, and the network's configuration as a plain dictionary."""
    options = dict(options or {})
    return load_configured(compose(name, options), weights, options, untrained)


def load_configured(
    configuration: Mapping[str, Any],
    weights: str | Path,
    chosen: Collection[str] = (),
    untrained: bool = False,
    trusted: Collection[str] = (),
    any_network: bool = False,
) -> tuple[VOSModel, LoadReport, dict[str, Any]]:
    """As `load_checkpoint`, of a configuration that is composed already.

    Args:
        configuration: of a network; where the weights bring their own, only what was chosen is taken of it.
        weights: as for `load_model`.
        chosen: places of the configuration ("quality", "backbone.output_stride") that win over that of the weights.
        untrained: as for `load_model`.
        trusted: classes outside `memvos.model` that may be made.
        any_network: the network is not chosen: weights that bring their own configuration may be of another one.
    """
    file = read_weights(weights)
    stored, own = file.configuration, dict(configuration)
    if stored is not None:
        if "network" in own and stored.get("_target_") == own["network"]["_target_"]:
            stored = {**own, "network": stored}  # weights of a network alone, for a plugin on it
        if stored.get("_target_") == own["_target_"]:
            by_name = () if any_network else places_named(stored, own)
            own = with_places(stored, configuration, [*by_name, *chosen])
        elif any_network and not chosen:
            own = stored
        else:
            raise InputError(
                f"{weights}: holds a {stored.get('_target_')}, the chosen model is a {own['_target_']}; "
                "choose the model that it is of"
            )
    elif "score.fc2.weight" in file.tensors and "quality" in own and "quality" not in chosen:
        own["quality"] = part("quality", "qam_released")
    model = build(without_sources(own), trusted)
    _check_settings(stored or {}, own, file.source)
    report = _fit(model, file)
    if not untrained:
        require_trained(report)
    return model.eval(), report, own


def never_trained(report: LoadReport) -> list[str]:
    """Names of the network's tensors that needed training and had none: what is missing and not neutral."""
    return [name for name in report.missing if not is_neutral(name)]


def require_trained(report: LoadReport) -> None:
    """Refuse weights that leave parts of a network as it started.

    Raises:
        InputError: if so, with the parts.
    """
    if fresh := never_trained(report):
        parts = sorted({name.removeprefix(INSIDE).split(".")[0] for name in fresh})
        raise InputError(
            f"{report.source}: holds nothing trained for {', '.join(parts)} ({len(fresh)} tensors: {abridged(fresh)}); "
            "choose the model that the weights are of (of a MiVOS checkpoint: mivos), choose those parts away "
            f"(model/quality=none), or train them first: memvos train weights={report.source}"
        )


def load_weights(
    model: VOSModel, weights: str | Path, configuration: Mapping[str, Any] | None = None, training: bool = False
) -> LoadReport:
    """Load the weights of any kind of checkpoint into a network that is already built.

    Args:
        model: the network.
        weights: the file.
        configuration: of the network; given one, what has no tensors and yet must be as it was trained is compared.
        training: a training starts here: channels that a stem lacks start orthogonal, as published, not at zero, which
            leaves the network what it was.

    Raises:
        InputError: if the file is damaged, of another network, or of one with other settings.
        FileNotFoundError: if there is no such file.
    """
    file = read_weights(weights)
    if configuration is not None:
        _check_settings(file.configuration or {}, configuration, file.source)
    return _fit(model, file, training)


def save_model(model: VOSModel, path: str | Path, configuration: Mapping[str, Any], fresh: Iterable[str] = ()) -> None:
    """Write a network; the suffix decides how.

    .ckpt and .safetensors hold memvos's names and the configuration, so that `load_model` needs nothing else; .pth
    holds the names of the released checkpoint, for the authors' code.

    Args:
        model: the network.
        path: where to.
        configuration: of the network.
        fresh: names of what an import left as it started, kept beside the tensors.

    Raises:
        InputError: if the suffix is unknown, the authors' code would read the network as another one, or the file
            cannot be written.
    """
    path = Path(path)
    if path.suffix in (".ckpt", ".safetensors"):
        write_weights(path, model.state_dict(), configuration, fresh)
    elif path.suffix == ".pth":
        write_pickled(path, _released(model, tuple(fresh)))
    else:
        raise InputError(f"{path}: unknown kind of weight file {path.suffix!r}; write .ckpt, .safetensors or .pth")


def import_checkpoint(name: str, source: str | Path, destination: str | Path) -> LoadReport:
    """Turn a checkpoint of any known kind into another (see `save_model`); returns what was loaded."""
    model, report, configuration = load_checkpoint(name, source, untrained=True)
    save_model(model, destination, configuration, report.missing)
    return report


def import_backbone(source: str | Path, destination: str | Path) -> LoadReport:
    """Write the query encoder's trunk of a memvos checkpoint, in half precision, for `ResNet(weights=destination)`.

    Raises:
        InputError: if the destination is not a .safetensors file, or the source is no memvos checkpoint with a trunk.
    """
    if Path(destination).suffix != ".safetensors":
        raise InputError(f"{destination}: a backbone is written as .safetensors; give such a name")
    file = read_weights(source)
    trunk = file.of(TRUNK).tensors
    if file.configuration is None or not trunk:
        raise InputError(f"{source}: no query encoder of a memvos checkpoint in it; give a training's final.ckpt")
    counters = {key for key in trunk if key.endswith("num_batches_tracked")}
    kept = {key: value.half() for key, value in trunk.items() if key not in counters}
    write_safetensors(destination, kept, {"backbone": file.configuration["backbone"]})
    renamed = {TRUNK + key: key for key in kept}
    others = tuple(sorted(file.tensors.keys() - renamed.keys()))
    return LoadReport(str(source), tuple(sorted(kept)), renamed, (), others)


def _released(model: VOSModel, fresh: tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors under the names of the released checkpoint, if the authors' code would build the same network."""
    layouts: tuple[Layout, ...] = getattr(model, "layouts", ())
    if not layouts:
        raise InputError(f"{type(model).__name__} has no released layout; write .ckpt or .safetensors")
    layout, remedy = layouts[0], "write .ckpt or .safetensors"
    _check_head(model, layout, remedy)
    _check_grid(model, layout, remedy)
    tensors = {layout.released(key): tensor for key, tensor in model.state_dict().items()}
    if lacking := layout.parts - {name.split(".")[0] for name in tensors}:
        raise InputError(f"{layout.title} has parts that this network lacks ({abridged(lacking)}); {remedy}")
    if untrained := [name for name in fresh if not is_neutral(name)]:
        raise InputError(f"{abridged(untrained)} were never trained; write .ckpt or .safetensors, which say so")
    return tensors


def _fit(model: VOSModel, file: WeightFile, training: bool = False) -> LoadReport:
    """Load tensors under our names or a released layout's, strictly; weights of a network fit into a plugin on it."""
    network, source = getattr(model, "network", None), file.source
    if isinstance(network, VOSModel) and not any(key.startswith(INSIDE) for key in file.tensors):
        return _of_plugin(model, _fit(network, file, training))
    own = model.state_dict()
    layout = _layout(model, file)
    if layout is not None:
        _check_head(model, layout, "choose model/quality=qam_released")
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
    stems = _cut(loaded, file.fresh) if layout is None else [layout.stem]
    extended = [name for stem in stems for name in _extend(loaded, own, stem, training, source)]
    check_shapes(loaded, own, source, "choose the sizes that it was trained with")
    check_finite(loaded, source)
    model.load_state_dict(loaded, strict=False)
    renamed = {key: name for key, name in names.items() if key != name and name in loaded}
    fresh = sorted({*lacking, *extended, *(own.keys() & file.fresh)})
    matched = tuple(name for name in loaded if name not in file.fresh)
    return LoadReport(source, matched, renamed, tuple(fresh), tuple(sorted(left_out)))


def _extend(
    loaded: dict[str, Tensor], own: Mapping[str, Tensor], stem: str, training: bool, source: str
) -> tuple[str, ...]:
    """Give a stem of the single-object stage the channels that it lacks; returns their name."""
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


def _check_head(model: VOSModel, layout: Layout, remedy: str) -> None:
    """A score head has the same tensors whatever its activations and norms are."""
    quality = getattr(model, "quality", None)
    found = getattr(quality, "activations", layout.activations)
    if layout.activations is not None and found != layout.activations:
        raise InputError(
            f"the score head of {layout.title} has activations {', '.join(layout.activations)}, the network has "
            f"{', '.join(found)}; {remedy}"
        )
    if layout.activations is not None and getattr(quality, "norm", "none") != "none":
        raise InputError(f"the score head of {layout.title} has no norm, the network has {quality.norm}; {remedy}")


def _check_grid(model: VOSModel, layout: Layout, remedy: str) -> None:
    """Encoders and an ASPP have the same tensors whatever their strides are."""
    rates = model.aspp.rates if hasattr(model, "aspp") else None
    for name, known, found in (
        ("output_stride", layout.output_stride, model.stride),
        ("aspp_rates", layout.aspp_rates, rates),
    ):
        if found != known:
            raise InputError(f"{layout.title} has {name} {known}, the network has {found}; {remedy}")


def _check_settings(stored: Mapping[str, Any], current: Mapping[str, Any], source: str, key: str = "model") -> None:
    """What changes a network's output without changing its tensors is as it was when they were trained."""
    if "network" in current and "network" not in stored:
        return _check_settings(stored, current["network"], source, f"{key}.network")
    for name in stored.keys() & current.keys():
        place, was, now = f"{key}.{name}", stored[name], current[name]
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            _check_settings(was, now, source, place)
            place, was, now = (f"{place}._target_", was.get("_target_"), now.get("_target_"))
        if name in SETTLED and was != now:
            raise InputError(f"{source}: was trained with {place}={was}, the network has {now}; choose {place}={was}")
    return None


def _layout(model: VOSModel, file: WeightFile) -> Layout | None:
    """The released layout the tensors are named by; None where they have our names."""
    layouts: tuple[Layout, ...] = getattr(model, "layouts", ())
    for layout in layouts:
        if layout.signature <= file.tensors.keys():
            return layout
    kind = next((title for title, name in FOREIGN.items() if name in file.tensors), None)
    if kind is None and file.tensors.keys() & model.state_dict().keys():
        return None
    known = ", ".join(["memvos", *(layout.title for layout in layouts)])
    raise InputError(
        f"{file.source}: a checkpoint of {kind or 'another network'} (its first tensor is {next(iter(file.tensors))}), "
        f"{type(model).__name__} takes one of {known}; give such a file or choose the model that it belongs to"
    )
