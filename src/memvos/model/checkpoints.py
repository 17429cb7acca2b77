"""Models by name and weights from files: memvos checkpoints, released checkpoints, and back.

Loading is strict: every tensor of the file and of the network is accounted for in a `LoadReport`, or there is an error.
Nothing in a file is executed: tensors only, and a configuration may only name classes of `memvos.model`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from memvos.errors import InputError
from memvos.model.backbone import extend_stem
from memvos.model.composition import build, compose, with_options, without_sources
from memvos.model.interface import VOSModel
from memvos.model.layouts import FOREIGN, Layout
from memvos.model.state_files import (
    LoadReport,
    abridged,
    check_finite,
    check_shapes,
    read_file,
    write_pickled,
    write_safetensors,
)

PREFIX = "model."  # of a network's tensors in a training checkpoint
TRUNK = "query_encoder.trunk."
INSIDE = "network."  # of the tensors of a network that a plugin is on


def load_model(name: str, weights: str | Path | None = None, **options: Any) -> VOSModel:
    """Return a network in eval mode.

    Args:
        name: a configuration in conf/model, e.g. "qdmn".
        weights: a memvos checkpoint (.ckpt, .safetensors), which brings its own configuration, or a released
            checkpoint; None builds the network as its configuration starts it (ImageNet encoders, fresh rest).
        options: changes to the configuration: a part by name (quality="none", prior="strong", read="softmax",
            backbone="resnet18") or a value (key_channels=64).

    Raises:
        InputError: if the name or an option is unknown, or the weights are damaged or of another network.
        FileNotFoundError: if there is no such weight file.
    """
    if weights is None:
        return build(compose(name, options)).eval()
    return load_checkpoint(name, weights, options)[0]


def load_checkpoint(
    name: str, weights: str | Path, options: Mapping[str, Any] | None = None
) -> tuple[VOSModel, LoadReport, dict[str, Any]]:
    """As `load_model`; returns the network, what was loaded, and the network's configuration as a plain dictionary."""
    options = dict(options or {})
    tensors, stored = _read(weights)
    if stored is None:
        released = "score.fc2.weight" in tensors and "quality" not in options
        configuration = compose(name, {**options, **({"quality": "qam_released"} if released else {})})
    else:
        expected = compose(name, {})["_target_"]
        if stored.get("_target_") != expected:
            raise InputError(
                f"{weights}: holds a {stored.get('_target_')}, {name!r} is a {expected}; load it by its own name"
            )
        configuration = with_options(name, stored, options)
    model = build(without_sources(configuration))
    report = _fit(model, tensors, str(weights))
    return model.eval(), report, configuration


def load_weights(model: VOSModel, weights: str | Path) -> LoadReport:
    """Load the weights of any kind of checkpoint into a network that is already built.

    Raises:
        InputError: if the file is damaged or of another network.
        FileNotFoundError: if there is no such file.
    """
    return _fit(model, _read(weights)[0], str(weights))


def save_model(model: VOSModel, path: str | Path, configuration: Mapping[str, Any]) -> None:
    """Write a network; the suffix decides how.

    .ckpt and .safetensors hold memvos's names and the configuration, so that `load_model` needs nothing else; .pth
    holds the names of the released checkpoint, for the authors' code.

    Raises:
        InputError: if the suffix is unknown, the network has no released layout or parts that it lacks, or the file
            cannot be written.
    """
    path = Path(path)
    tensors = model.state_dict()
    if path.suffix == ".safetensors":
        write_safetensors(path, tensors, {"model": configuration})
    elif path.suffix == ".ckpt":
        named = {PREFIX + key: tensor for key, tensor in tensors.items()}
        write_pickled(path, {"state_dict": named, "hyper_parameters": {"model": dict(configuration)}})
    elif path.suffix == ".pth":
        layouts = getattr(model, "layouts", ())
        if not layouts:
            raise InputError(f"{type(model).__name__} has no released layout; write .ckpt or .safetensors")
        write_pickled(path, {layouts[0].released(key): tensor for key, tensor in tensors.items()})
    else:
        raise InputError(f"{path}: unknown kind of weight file {path.suffix!r}; write .ckpt, .safetensors or .pth")


def import_checkpoint(name: str, source: str | Path, destination: str | Path) -> LoadReport:
    """Turn a checkpoint of any known kind into another (see `save_model`); returns what was loaded."""
    model, report, configuration = load_checkpoint(name, source)
    save_model(model, destination, configuration)
    return report


def import_backbone(source: str | Path, destination: str | Path) -> LoadReport:
    """Write the query encoder's trunk of a memvos checkpoint, in half precision, for `ResNet(weights=destination)`.

    Raises:
        InputError: if the destination is not a .safetensors file, or the source is no memvos checkpoint with a trunk.
    """
    if Path(destination).suffix != ".safetensors":
        raise InputError(f"{destination}: a backbone is written as .safetensors; give such a name")
    tensors, configuration = _read(source)
    trunk = {key.removeprefix(TRUNK): value for key, value in tensors.items() if key.startswith(TRUNK)}
    if configuration is None or not trunk:
        raise InputError(f"{source}: no query encoder of a memvos checkpoint in it; give a training's final.ckpt")
    counters = {key for key in trunk if key.endswith("num_batches_tracked")}
    kept = {key: value.half() for key, value in trunk.items() if key not in counters}
    write_safetensors(destination, kept, {"backbone": configuration["backbone"]})
    renamed = {TRUNK + key: key for key in kept}
    return LoadReport(str(source), tuple(sorted(kept)), renamed, (), tuple(sorted(tensors.keys() - renamed.keys())))


def _read(weights: str | Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Tensors by name without wrappers and prefixes, and the configuration stored beside them, if any."""
    content = read_file(weights)
    stored = _stored(content.pop("__metadata__", {}), content, weights)
    if isinstance(content.get("state_dict"), dict):
        content = {
            key.removeprefix(PREFIX): value
            for key, value in content["state_dict"].items()
            if str(key).startswith(PREFIX)
        }
    elif isinstance(content.get("network"), dict):
        content = content["network"]
    content = {str(key): value for key, value in content.items()}
    if content and all(key.startswith("module.") for key in content):
        content = {key.removeprefix("module."): value for key, value in content.items()}
    strangers = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if strangers or not content:
        raise InputError(
            f"{weights}: no weights of a network in it (it holds {abridged(list(content)) or 'nothing'}); "
            "give a state_dict, a training checkpoint of memvos or a released checkpoint"
        )
    return content, stored


def _stored(metadata: Mapping[str, Any], content: Mapping[str, Any], weights: str | Path) -> dict[str, Any] | None:
    """The network's configuration that a file of memvos holds; None in any other."""
    try:
        stored = json.loads(metadata["model"]) if "model" in metadata else None
    except ValueError:
        stored = metadata["model"]
    if "hyper_parameters" in content:
        facts = content["hyper_parameters"]
        stored = facts.get("model") if isinstance(facts, dict) else facts
    if stored is None or isinstance(stored, dict):
        return stored
    raise InputError(
        f"{weights}: expected the configuration of a network in it, got {str(stored)[:40]!r}; it is damaged, or not a "
        "checkpoint of memvos"
    )


def _fit(model: VOSModel, tensors: dict[str, Tensor], source: str) -> LoadReport:
    """Load tensors under our names or a released layout's, strictly; weights of a network fit into a plugin on it."""
    network = getattr(model, "network", None)
    if isinstance(network, VOSModel) and not any(key.startswith(INSIDE) for key in tensors):
        return _of_plugin(model, _fit(network, tensors, source))
    own = model.state_dict()
    layout = _layout(model, tensors, source)
    _check_activations(model, layout, source)
    names = {key: key if layout is None else layout.ours(key) for key in tensors}
    loaded = {names[key]: tensor for key, tensor in tensors.items()}
    absent = tuple(name for name, part in model.named_children() if not part.state_dict())
    left_out = {name for name in loaded if name.split(".")[0] in absent}
    unexpected = loaded.keys() - own.keys() - left_out
    missing = own.keys() - loaded.keys()
    fresh = {name for name in missing if layout is not None and layout.may_lack(name)}
    if unexpected or missing - fresh:
        raise InputError(
            f"{source}: does not fit {type(model).__name__}: missing {abridged(missing - fresh) or 'nothing'}, "
            f"unexpected {abridged(unexpected) or 'nothing'}; "
            "choose the parts (backbone, prior, quality) that it was trained with"
        )
    loaded = {name: tensor for name, tensor in loaded.items() if name not in left_out}
    if layout is not None and layout.stem in loaded:
        loaded[layout.stem] = extend_stem(loaded[layout.stem], own[layout.stem].shape[1])
    check_shapes(loaded, own, source, "choose the sizes that it was trained with")
    check_finite(loaded, source)
    model.load_state_dict(loaded, strict=False)
    renamed = {key: name for key, name in names.items() if key != name and name in loaded}
    return LoadReport(source, tuple(loaded), renamed, tuple(sorted(fresh)), tuple(sorted(left_out)))


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


def _check_activations(model: VOSModel, layout: Layout | None, source: str) -> None:
    expected = None if layout is None else layout.activations
    found = getattr(getattr(model, "quality", None), "activations", expected)
    if expected is not None and found != expected:
        raise InputError(
            f"{source}: the score head of {layout.title} has activations {', '.join(expected)}, the network has "
            f"{', '.join(found)}; choose model/quality=qam_released"
        )


def _layout(model: VOSModel, tensors: dict[str, Tensor], source: str) -> Layout | None:
    """The released layout the tensors are named by; None where they have our names."""
    layouts: tuple[Layout, ...] = getattr(model, "layouts", ())
    for layout in layouts:
        if layout.signature <= tensors.keys():
            return layout
    kind = next((title for title, name in FOREIGN.items() if name in tensors), None)
    if kind is None and tensors.keys() & model.state_dict().keys():
        return None
    known = ", ".join(["memvos", *(layout.title for layout in layouts)])
    raise InputError(
        f"{source}: a checkpoint of {kind or 'another network'} (its first tensor is {next(iter(tensors))}), "
        f"{type(model).__name__} takes one of {known}; give such a file or choose the model that it belongs to"
    )
