"""Which faults of a table file are found, and how they are told."""

from pathlib import Path

import pytest

from memvos.metrics import MEASURES, YOUTUBE_MEASURES
from memvos.report.entries import SCORES, YOUTUBE_SCORES
from memvos.report.spec_file import load_spec

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SHIPPED, LENDING = EXPERIMENTS / "qdmn_table5.yaml", EXPERIMENTS / "qdmn_table4.yaml"


def edited(tmp_path, old, new, shipped=SHIPPED):
    text = shipped.read_text()
    assert old in text
    path = tmp_path / "table.yaml"
    path.write_text(text.replace(old, new))
    return path


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no table specification at .*nothing\.yaml"):
        load_spec(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema: 1", "schema: 7", "expected a mapping with `schema: 1`"),
        ("schema: 1", "- schema: 1", "table.yaml: no YAML: "),
        ("defaults: [common/table, ", "defaults: [tables, ", r"no tables\.yaml beside it or among the shipped"),
        ("defaults: [common/table, common/corrupted]", "defaults: a", "expected defaults as a list of files"),
        ("base: baseline", "base: nothing", "row 'nothing' does not exist; there are baseline, qam"),
        ("id: pem\n", "id: qam\n", "row id 'qam' is used twice"),
        ("[no_gate, oracle_gate]", "[gate]", "variant 'gate' does not exist; there are no_gate, oracle_gate"),
        ("printed_decimals", "decimals", "unknown key 'decimals'"),
        ('    label: "baseline"\n', "", r"rows, entry 'baseline'.*'label'"),
        ("base: baseline", "base: baseline\nmain_metric: G", "main_metric 'G' is not among metrics J, F, J&F"),
        ("row: both", "row: baseline", "row 'baseline' has no variant 'no_gate'"),
        ("stages: [pretrain, main]", "stages: [main]", "runs stage 'main' without 'pretrain' before it, which it"),
        ("stages: [pretrain, main]", "stages: [main, pretrain]", "'baseline' runs stage 'main' without 'pretrain'"),
        ("base: baseline", "base: baseline\nbench: speed", "row 'baseline' has stages, but a benchmark measures this"),
        ("base: baseline", "base: baseline\nfloors: [7]", "floors: expected a mapping, got 7"),
        ('"J&F": 84.6', '"J&F": high', "entry 'both': expected printed as a mapping to a number, got {'J'"),
        (
            "overrides: [model/prior=weak]",
            "overrides: model/prior=weak",
            "overrides as a list of text, got 'model",
        ),
        ("base: baseline", "base: baseline\nseeds: {smoke: one}", "expected seeds as a mapping to a whole number"),
        ("row: both}", "row: both, values: 10}", "entry 'corrupted': expected values as a list of"),
        ("row: both}", "row: both, override: 'rate={rate}'}", "cannot put 0 into override 'rate={rate}'"),
        ("row: both}", "row: both, curves: [{id: qam, label: a}, {id: qam, label: b}]}", "id 'qam' is used twice"),
        ("paper_data_on: {", "sizes: {", "got a tolerance but no paper_data_on; expected the data sets"),
        ('metrics: ["J", "F", "J&F"]', 'metrics: ["J&f", "J&F"]', "there is no measure 'J&f'; known are J, J_recall, "),
        ('metrics: ["J", "F", "J&F"]', "metrics: [G]\nmain_metric: G", "main_metric 'G' is no score of an object"),
        ("schema: 1", "schema: 1\nfloors: 5", "floors: expected a list of entries, got 5"),
        (
            "row: both}",
            "row: bath, curves: [{id: qam, label: a}]}",
            "sweep 'corrupted': .*row 'bath' does not exist; there",
        ),
        (
            "row: both}",
            "row: both, override: corruption_rate=.1}",
            "is the same at several of the values 0, 10, 30, 50;",
        ),
        (
            "row: both}",
            "row: both, values: [10, 10]}",
            r"'corruption_rate=\{ratio\}' is the same at several of the values",
        ),
        (
            "base: baseline",
            "base: baseline\nseeds: {mini: 0}",
            "expected seeds of 'mini' from 1, got 0; correct it, or",
        ),
        ("id: pem\n", "id: pem\n    seeds: -1\n", "expected seeds of 'pem' from 1, got -1"),
        ("row: both}", "row: both, curves: 5}", "sweeps, curves: expected a list of entries, got 5"),
        ("id: baseline", "id: [x]", r"expected id as text, got \['x'\]"),
        ("schema: 1", "schema: 1\nstages: [{id: [x]}]", r"expected id as text, got \['x'\]"),
        ("schema: 1", "schema: 1\n7: 8\nmore: 9", "unknown key 7; known are name, "),
        ("printed_decimals", "null: 1\nprinted_decimals", "unknown key None; known are name, "),
        ('"J&F": 84.6', "1: 84.6", "entry 'both': expected the keys of printed as text, got 1; quote it"),
        ("schema: 1", "schema: 1\nevaluate_on: [a]", r"evaluate_on as a mapping to a list of text, got \['a'\]"),
        ("schema: 1", "schema: 1\norderings: [qam]", "expected orderings as a list of a list of text, got"),
        ("schema: 1", "schema: 1\norderings: [[qam]]", r"expected pairs \[BETTER, WORSE\] of two rows, got \[qam\]"),
        ("schema: 1", "schema: 1\norderings: [[qam, qam]]", r"of two rows, got \[qam, qam\]"),
        ("schema: 1", "schema: 1\norderings: [[both, mine]]", "orderings: row 'mine' does not exist; there are base"),
    ],
)
def test_faults_are_named(tmp_path, old, new, message):
    with pytest.raises(ValueError, match=message):
        load_spec(edited(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{weights.qdmn}", "{weights.nobody}", "row 'nobody' does not exist"),
        ("{weights.qdmn}", "{weights.matching}", "takes weights of 'matching', which is not trained"),
        ("base: kmn", "base: nobody", "row 'nobody' does not exist"),
        ("base: kmn", "base: qdmn", "base of row .*: 'qdmn' is a lender, and no line of the table; expected"),
        ("base: stm", "base: qdmn", "base: 'qdmn' is a lender, and no line of the table; expected one of stm, "),
    ],
)
def test_faults_of_lent_weights_and_bases_are_named(tmp_path, old, new, message):
    with pytest.raises(ValueError, match=message):
        load_spec(edited(tmp_path, old, new, LENDING))


def written(tmp_path, **files: str) -> Path:
    """Table files; the last one is loaded."""
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path / f"{[*files][-1]}.yaml"


HEAD = """schema: 1
name: mine
title: Mine
source: nowhere
paper_data: none
metrics: ["J&F"]
base: one
rows:
  - {id: one, label: One, stages: [pretrain, main], overrides: [], variants: [no_gate]}
"""


def test_a_table_builds_on_shipped_files(tmp_path):
    spec = load_spec(written(tmp_path, mine=f"defaults: [common/table]\n{HEAD}"))
    assert [floor.id for floor in spec.floors] == ["copy_first", "matching"]
    assert [(stage.id, stage.start) for stage in spec.stages] == [("pretrain", None), ("main", "pretrain")]
    assert spec.variant("no_gate").ungated
    assert (spec.main_metric, spec.sizes["mini"], spec.seeds["mini"]) == ("J&F", "_small", 1)


def test_what_a_table_says_itself_is_joined_over_what_it_builds_on(tmp_path):
    under = """
tolerance: {mini: null, paper: 2.0}
variants:
  - {id: no_gate, label: none, evaluate: [a, b]}
  - {id: other, label: other, evaluate: []}
"""
    own = """
main_metric: "J&F"
tolerance: {paper: 1.0}
paper_data_on: {a: b}
stages: [{id: pretrain, overrides: []}, {id: main, overrides: []}]
variants:
  - {id: more, label: more, evaluate: []}
  - {id: no_gate, evaluate: [c]}
"""
    spec = load_spec(written(tmp_path, under=under, mine=f"defaults: [under]\n{HEAD}{own}"))
    assert spec.tolerance == {"mini": None, "paper": 1.0}
    assert [variant.id for variant in spec.variants] == ["no_gate", "other", "more"]
    assert (spec.variant("no_gate").label, spec.variant("no_gate").evaluate) == ("none", ("c",))  # words are replaced


@pytest.mark.parametrize("nothing", ["null", "[]"])
def test_a_table_can_do_without_what_it_builds_on(tmp_path, nothing):
    assert load_spec(written(tmp_path, mine=f"defaults: [common/table]\nfloors: {nothing}\n{HEAD}")).floors == ()


def test_later_files_stand_over_earlier_ones(tmp_path):
    words = {"under": "main_metric: J\ntitle: A", "middle": 'main_metric: "J&F"'}
    stages = "stages: [{id: pretrain, overrides: []}, {id: main, overrides: []}]\n"
    variants = "variants: [{id: no_gate, label: a, evaluate: []}]\n"
    spec = load_spec(written(tmp_path, **words, mine=f"defaults: [under, middle]\n{HEAD}{stages}{variants}"))
    assert (spec.main_metric, spec.title) == ("J&F", "Mine")


@pytest.mark.parametrize("text", ["", "[a]", "{", "\0"])
def test_a_file_that_is_no_mapping_is_named(tmp_path, text):
    with pytest.raises(ValueError, match=r"under\.yaml: (expected a mapping as in|no YAML)"):
        load_spec(written(tmp_path, under=text, mine=f"defaults: [under]\n{HEAD}"))


def test_an_entry_told_twice_in_one_file_is_found(tmp_path):
    twice = "variants: [{id: no_gate, label: a, evaluate: []}, {id: no_gate, label: b, evaluate: []}]\n"
    with pytest.raises(ValueError, match="variant id 'no_gate' is used twice"):
        load_spec(written(tmp_path, mine=f"defaults: [common/table]\n{HEAD}{twice}"))


def test_files_that_are_built_on_may_build_on_others(tmp_path):
    under = "schema: 1\ndefaults: [common/table]\ntitle: Under\ntolerance: {paper: 2.0}\npaper_data_on: {a: b}\n"
    spec = load_spec(written(tmp_path, under=under, mine=f"defaults: [under]\n{HEAD}"))
    assert [floor.id for floor in spec.floors] == ["copy_first", "matching"]
    assert spec.tolerance == {"smoke": None, "mini": None, "small": None, "paper": 2.0}
    assert spec.title == "Mine"


def test_a_table_builds_on_another_table_under_a_name_of_its_own(tmp_path):
    text = "schema: 1\ndefaults: [qdmn_table5]\n"
    spec, shipped = load_spec(written(tmp_path, mine=f"{text}name: mine\nbase: qam")), load_spec(SHIPPED)
    assert (spec.name, spec.base, spec.title) == ("mine", "qam", shipped.title)
    assert (spec.rows, spec.sweeps) == (shipped.rows, shipped.sweeps)
    with pytest.raises(ValueError, match=r"mine.yaml, entry '': missing 1 required .* 'name'"):
        load_spec(written(tmp_path, mine=text))


def test_files_that_build_on_each_other_are_refused(tmp_path):
    files = {"a": "defaults: [b]", "b": "defaults: [mine]", "mine": f"defaults: [a]\n{HEAD}"}
    with pytest.raises(ValueError, match=r"mine\.yaml builds on itself: mine → a → b → mine; correct `defaults`"):
        load_spec(written(tmp_path, **files))


def test_the_schema_of_a_file_that_is_built_on_is_checked(tmp_path):
    with pytest.raises(ValueError, match=r"under\.yaml: expected a mapping with `schema: 1`"):
        load_spec(written(tmp_path, under="schema: 2", mine=f"defaults: [under]\n{HEAD}"))


def test_the_scores_that_a_table_may_name_are_those_that_there_are():
    assert (SCORES, YOUTUBE_SCORES) == (MEASURES, YOUTUBE_MEASURES)
