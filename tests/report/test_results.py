import json

import pytest

from memvos.report.results import Results

SCORES = {("a", "1"): 0.5, ("a", "2"): 0.7, ("b", "1"): 0.6}


def change(folder, **facts):
    path = folder / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


@pytest.fixture
def two(tmp_path, result):
    """Results of two rows."""
    return tmp_path, result(tmp_path / "baseline", "baseline", 0, SCORES), result(tmp_path / "qam", "qam", 0, SCORES)


def test_results_are_found_by_row_variant_and_seed(spec, tmp_path, result):
    result(tmp_path / "both__no_gate", "both", 0, SCORES)
    result(tmp_path / "both__no_gate", "both", 10, SCORES)
    result(tmp_path / "both__no_gate", "both", 2, SCORES)
    results = Results(spec, tmp_path)
    assert list(results.of("both", "no_gate")) == [0, 2, 10]
    assert results.of("both") == {}
    assert results.of("both", "no_gate")[2].scores["J&F"] == pytest.approx(0.6)
    points = results.points("both", "no_gate", "J")[10]
    assert points == pytest.approx({("a", "1"): 48, ("a", "2"): 68, ("b", "1"): 58})


def test_nothing_at_all_is_an_empty_set(spec, tmp_path):
    assert list(Results(spec, tmp_path / "nothing")) == []


def test_pairs_without_a_known_iou_are_left_out(spec, tmp_path, result):
    folder = result(tmp_path / "qam", "qam", 0, SCORES, pairs=[(0.9, 0.8), (0.5, ""), ("", 0.3)])
    predicted, true = Results(spec, tmp_path).of("qam")[0].quality_pairs
    assert (predicted.tolist(), true.tolist()) == ([0.9], [0.8])
    (folder / "quality.csv").unlink()
    assert Results(spec, tmp_path).of("qam")[0].quality_pairs[0].size == 0


def test_a_null_is_no_number(spec, two):
    root, first, _ = two
    change(first, quality={"spearman": None, "bias": 0.5})
    found = Results(spec, root).of("baseline")[0]
    assert (found.value("quality", "spearman"), found.value("quality", "bias")) == (None, 0.5)
    assert found.value("nothing", "here") is None


@pytest.mark.parametrize(("name", "other"), [("scale", "small"), ("data", "davis2016"), ("difficulty", "hard")])
def test_results_of_different_kinds_are_never_mixed(spec, two, name, other):
    root, _, second = two
    change(second, **{name: other})
    with pytest.raises(ValueError, match=f"has {name} '.*qam/seed0 has '{other}'; one table holds one"):
        Results(spec, root)


def test_results_on_different_data_of_one_name_are_never_mixed(spec, two):
    root, _, second = two
    change(second, provenance={"data": "0ther"})
    with pytest.raises(ValueError, match=r"has data fingerprint 'feedfeed', .*'0ther'"):
        Results(spec, root)


def test_faulty_files_are_named(spec, two):
    root, first, _ = two
    content = (first / "result.json").read_text()
    for text, message in (
        (content[:40], "is not JSON .*; delete its folder and run again"),
        ("\0", "is not JSON"),
        ('{"schema": 9}', "expected `schema: 1` and scores"),
        (content.replace('"row": "baseline"', '"row": "pem"'), "holds row 'pem', seed 0, but lies in baseline/seed0"),
        (content.replace('"J&F": 0.6', '"J&F": 0.9'), r"says J&F = 0.9000, the mean of objects.csv is 0.6000"),
    ):
        (first / "result.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            Results(spec, root)
    (first / "result.json").write_text(content)
    (first / "objects.csv").unlink()
    with pytest.raises(ValueError, match=r"objects.csv is missing beside result.json"):
        Results(spec, root)


HEAD = b"video,frame,object,quality,iou,stored,evicted\n"


@pytest.mark.parametrize(
    ("name", "left", "message"),
    [
        ("objects.csv", b"", "is damaged .there is no column 'video'"),
        ("objects.csv", b"video,object,J\na,1,0.5\n", "is damaged .there is no column 'J_recall'"),
        ("objects.csv", b"\xff\xfe", "is damaged .'utf-8' codec can't decode"),
        ("objects.csv", None, "has 2 objects, result.json counts 3"),
        ("quality.csv", b"frame,score\n0,1\n", "is damaged .there is no column 'video'"),
        ("quality.csv", HEAD + b"a,0,1,high,0.5,1,\n", "is damaged .could not convert string to float: 'high'"),
        ("quality.csv", HEAD + b"a,0,1,0.5\n", "is damaged .a line ends early"),
        ("quality.csv", b"\xff", "is damaged .'utf-8' codec"),
        ("frames.csv", b"video,frame\na,0\n", "is damaged .there is no column 'seconds'"),
    ],
)
def test_damaged_csv_files_are_named(spec, two, name, left, message):
    root, first, _ = two
    path = first / name
    path.write_bytes(left if left is not None else path.read_bytes().rsplit(b"\n", 2)[0] + b"\n")
    with pytest.raises(ValueError, match=rf"baseline/seed0/{name} {message}.*; delete its folder and run again"):
        [(result.quality_pairs, result.course) for result in Results(spec, root)]


def test_a_floor_is_compared_with_every_seed(spec, tmp_path, result):
    for seed in range(3):
        result(tmp_path / "baseline", "baseline", seed, SCORES)
    result(tmp_path / "copy_first", "copy_first", 0, dict.fromkeys(SCORES, 0.1))
    results = Results(spec, tmp_path)
    assert results.difference(("baseline", None), ("copy_first", None), "J&F").seeds == 3
    assert results.difference(("qam", None), ("copy_first", None), "J&F") is None


def test_a_floor_minus_a_row_is_the_same_comparison_the_other_way_round(spec, tmp_path, result):
    for seed, level in enumerate((0.4, 0.5, 0.9)):
        result(tmp_path / "baseline", "baseline", seed, dict.fromkeys(SCORES, level))
    result(tmp_path / "copy_first", "copy_first", 0, dict.fromkeys(SCORES, 0.1))
    results = Results(spec, tmp_path)
    over = results.difference(("baseline", None), ("copy_first", None), "J&F")
    under = results.difference(("copy_first", None), ("baseline", None), "J&F")
    assert under.seeds == 3
    assert (under.mean, over.mean) == pytest.approx((-50, 50))
