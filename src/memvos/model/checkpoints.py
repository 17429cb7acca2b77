"""Models by name and weights from files: memvos checkpoints, released checkpoints, and back.

Loading is strict: every tensor of the file and of the network is accounted for in a `LoadReport`, or there is an error,
and a network is not handed out with parts that were never trained unless that is asked for. Nothing in a file is
executed: tensors only, and its configuration may only name classes of `memvos.model` and those that the caller names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from memvos.errors import InputError
from memvos.model.composition import build, compose, part, places_named, with_places, without_sources
from memvos.model.fitting import check_settings, fit, require_trained
from memvos.model.interface import VOSModel
from memvos.model.released import released_tensors
from memvos.model.state_files import LoadReport, write_pickled, write_safetensors
from memvos.model.weight_file import read_weights, write_weights

TRUNK = "query_encoder.trunk."


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
    check_settings(stored or {}, own, file.source)
    report = fit(model, file)
    if not untrained:
        require_trained(report)
    return model.eval(), report, own


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
        check_settings(file.configuration or {}, configuration, file.source)
    return fit(model, file, training)


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
        write_pickled(path, released_tensors(model, tuple(fresh)))
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
