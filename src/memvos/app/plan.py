"""From a table's specification to a graph of jobs: row × seed × stage, then the evaluations; equal stages only once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from memvos.app import composition, provenance
from memvos.app.evaluate import OF_PROTOCOL
from memvos.app.faults import UnknownKey
from memvos.app.finished import FINAL, RESULT, STALE, is_evaluated, is_trained
from memvos.app.job import Job
from memvos.app.runs import check_numbers, data_of
from memvos.report.entries import Row, Stage
from memvos.report.overrides import lend, lent_to, merge
from memvos.report.spec import Evaluation, Spec

EVALUATE = "evaluate"
GATE = "gate"
"""Key of what a variant, or a point of a sweep, never leaves to the user, for its label tells it."""


class Trained(NamedTuple):
    """A trained stage: the job that trains it, its fingerprint, its weights."""

    job: str
    fingerprint: str
    weights: Path


class Scored(NamedTuple):
    """Whose scores an evaluation gives, and its fingerprint."""

    row: str
    seed: int
    fingerprint: str


@dataclass
class Plan:
    """Makes the jobs of a table.

    Attributes:
        spec: the table.
        output: the table's folder, runs/NAME; stages are trained in `stages/` there.
        results: where evaluations go, `<row>[__<variant>]/seed<k>/`.
        overrides: the user's, by the command they are for ("train", "evaluate").
        data_fingerprint: of a resolved data configuration (one stage or split of it).
        unscored: has the split of a resolved data configuration no masks to score? Oracles need them.
        jobs: what has been planned, by name.
        scored: the evaluations by name.
        left_out: folder of an evaluation that is not planned → its name: with an oracle, on such data.
        models: job → configuration of the network, of trainings that start without weights.
        taken: keys of the user's overrides that some job's configuration has.
        repeats: folder of an evaluation that is not planned → its row, which differs from another by a detector alone,
            in whose place the user's own stands.
        kept: override of the user's → name and row of the evaluations that keep what it is for: variants and points of
            sweeps what makes them that.
    """

    spec: Spec
    output: Path
    results: Path
    overrides: Mapping[str, Sequence[str]]
    data_fingerprint: Callable[..., str]
    unscored: Callable[[dict[str, Any]], bool] = lambda config: False
    jobs: dict[str, Job] = field(default_factory=dict)
    scored: dict[str, Scored] = field(default_factory=dict)
    left_out: dict[Path, str] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    repeats: dict[Path, str] = field(default_factory=dict)
    kept: dict[str, dict[str, str]] = field(default_factory=dict)
    _configs: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)

    def build(self, seeds: Sequence[int]) -> list[Job]:
        """All jobs of these seeds; trainings first, for everything waits for them.

        Raises:
            InputError: if a configuration does not compose, or its data is missing or faulty.
        """
        for seed in seeds:
            for row in (*self.spec.rows, *self.spec.lenders):
                self._train(row, seed)
        for seed in seeds:
            for evaluation in self.spec.evaluations():
                if self._repeats(self.spec.row(evaluation.row)):
                    self.repeats[evaluation.folder(self.results, seed)] = evaluation.row
                elif evaluation.seeds is None or seed < evaluation.seeds:
                    self._evaluate(evaluation, seed)
        return list(self.jobs.values())

    def wanted(self, rows: Collection[str], seeds: Collection[int]) -> list[Job]:
        """The planned jobs that these rows and seeds need, in the order of the plan.

        A finished job needs nothing any more: results outlive the weights they were made with.
        """
        of_these = {name for name, one in self.scored.items() if one.row in rows and one.seed in seeds}
        needed, missing = set(of_these), set(of_these)
        for job in reversed(self.jobs.values()):  # what a job needs is planned before it
            needed |= set(job.needs) if job.name in needed else set()
            missing |= set(job.needs) if job.name in missing and not job.is_done() else set()
        return [job for job in self.jobs.values() if job.name in missing or (job.name in needed and job.is_done())]

    def set_aside_stale(self) -> list[Path]:
        """Rename results of another configuration, code or data than is planned, or not whole: no report counts them.

        Returns:
            The folders of such results.
        """
        stale = [folder for folder, mark in self._marks().items() if not is_evaluated(folder, mark)]
        stale += [*self.repeats, *self.left_out]
        found = [folder for folder in stale if (folder / RESULT).is_file()]
        for folder in found:
            (folder / RESULT).replace(folder / STALE)
        return found

    def take_back(self) -> list[Path]:
        """Undo `set_aside_stale` where what it renamed is what is planned now, and nothing was evaluated there since.

        A later result, of whatever fingerprint, has replaced the other files of its folder; they are not the old one's.

        Returns:
            The folders of such results.
        """
        free = {folder: mark for folder, mark in self._marks().items() if not (folder / RESULT).exists()}
        found = [folder for folder, mark in free.items() if is_evaluated(folder, mark, result=STALE)]
        for folder in found:
            (folder / STALE).replace(folder / RESULT)
        return found

    def _marks(self) -> dict[Path, str]:
        """The fingerprint of every evaluation by its folder."""
        return {self.jobs[name].folder: one.fingerprint for name, one in self.scored.items()}

    def _train(self, row: Row, seed: int) -> tuple[Trained | None, dict[str, Trained]]:
        """Plan the stages of a row; return the last, and what stages of other networks give, by configuration key."""
        made: dict[str, Trained] = {}
        given: dict[str, Trained] = {}
        last = None
        for stage in map(self.spec.stage, row.stages):
            if stage.gives is None:
                last = made[stage.id] = self._train_stage(row, stage, seed, made.get(stage.start), given)
            elif not self._user_gives(stage.gives):
                made[stage.id] = given[stage.gives] = self._train_stage(None, stage, 0, made.get(stage.start), {})
        return last, given

    def _train_stage(
        self, row: Row | None, stage: Stage, seed: int, start: Trained | None, given: Mapping[str, Trained]
    ) -> Trained:
        """Plan one stage; where another row, or another table, has the same one, that is used."""
        mine = self.overrides["train"]
        if row is None:  # another network, which the row's and the user's settings of the model are not for
            mine = [override for override in mine if not is_of_model(override)]
        table = [*(row.overrides if row else ()), *stage.overrides, f"seed={seed}"]
        overrides = [*table, *self._taken("train", table, mine)]
        config = self._config("train", overrides)
        data = self.data_fingerprint(data_of(config, "stage"), batch_size=1)
        mark = provenance.of_training(config, data, _origin(start, given))
        folder = self._stage_folder(stage.id, mark)
        same = next((job.name for job in self.jobs.values() if job.folder == folder), None)
        owner = row.id if row else self.spec.name
        name = same or f"{owner} {stage.id} seed {seed}"
        if same is None:
            weights = [f"weights={composition.quoted(start.weights)}"] if start else []
            target = [*weights, *_told_of(given), *self._told(mark, folder, owner, f"{owner}-{stage.id}")]
            done = partial(is_trained, folder, mark)
            needs = tuple(dict.fromkeys(one.job for one in (start, *given.values()) if one))
            self.models |= {} if start else {name: config["model"]}
            self.jobs[name] = Job(name, stage.id, ("train", *overrides, *target), folder, done, needs)
        return Trained(name, mark, folder / FINAL)

    def _user_gives(self, key: str) -> bool:
        """Does the user's command line set this key, so that no stage need be trained for it?"""
        return any(composition.key_of(override) == key for override in self.overrides["train"])

    def _repeats(self, row: Row) -> bool:
        """Is the row's network scored with another detector than it was trained with, but for the user's own?"""
        stages = [self.spec.stage(id).gives for id in row.stages]
        after = [*takewhile(bool, reversed(stages))]
        return len(after) < len(stages) and any(map(self._user_gives, after))

    def _stage_folder(self, stage: str, mark: str) -> Path:
        """In this table's folder, unless the same has been trained for another table."""
        name = Path("stages") / f"{stage}-{mark}"
        others = sorted(self.output.parent.glob(f"*/{name}"))
        return next((folder for folder in others if is_trained(folder, mark)), self.output / name)

    def _evaluate(self, evaluation: Evaluation, seed: int) -> None:
        row = self.spec.row(evaluation.row)
        trained, given = self._train(row, seed)
        lenders = {id: self._train(self.spec.row(id), seed)[0] for id in lent_to(evaluation.overrides)}
        chosen = ("model", "experiment") if not row.stages else ()  # a floor keeps its model, and takes what that knows
        mine = [one for one in self.overrides["evaluate"] if composition.key_of(one) not in chosen]
        points = self._points(evaluation)
        defining = [*evaluation.own, *points, *([GATE] if evaluation.variant else ())]
        for one in [one for one in mine if _sets(one, defining)]:
            mine.remove(one)
            self.kept.setdefault(one, {})[evaluation.name] = row.id
        marks = {id: lender.fingerprint for id, lender in lenders.items()}
        paths = {id: composition.quoted(lender.weights) for id, lender in lenders.items()}
        own = merge(evaluation.own, tuple(one for one in points if _sets(one, mine)))
        table = [*(one for one in evaluation.overrides if one not in own), f"seed={seed}"]
        mine = self._taken("evaluate", lend(table, marks), mine, lend(own, marks))
        config = self._config("evaluate", [*lend(table, marks), *mine, *lend(own, marks)])
        _check(config)
        given = {key: one for key, one in given.items() if _has(config, key)}  # not where proposals are the true masks
        if _needs_truth(config) and self.unscored(data_of(config, "split")):
            self.left_out[evaluation.folder(self.results, seed)] = evaluation.name
            return
        data = self.data_fingerprint(data_of(config, "split"))
        mark = provenance.of_evaluation(config, data, _origin(trained, given))
        folder = evaluation.folder(self.results, seed)
        weights = f"weights={composition.quoted(trained.weights)}" if trained else "untrained=true"
        target = [weights, *_told_of(given), *self._told(mark, folder, row.id, evaluation.name)]
        name = " ".join(filter(None, (EVALUATE, row.id, evaluation.variant, f"seed {seed}")))
        done = partial(is_evaluated, folder, mark, config["write_masks"])
        needs = tuple(dict.fromkeys(one.job for one in (trained, *given.values(), *lenders.values()) if one))
        told = (*lend(table, paths), *mine, *lend(own, paths), *target)
        self.jobs[name] = Job(name, EVALUATE, (EVALUATE, *told), folder, done, needs)
        self.scored[name] = Scored(row.id, seed, mark)

    def _points(self, evaluation: Evaluation) -> tuple[str, ...]:
        """The settings, as overrides, of the points that sweeps show this evaluation as."""
        of_row = [sweep for sweep in self.spec.sweeps if sweep.row == evaluation.row]
        own = [sweep for sweep in of_row if evaluation.variant in [curve.variant for curve in sweep.curves]]
        return tuple(sweep.at(value) for sweep in own for value in sweep.own)

    def _taken(self, command: str, table: Sequence[str], mine: Sequence[str], own: Sequence[str] = ()) -> list[str]:
        """The user's overrides without those of parts that this job's network, chosen by `table` and `own`, has not."""
        taken = list(mine)
        while True:
            try:
                self._config(command, [*table, *taken, *own])
            except UnknownKey as fault:
                left = [one for one in taken if composition.key_of(one) != fault.key]
                if len(left) == len(taken) or not is_of_model(fault.key):
                    raise
                taken = left
            else:
                self.taken |= set(map(composition.key_of, taken))
                return taken

    def _told(self, mark: str, folder: Path, row: str, name: str) -> list[str]:
        """What the plan knows and a job need not find out."""
        ids = {"table": self.spec.name, "row": row, "run_name": name}
        names = [f"{key}={composition.quoted(id)}" for key, id in ids.items()]
        return [*names, f"fingerprint='{mark}'", f"output_dir={composition.quoted(folder)}", "check_data=false"]

    def _config(self, primary: str, overrides: Sequence[str]) -> dict[str, Any]:
        key = (primary, *overrides)
        if key not in self._configs:
            self._configs[key] = composition.resolved(composition.compose(primary, [*overrides, "output_dir=planned"]))
        return self._configs[key]


def _origin(start: Trained | None, given: Mapping[str, Trained]) -> str | None:
    """Identity of all weights that go into a job; None if there are none."""
    parts = [start.fingerprint] if start else []
    return " ".join([*parts, *(f"{key}={trained.fingerprint}" for key, trained in sorted(given.items()))]) or None


def _sets(override: str, others: Iterable[str]) -> bool:
    """Is an override for something that one of the others sets: the same, or something below it?"""
    place = composition.place(override)
    return any(place == one or place.startswith(f"{one}.") for one in map(composition.place, others))


def _has(config: Any, key: str) -> bool:
    """Is there such a key in a configuration?"""
    for name in key.split("."):
        if not isinstance(config, Mapping) or name not in config:
            return False
        config = config[name]
    return True


def _needs_truth(config: Mapping[str, Any]) -> bool:
    """Does an evaluation show true masks to the gate, or as proposals?"""
    model = config["model"]
    source = model.get("network", model).get("proposals") or {}
    return config["gate"] == "oracle" or source.get("_target_", "").endswith(".OracleProposals")


def _told_of(given: Mapping[str, Trained]) -> list[str]:
    """Overrides that tell a job where weights of other networks are."""
    return [f"{key}={composition.quoted(trained.weights)}" for key, trained in given.items()]


def _check(config: Mapping[str, Any]) -> None:
    """Refuse an evaluation that could not be done, before anything is trained for it."""
    from memvos.lit.video_scores import Protocol

    check_numbers(config)
    Protocol(**{key: config[key] for key in OF_PROTOCOL})


def is_of_model(override: str) -> bool:
    """Does an override choose the network, or set something of it?"""
    return composition.key_of(override).startswith(("model", "experiment"))
