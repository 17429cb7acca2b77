"""Reads and checks table files, experiments/*.yaml, with the files that they build on (`defaults`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from memvos.paths import experiments_dir
from memvos.report.entries import MEASURES, Curve, Row, Stage, Sweep, Variant
from memvos.report.overrides import lent_to, merge
from memvos.report.spec import Spec

SCHEMA = 1
KINDS = {"stages": Stage, "variants": Variant, "rows": Row, "floors": Row, "lenders": Row, "references": Row}
"""The lists of a table file, and what their entries are."""
WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


def load_spec(path: str | Path) -> Spec:
    """Read and check a table specification.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a key is missing or unknown, an id is used twice or names nothing, the schema is another one, or
            a file among its defaults does not exist.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no table specification at {path}; expected a file like experiments/qdmn_table5.yaml")
    raw = _mapping(path)
    if raw.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path}: expected a mapping with `schema: {SCHEMA}`; see experiments/qdmn_table5.yaml")
    defaults = raw.pop("defaults", [])
    if not isinstance(defaults, list):
        raise ValueError(f"{path}: expected defaults as a list of files, e.g. [common/table], got {defaults!r}")
    for name in reversed(defaults):
        raw = _joined(_mapping(_default(name, path)), raw)
    for key, kind in KINDS.items():
        raw[key] = tuple(_build(kind, entry, f"{path}: {key}") for entry in raw.get(key) or ())
    raw["sweeps"] = tuple(_sweep(entry, f"{path}: sweeps") for entry in raw.get("sweeps") or ())
    spec = _build(Spec, raw, str(path))
    _check(spec, path)
    return spec


def _mapping(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ValueError(f"{path}: expected a mapping as in experiments/qdmn_table5.yaml, got {raw!r:.80}")
    return raw


def _default(name: Any, path: Path) -> Path:
    """A file that the table at `path` builds on: beside it, or of the shipped experiments."""
    for folder in (path.parent, experiments_dir()):
        if (file := folder / f"{name}.yaml").is_file():
            return file
    raise ValueError(f"{path}: no {name}.yaml beside it or among the shipped experiments; correct `defaults`")


def _joined(under: Any, over: Any) -> Any:
    """What `over` says, and what only `under` does: mappings are joined by key, lists of entries by id."""
    if isinstance(under, dict) and isinstance(over, dict):
        return under | {key: _joined(under.get(key), value) for key, value in over.items()}
    if _entries(under) and _entries(over):
        by_id = _joined(*({entry["id"]: entry for entry in entries} for entries in (under, over)))
        return list(by_id.values())
    return over


def _entries(value: Any) -> bool:
    """Is it a list of entries, each with an id of its own?"""
    if not isinstance(value, list) or not all(isinstance(entry, dict) and "id" in entry for entry in value):
        return False
    ids = [entry["id"] for entry in value]
    return all(ids.count(id) == 1 for id in ids)


def _build(kind: type, entry: Any, where: str) -> Any:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected a mapping, got {entry!r}")
    entry = {("start" if kind is Stage and key == "from" else key): value for key, value in entry.items()}
    known = kind.__dataclass_fields__
    if unknown := set(entry) - set(known):
        raise ValueError(f"{where}: unknown key {sorted(unknown)[0]!r}; known are {', '.join(known)}")
    hints = get_type_hints(kind)
    for key, value in entry.items():
        if not _fits(value, hints[key]):
            raise ValueError(
                f"{where}, entry {entry.get('id', '')!r}: expected {key} as {_words(hints[key])}, got {value!r}"
            )
    try:
        return kind(**_frozen(entry))
    except TypeError as error:
        raise ValueError(f"{where}, entry {entry.get('id', '')!r}: {str(error).split('.__init__() ')[-1]}") from error


def _frozen(value: Any) -> Any:
    """Lists of a YAML file as tuples, at any depth."""
    if isinstance(value, dict):
        return {key: _frozen(inner) for key, inner in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _fits(value: Any, hint: Any) -> bool:
    """Is a value of a YAML file what a field is annotated as? Lists stand for tuples."""
    of, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if of in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if of is tuple:
        return isinstance(value, list | tuple) and all(_fits(entry, inner[0]) for entry in value)
    if of is dict:
        return isinstance(value, dict) and all(_fits(entry, inner[1]) for entry in value.values())
    if hint in (int, float):
        return isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    """The form of a field for people."""
    of, inner = get_origin(hint), get_args(hint)
    if of in (Union, UnionType):
        return " or ".join(_words(one) for one in inner)
    if of in (tuple, dict):
        return f"a list of {_words(inner[0])}" if of is tuple else f"a mapping to {_words(inner[1])}"
    return WORDS.get(hint, "such entries")


def _sweep(entry: Any, where: str) -> Sweep:
    curves = entry.get("curves") or () if isinstance(entry, dict) else ()
    built = tuple(_build(Curve, curve, f"{where}, curves") for curve in curves)
    return _build(Sweep, {**entry, "curves": built} if isinstance(entry, dict) else entry, where)


def _check(spec: Spec, path: Path) -> None:
    rows = spec.rows + spec.floors + spec.lenders
    unique = {
        "row": rows + spec.references,
        "stage": spec.stages,
        "variant": spec.variants,
        "sweep": spec.sweeps,
    }
    for what, entries in unique.items():
        _check_ids(what, entries, str(path))
    if spec.main_metric not in spec.metrics:
        raise ValueError(f"{path}: main_metric {spec.main_metric!r} is not among metrics {', '.join(spec.metrics)}")
    if any(allowed is not None for allowed in spec.tolerance.values()) and not spec.paper_data_on:
        raise ValueError(
            f"{path}: got a tolerance but no paper_data_on; expected the data sets that the printed numbers are of; "
            'add them, e.g. paper_data_on: {davis2017: "DAVIS 2017 val"}'
        )
    spec.row(spec.base)
    if spec.bench and (trained := [row.id for row in rows if row.stages]):
        raise ValueError(f"{path}: row {trained[0]!r} has stages, but a benchmark measures this table; leave one out")
    for row in rows:
        spec.base_of(row)
        for id in lent_to(merge(row.evaluate, *(spec.variant(id).evaluate for id in row.variants))):
            if not spec.row(id).stages:
                raise ValueError(f"{path}: row {row.id!r} takes weights of {id!r}, which is not trained")
        for place, id in enumerate(row.stages):
            if (start := spec.stage(id).start) and start not in row.stages[:place]:
                raise ValueError(
                    f"{path}: row {row.id!r} runs stage {id!r} without {start!r} before it, which it starts from; "
                    f"name {start!r} first"
                )
        for id in row.variants:
            spec.variant(id)
    for sweep in spec.sweeps:
        _check_sweep(spec, sweep, f"{path}: sweep {sweep.id!r}")
    for pair in spec.orderings:
        _check_ordering(pair, [row.id for row in spec.rows], f"{path}: orderings")


def _check_ids(what: str, entries: Sequence[Any], where: str) -> None:
    ids = [entry.id for entry in entries]
    if twice := {id for id in ids if ids.count(id) > 1}:
        raise ValueError(f"{where}: {what} id {sorted(twice)[0]!r} is used twice; give every {what} its own")


def _check_ordering(pair: tuple[str, ...], known: list[str], where: str) -> None:
    if len(pair) != 2 or pair[0] == pair[1]:
        raise ValueError(f"{where}: expected pairs [BETTER, WORSE] of two rows, got [{', '.join(pair)}]")
    if unknown := [id for id in pair if id not in known]:
        raise ValueError(f"{where}: row {unknown[0]!r} does not exist; there are {', '.join(known)}")


def _check_sweep(spec: Spec, sweep: Sweep, where: str) -> None:
    _check_ids("curve", sweep.curves, where)
    for curve in sweep.curves:
        if curve.variant and curve.variant not in spec.row(sweep.row).variants:
            raise ValueError(f"{where}, curve {curve.id!r}: row {sweep.row!r} has no variant {curve.variant!r}")
    for value in sweep.values:
        try:
            sweep.at(value)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ValueError(
                f"{where}: cannot put {value!r} into override {sweep.override!r} ({error}); expected {{value}} or "
                "{ratio} there"
            ) from error
    if unknown := [name for name in sweep.also if name not in MEASURES]:
        raise ValueError(f"{where}: unknown measure {unknown[0]!r}; known are {', '.join(MEASURES)}")
    known = {"curve": [curve.id for curve in sweep.curves], "value": list(sweep.values)}
    for key, wanted in sweep.against.items():
        if wanted not in known.get(key, ()):
            raise ValueError(
                f"{where}: expected against {{curve: ID}} or {{value: V}} of its own, got {{{key}: {wanted}}}"
            )
