"""From a model's name to its configuration (conf/model) and from a configuration to the network."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from memvos.errors import InputError, first_line
from memvos.model.interface import VOSModel
from memvos.paths import conf_dir

TRUSTED = "memvos.model."
_COMPOSING = threading.Lock()
"""Held while Hydra composes: it has one state for the whole process."""


def model_names() -> list[str]:
    """Names of the models in conf/model."""
    return sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))


def part_names(part: str) -> list[str]:
    """Names of the choices for one part of a model ("quality": none, qam, …); empty if it is no such part."""
    return sorted(path.stem for path in (conf_dir() / "model" / part).glob("*.yaml"))


def compose(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a model as a plain dictionary.

    Args:
        name: a configuration in conf/model.
        options: a part by the name of one of its choices, or a value by its key ("backbone.weights" for one in a part).

    Raises:
        InputError: if the name or an option is unknown; the known ones are listed.
    """
    if name not in model_names():
        close = difflib.get_close_matches(str(name), model_names(), 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(f"unknown model {name!r}; known: {', '.join(model_names())}{hint}")
    parts = {key: value for key, value in options.items() if isinstance(value, str | None) and part_names(key)}
    for key, value in parts.items():
        if value not in part_names(key):
            hint = "; did you mean 'none'?" if value is None and "none" in part_names(key) else ""
            raise InputError(f"unknown {key} {value!r}; known: {', '.join(part_names(key))}{hint}")
    configuration = composed(f"model/{name}", [f"model/{key}={value}" for key, value in parts.items()])["model"]
    values = {key: value for key, value in options.items() if key not in parts}
    return _with_values(configuration, values, f"model {name!r}")


def part(kind: str, choice: str) -> dict[str, Any]:
    """The configuration of one part of a model by the names in conf/model, e.g. "quality", "qam"."""
    return composed(f"model/{kind}/{choice}")["model"][kind]


def needs_weights(configuration: Mapping[str, Any]) -> bool:
    """Has the model of a configuration to be trained before it is of any use?

    Raises:
        InputError: if there is no such model.
    """
    return _of_class(configuration, "needs_weights")


def places_named(configuration: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The places where two configurations of one class are two networks by name: other kinds of parts stand there.

    Raises:
        InputError: if there is no such model.
    """
    return [
        place
        for place in _of_class(other, "named_by")
        if list(targets(configuration.get(place))) != list(targets(other.get(place)))
    ]


def targets(configuration: Any) -> Iterator[Any]:
    """Every `_target_` in a nested plain configuration; those of a file need not be names."""
    if isinstance(configuration, Mapping):
        if configuration.get("_target_") is not None:
            yield configuration["_target_"]
        for value in configuration.values():
            yield from targets(value)
    elif isinstance(configuration, list | tuple):
        for value in configuration:
            yield from targets(value)


def _of_class(configuration: Mapping[str, Any], attribute: str) -> Any:
    """What the class that a configuration names says of itself."""
    target = configuration.get("_target_")
    try:
        return getattr(get_object(target), attribute)
    except (ImportError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"cannot find the model {target!r} ({first_line(error)}); expected _target_: module.Class, of a "
            "VOSModel where Python finds it (PYTHONPATH)"
        ) from error


def with_places(configuration: Mapping[str, Any], other: Mapping[str, Any], places: Iterable[str]) -> dict[str, Any]:
    """A configuration with these places ("quality", "backbone.output_stride") as another one has them."""
    changed = dict(configuration)
    for place in places:
        name, _, rest = place.partition(".")
        if name not in other:
            changed.pop(name, None)
        elif rest and isinstance(changed.get(name), Mapping):
            changed[name] = with_places(changed[name], other[name], [rest])
        else:
            changed[name] = other[name]
    return changed


def build(configuration: Mapping[str, Any], trusted: Collection[str] = ()) -> VOSModel:
    """Instantiate a configuration that may come from a file.

    Args:
        configuration: of a network.
        trusted: what it may name beside classes of memvos.model.

    Raises:
        InputError: if it names anything else, does not describe a model, or a part refuses its values.
    """
    _check_targets(configuration, trusted)
    try:
        model = instantiate(dict(configuration), _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, InputError | FileNotFoundError):
            raise error.__cause__ from None
        raise InputError(f"cannot build the model: {first_line(error.__cause__ or error)}") from error
    if not isinstance(model, VOSModel):
        raise InputError(f"expected the configuration of a VOSModel, got one of {type(model).__name__}")
    return model


def without_sources(configuration: Any) -> Any:
    """A configuration that fetches no backbone weights and starts nothing, since all weights are about to be loaded."""
    if isinstance(configuration, Mapping):
        return {
            key: None if key == "weights" else without_sources(value)
            for key, value in configuration.items()
            if key != "start"
        }
    return configuration


def _with_values(configuration: dict[str, Any], values: Mapping[str, Any], name: str) -> dict[str, Any]:
    changed = dict(configuration)
    for key, value in values.items():
        first, _, rest = key.partition(".")
        within = changed.get(first)
        if first not in changed or (rest and not isinstance(within, Mapping)):
            known = ", ".join(key for key in changed if not key.startswith("_"))
            raise InputError(f"unknown option {key} of {name}; known: {known}")
        changed[first] = _with_values(within, {rest: value}, f"{name}, {first}") if rest else value
    return changed


def composed(config: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """A file of conf, `group/name`, with all it builds on; a Hydra application that may be running is not disturbed.

    Raises:
        InputError: if it does not compose.
    """
    with _COMPOSING:
        running = GlobalHydra.instance().hydra
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(str(conf_dir().resolve()), version_base="1.3"):
                return OmegaConf.to_container(hydra_compose(config, overrides=list(overrides)), resolve=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise InputError(f"cannot compose {config}: {first_line(error)}") from None
        finally:
            GlobalHydra.instance().hydra = running


def _check_targets(configuration: Mapping[str, Any], trusted: Collection[str]) -> None:
    for target in targets(configuration):
        if target not in trusted and not _trusted(target):
            raise InputError(
                f"the configuration names {target!r}, and only classes of {TRUSTED.rstrip('.')} are made from a file; "
                "build the model yourself and load the weights into it (memvos.model.load_weights)"
            )


def _trusted(target: Any) -> bool:
    if not isinstance(target, str) or not target.startswith(TRUSTED):
        return False
    try:
        found = get_object(target)
    except (ImportError, ValueError, AttributeError):
        return False
    return isinstance(found, type) and found.__module__.startswith(TRUSTED)
