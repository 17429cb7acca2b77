"""Which faults of a table file are found, and how they are told."""

from pathlib import Path

import pytest

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
        ("base: baseline", "base: nothing", "row 'nothing' does not exist; there are baseline, qam"),
        ("id: pem\n", "id: qam\n", "row id 'qam' is used twice"),
        ("id: no_gate, label", "id: gate, label", "variant 'no_gate' does not exist; there are gate, oracle_gate"),
        ("printed_decimals", "decimals", "unknown key 'decimals'"),
        ('    label: "baseline"\n', "", r"rows, entry 'baseline'.*'label'"),
        ('main_metric: "J&F"', 'main_metric: "G"', "main_metric 'G' is not among metrics J, F, J&F"),
        ("row: both", "row: baseline", "row 'baseline' has no variant 'no_gate'"),
        ("stages: [pretrain, main]", "stages: [main]", "runs stage 'main' without 'pretrain' before it, which it"),
        ("stages: [pretrain, main]", "stages: [main, pretrain]", "'baseline' runs stage 'main' without 'pretrain'"),
        ("base: baseline", "base: baseline\nbench: speed", "row 'baseline' has stages, but a benchmark measures this"),
        ("floors:  ", "floors: [7]\nunused:  ", "floors: expected a mapping, got 7"),
        ('"J&F": 84.6', '"J&F": high', "entry 'both': expected printed as a mapping to a number, got {'J'"),
        (
            "overrides: [model/prior=weak]",
            "overrides: model/prior=weak",
            "overrides as a list of text, got 'model",
        ),
        ("seeds: {smoke: 1", "seeds: {smoke: one", "expected seeds as a mapping to a whole number"),
        ("values: [0, 10, 30, 50]", "values: 10", "entry 'corrupted': expected values as a list of"),
        ("corruption_rate={ratio}", "corruption_rate={rate}", "cannot put 0 into override 'corruption_rate={rate}'"),
        ("paper_data_on: {", "sizes: {", "got a tolerance but no paper_data_on; expected the data sets"),
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
    ],
)
def test_faults_of_lent_weights_and_bases_are_named(tmp_path, old, new, message):
    with pytest.raises(ValueError, match=message):
        load_spec(edited(tmp_path, old, new, LENDING))
