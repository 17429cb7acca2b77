"""Reads and checks table files, experiments/*.yaml, with the files that they build on (`defaults`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from memvos.paths import experiments_dir
from memvos.report.entries import MEASURES, SCORES, YOUTUBE_SCORES, Curve, Row, Stage, Sweep, Variant
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
        ValueError: if a key is missing or unknown, an id is used twice or names nothing, the schema is another one, a
            measure does not exist, or a file among its defaults does not, or builds on itself.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no table specification at {path}; expected a file like experiments/qdmn_table5.yaml")
    raw = _read(path)
    for key, kind in KINDS.items():
        raw[key] = tuple(_build(kind, entry, f"{path}: {key}") for entry in _list(raw.get(key), f"{path}: {key}"))
    raw["sweeps"] = tuple(_sweep(entry, f"{path}: sweeps") for entry in _list(raw.get("sweeps"), f"{path}: sweeps"))
    spec = _build(Spec, raw, str(path))
    _check(spec, path)
    return spec


def _read(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What a file says, over what the files say that it builds on; `above`: those that build on it."""
    chain = (*above, path.resolve())
    if chain[-1] in above:
        raise ValueError(f"{path} builds on itself: {' → '.join(one.stem for one in chain)}; correct `defaults`")
    raw = _mapping(path)
    if raw.pop("schema", SCHEMA if above else None) != SCHEMA:
        raise ValueError(f"{path}: expected a mapping with `schema: {SCHEMA}`; see experiments/qdmn_table5.yaml")
    if above:
        raw.pop("name", None)  # a table has one of its own, for its folder
    defaults = raw.pop("defaults", [])
    if not isinstance(defaults, list):
        raise ValueError(f"{path}: expected defaults as a list of files, e.g. [common/table], got {defaults!r}")
    for name in reversed(defaults):
        raw = _joined(_read(_default(name, path), chain), raw)
    return raw


def _mapping(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ValueError(f"{path}: expected a mapping as in experiments/qdmn_table5.yaml, got {raw!r:.80}")
    return raw


def _default(name: Any, path: Path) -> Path:
    """A file that the one at `path` builds on: beside it, or of the shipped experiments."""
    for folder in (path.parent, experiments_dir()):
        if (file := folder / f"{name}.yaml").is_file():
            return file
    raise ValueError(f"{path}: no {name}.yaml beside it or among the shipped experiments; correct `defaults`")


def _joined(under: Any, over: Any) -> Any:
    """What `over` says, and what only `under` does: mappings are joined by key, lists of entries by id.

    An empty list stands for itself: none.
    """
    if isinstance(under, dict) and isinstance(over, dict):
        return under | {key: _joined(under.get(key), value) for key, value in over.items()}
    if _entries(under) and _entries(over):
        by_id = _joined(*({entry["id"]: entry for entry in entries} for entries in (under, over)))
        return list(by_id.values())
    return over


def _entries(value: Any) -> bool:
    """Is it a list of entries, each with an id of its own?"""
    if not isinstance(value, list) or not value:
        return False
    ids = [entry.get("id") for entry in value if isinstance(entry, dict)]
    return len(ids) == len(value) and all(isinstance(id, str) and ids.count(id) == 1 for id in ids)


def _list(value: Any, where: str) -> list[Any]:
    """The entries of a list; null: none."""
    if not isinstance(value, list | NoneType):
        raise ValueError(f"{where}: expected a list of entries, got {value!r}")
    return value or []


def _build(kind: type, entry: Any, where: str) -> Any:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected a mapping, got {entry!r}")
    entry = {("start" if kind is Stage and key == "from" else key): value for key, value in entry.items()}
    known = kind.__dataclass_fields__
    if unknown := set(entry) - set(known):
        raise ValueError(f"{where}: unknown key {sorted(unknown, key=str)[0]!r}; known are {', '.join(known)}")
    hints = get_type_hints(kind)
    for key, value in entry.items():
        if odd := [one for one in value if not isinstance(one, str)] if isinstance(value, dict) else []:
            raise ValueError(
                f"{where}, entry {entry.get('id', '')!r}: expected the keys of {key} as text, got {odd[0]!r}; quote it"
            )
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
    curves = _list(entry.get("curves"), f"{where}, curves") if isinstance(entry, dict) else ()
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
    for where, count in (*spec.seeds.items(), *((row.id, row.seeds) for row in rows)):
        if count is not None and count < 1:
            raise ValueError(f"{path}: expected seeds of {where!r} from 1, got {count}; correct it, or leave it out")
    _check_metrics(spec, path)
    _check_base(spec, spec.base, f"{path}: base")
    if spec.bench and (trained := [row.id for row in rows if row.stages]):
        raise ValueError(f"{path}: row {trained[0]!r} has stages, but a benchmark measures this table; leave one out")
    for row in rows:
        if row.base is not None:
            _check_base(spec, row.base, f"{path}: base of row {row.id!r}")
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


def _check_metrics(spec: Spec, path: Path) -> None:
    """What is not timed is scored, by the measures of result.json; the main one also of every object."""
    if spec.bench:
        return
    if unknown := [name for name in spec.metrics if name not in SCORES + YOUTUBE_SCORES]:
        known = ", ".join(SCORES + YOUTUBE_SCORES)
        raise ValueError(f"{path}: metrics: there is no measure {unknown[0]!r}; known are {known}")
    if spec.main_metric not in SCORES:
        raise ValueError(
            f"{path}: main_metric {spec.main_metric!r} is no score of an object; expected one of {', '.join(SCORES)}"
        )


def _check_base(spec: Spec, id: str, where: str) -> None:
    spec.row(id)
    if id in [row.id for row in spec.lenders]:
        known = ", ".join(row.id for row in spec.rows + spec.floors)
        raise ValueError(f"{where}: {id!r} is a lender, and no line of the table; expected one of {known}")


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
    try:
        spec.row(sweep.row)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
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
    if len(set(map(sweep.at, sweep.values))) < len(sweep.values):
        raise ValueError(
            f"{where}: override {sweep.override!r} is the same at several of the values "
            f"{', '.join(map(str, sweep.values))}; expected {{value}} or {{ratio}} there, and each value once"
        )
    if unknown := [name for name in sweep.also if name not in MEASURES]:
        raise ValueError(f"{where}: unknown measure {unknown[0]!r}; known are {', '.join(MEASURES)}")
    known = {"curve": [curve.id for curve in sweep.curves], "value": list(sweep.values)}
    for key, wanted in sweep.against.items():
        if wanted not in known.get(key, ()):
            raise ValueError(
                f"{where}: expected against {{curve: ID}} or {{value: V}} of its own, got {{{key}: {wanted}}}"
            )
