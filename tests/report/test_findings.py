import json
import shutil
from dataclasses import replace

import pytest

from memvos.report.compare import Interval
from memvos.report.sections import main
from memvos.report.sweeps import half
from memvos.report.table import build

LEVELS = {
    "baseline": 0.5,
    "qam": 0.55,
    "pem": 0.52,
    "both": 0.6,
    "baseline__oracle_gate": 0.53,
    "qam__no_gate": 0.53,
    "qam__oracle_gate": 0.57,
    "pem__oracle_gate": 0.56,
    "both__no_gate": 0.58,
    "both__oracle_gate": 0.62,
    "copy_first": 0.25,
    "matching": 0.4,
    **{f"both__no_gate_corrupted{rate}": 0.58 - 0.004 * rate for rate in (10, 30, 50)},
    **{f"both__corrupted{rate}": 0.58 - 0.001 * rate for rate in (10, 30, 50)},
    **{f"both__oracle_gate_corrupted{rate}": 0.58 for rate in (10, 30, 50)},
}


@pytest.fixture
def findings(spec, results, tmp_path):
    """Heading → sentence of a table around the levels of the paper's order, changed by keywords."""

    def of(levels=(), skip=(), seeds=1, change=None, noise=0.01):
        results(spec, tmp_path, LEVELS | dict(levels), seeds=seeds, skip=skip, noise=noise)
        for path in tmp_path.glob("*/seed*/result.json"):
            content = json.loads(path.read_text())
            if change:
                change(content)
            path.write_text(json.dumps(content))
        return dict(build(spec, tmp_path).findings)

    return of


def test_effects_state_difference_interval_and_verdict(findings):
    found = findings()
    assert found["Effect of QAM:"].startswith("gains, +5.")
    assert found["Effect of QAM:"].endswith("] against baseline.")
    assert found["Effect of the oracle gate on baseline:"].startswith("gains, +")


def test_a_base_row_with_a_gate_is_compared_without_it(spec, results, tmp_path):
    results(spec, tmp_path, LEVELS)
    found = dict(build(replace(spec, base="qam"), tmp_path).findings)
    assert not any(heading.startswith("Effect of the oracle gate") for heading in found)
    assert found["Gate of QAM, oracle gate:"].split(";")[0].endswith("against no gate on the same network")


def test_a_loss_and_an_open_case_are_called_so(findings):
    found = findings({"qam": 0.45, "pem": 0.5}, noise=0.04)
    assert found["Effect of QAM:"].startswith("loses, -")
    assert found["Effect of PEM:"].startswith("undecided at this scale, ")


def test_an_oracle_that_gains_makes_memory_quality_matter(findings):
    text = findings()["Can memory quality matter at this scale?"]
    assert text.startswith("Yes: a gate that knows the true IoU gains on 4 of 4 networks (the most: +4.")


def test_an_oracle_that_gains_nothing_voids_the_ablation(findings):
    names = ("baseline", "qam", "pem", "both")
    levels = dict.fromkeys((*names, *(f"{name}__oracle_gate" for name in names), "qam__no_gate", "both__no_gate"), 0.55)
    text = findings(levels)["Can memory quality matter at this scale?"]
    assert text.startswith(
        "Not shown: at the same threshold a gate that knows the true IoU gains on none of 4 networks"
    )


def test_calibration_is_put_into_words(findings):
    found = findings()
    assert found["Quality scores of QAM:"] == (
        "the scores follow the true IoU (Spearman 0.72), are over-confident (bias +0.06), and the gate acts "
        "(15% of the checks rejected)."
    )
    assert "Quality scores of PEM:" not in found


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        (
            {"spearman": 0.1, "bias": -0.3, "gated_fraction": 0.9},
            ("do not follow", "under-confident", "rejects nearly"),
        ),
        ({"spearman": 0.3, "bias": 0.01, "gated_fraction": 0.0}, ("follow weakly", "right on average", "hardly acts")),
        ({"spearman": None, "bias": 0.2, "gated_fraction": 0.5}, ("are constant", "over-confident", "the gate acts")),
    ],
)
def test_every_kind_of_quality_score_has_its_words(findings, quality, words):
    text = findings(change=lambda content: content.update(quality=quality))["Quality scores of QAM:"]
    assert all(word in text for word in words)


@pytest.mark.parametrize(("spread", "word"), [(0.02, "nearly uniform"), (3.0, "selective"), (80, "degenerate")])
def test_the_memory_read_is_judged_by_its_logits(findings, spread, word):
    found = findings(change=lambda content: content.update(memory={"logit_std": spread}))
    assert word in found["Memory read of PEM:"]


def test_the_papers_order_holds_only_when_every_pair_is_decided(findings):
    text = findings()["Does the paper's order hold?"]
    assert text.startswith("It holds. Paper: QAM + PEM > QAM > PEM > baseline. Here: QAM + PEM > QAM > PEM > baseline.")
    assert "stand as in the paper: 6 of 6, 6 of them beyond" in text


def test_a_reversed_pair_contradicts_the_papers_order(findings):
    text = findings({"pem": 0.57})["Does the paper's order hold?"]
    assert text.startswith("It is contradicted.")
    assert "5 of 6" in text
    assert text.endswith("reversed beyond it: 1.")


def test_an_open_pair_leaves_the_papers_order_undecided(findings):
    assert findings({"pem": 0.55}, noise=0.04)["Does the paper's order hold?"].startswith("It is undecided.")


ORDERINGS = (("both", "qam"), ("qam", "pem"), ("pem", "baseline"))


def test_each_named_ordering_holds_is_contradicted_or_undecided(spec, results, tmp_path):
    results(spec, tmp_path, LEVELS | {"qam": 0.53, "pem": 0.57, "baseline": 0.57}, noise=0.01)
    found = dict(build(replace(spec, orderings=ORDERINGS), tmp_path).findings)
    assert found["Which of the paper's orderings hold?"] == (
        "Measured: 3. Holds: 1 (QAM + PEM > QAM). Contradicted: 1 (QAM > PEM). Undecided: 1 (PEM > baseline)."
    )


def test_an_ordering_of_a_row_that_was_not_run_is_not_counted(spec, results, tmp_path):
    results(spec, tmp_path, LEVELS, skip=["pem"], noise=0.01)
    found = dict(build(replace(spec, orderings=ORDERINGS), tmp_path).findings)
    assert found["Which of the paper's orderings hold?"].startswith("Measured: 1. Holds: 1 (QAM + PEM > QAM). Contra")
    results(spec, tmp_path / "none", LEVELS, skip=["pem", "both"], noise=0.01)
    found = dict(build(replace(spec, orderings=ORDERINGS), tmp_path / "none").findings)
    assert "Which of the paper's orderings hold?" not in found


def test_rows_without_a_common_seed_have_no_order(spec, tmp_path, result):
    for seed, row in enumerate(("baseline", "qam")):
        result(tmp_path / row, row, seed, {("a", "1"): 0.5, ("b", "1"): 0.6})
    assert "Does the paper's order hold?" not in dict(build(spec, tmp_path).findings)


def test_a_gain_is_only_compared_where_row_and_base_are_printed(spec, results, tmp_path):
    results(spec, tmp_path, LEVELS)
    base, *others = (replace(row, base=None if row.id == "baseline" else "baseline") for row in spec.rows)
    found = dict(build(replace(spec, rows=(base, *others)), tmp_path).findings)
    assert "of 3 beyond" in found["Do the paper's gains hold?"]
    base = replace(base, printed={"J": 80.3})
    assert "Do the paper's gains hold?" not in dict(build(replace(spec, rows=(base, *others)), tmp_path).findings)


def test_floors_are_beaten_or_named(findings):
    assert findings()["Do the trained rows beat the floors?"].startswith(
        "Every trained row beats every floor, by at least"
    )


def test_floors_and_rows_that_were_not_run_are_not_said_to_be_beaten(findings):
    assert findings(skip=["matching"])["Do the trained rows beat the floors?"].startswith(
        "Every trained row that was run beats every floor that was run, by at least"
    )


def test_a_row_below_a_floor_is_named(findings):
    text = findings({"pem": 0.3})["Do the trained rows beat the floors?"]
    assert text.startswith("Not shown for PEM over matching, no training (-10.")


def test_recovery_is_stated_with_its_interval(findings):
    # the oracle wins back .004 of J&F per percent, the QAM gate .003: three quarters
    text = findings(noise=0.0)["Corrupted masks in the memory bank:"]
    assert text.startswith(
        "The QAM gate recovers 75% [75%, 75%] of what the oracle gate recovers (10, 30, 50 % corrupted)"
    )
    assert ": at least half. At 10 % the oracle gate wins back +4.0 points" in text


def test_less_than_half_is_called_so(findings):
    levels = {f"both__corrupted{rate}": 0.58 - 0.003 * rate for rate in (10, 30, 50)}
    assert "recovers 25% [25%, 25%]" in (text := findings(levels, noise=0.0)["Corrupted masks in the memory bank:"])
    assert "less than half" in text


def test_without_harm_the_pollution_decides_nothing(findings):
    levels = {f"both__no_gate_corrupted{rate}": 0.58 for rate in (10, 30, 50)}
    assert findings(levels, noise=0.0)["Corrupted masks in the memory bank:"].startswith(
        "The oracle gate wins back nothing beyond its interval, so the experiment decides nothing"
    )


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((0.5, 0.9), "at least half"),
        ((0.4, 1.0), "at least half, but not beyond its interval"),
        ((-0.2, 0.6), "less than half, but not beyond its interval"),
        ((0.1, 0.3), "less than half"),
    ],
)
def test_half_is_judged_by_the_interval_too(ends, words):
    assert half(Interval(sum(ends) / 2, *ends, 1, 64, 64)) == words


def test_what_did_not_run_is_named_and_the_rest_is_judged(findings):
    found = findings(skip=["qam", "both__corrupted10", "both__corrupted30", "both__corrupted50"])
    assert found["Not run:"] == "1 of 12 lines were not run: QAM."
    assert "Effect of QAM:" not in found
    assert "Corrupted masks in the memory bank:" not in found
    order = found["Does the paper's order hold?"]
    assert order.startswith("It holds among the 3 of 4 rows that were run. Paper: QAM + PEM > PEM > baseline.")
    assert "3 of 3" in order


def test_the_order_here_is_that_of_the_seeds_which_all_rows_have(spec, results, tmp_path):
    results(spec, tmp_path / "two", LEVELS | {"baseline": 0.9}, seeds=2, noise=0.01)  # seed 1: a lucky training
    results(spec, tmp_path / "one", LEVELS, seeds=1, noise=0.01)
    shutil.copytree(tmp_path / "two/baseline/seed1", tmp_path / "one/baseline/seed1")
    table = build(spec, tmp_path / "one")
    assert table.line("baseline").scores["J&F"].mean > table.line("both").scores["J&F"].mean
    assert "Here: QAM + PEM > QAM > PEM > baseline." in dict(table.findings)["Does the paper's order hold?"]
    assert "to base: over the seeds that both rows have." in main(table).note


def test_seeds_with_constant_scores_are_counted(findings):
    def collapse(content):
        if content["seed"]:
            content["quality"] |= {"spearman": None, "pearson": None}

    text = findings(seeds=3, change=collapse)["Quality scores of QAM:"]
    assert text.startswith(
        "the scores follow the true IoU (Spearman 0.72; constant in 2 of 3 seeds), are over-confident"
    )


def test_an_oracle_gate_that_loses_is_counted(findings):
    levels = {"pem__oracle_gate": 0.4, "qam__oracle_gate": 0.4}
    text = findings(levels)["Can memory quality matter at this scale?"]
    assert text.startswith("Yes: a gate that knows the true IoU gains on 2 of 4 networks")
    assert "), and loses on 2, so a better" in text


def test_a_score_without_an_interval_leaves_nothing_out_of_it(spec, tmp_path, result):
    result(tmp_path / "baseline", "baseline", 0, {("a", "1"): 0.5})  # one clip
    assert "What the intervals leave out:" not in dict(build(spec, tmp_path).findings)


def test_the_number_of_seeds_limits_what_is_claimed(findings):
    assert findings()["What the intervals leave out:"].startswith("with one seed they are over clips only")


def test_few_seeds_are_called_few(findings):
    assert findings(seeds=2)["What the intervals leave out:"].startswith("with 2 seeds the spread")


def test_a_table_without_results_finds_only_what_is_missing(spec, tmp_path):
    ((heading, text),) = build(spec, tmp_path).findings
    assert heading == "Not run:"
    assert text.startswith("12 of 12 lines were not run: baseline; QAM;")


def test_seeds_that_lack_a_gate_do_not_count_for_the_recovery(findings, spec, tmp_path):
    heading = "Corrupted masks in the memory bank:"
    assert "recovers 75% [75%, 75%]" in findings(noise=0.0, seeds=2)[heading]
    shutil.rmtree(tmp_path / "both__oracle_gate_corrupted10/seed1")
    assert "recovers 75% [75%, 75%]" in dict(build(spec, tmp_path).findings)[heading]
    shutil.rmtree(tmp_path / "both__oracle_gate_corrupted30/seed0")
    text = dict(build(spec, tmp_path).findings)[heading]
    assert text.startswith("No seed has been scored with all gates at all rates (10, 30, 50 %) where the oracle gate")
