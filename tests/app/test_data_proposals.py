"""`memvos data proposals`: proposals found once, kept in files, and scored as those of the source itself."""

import json

import pytest

CLIPS = ("clips={train: 2, val: 1, test: 2}", "frames=4", "frame_size=[64,64]", "difficulty=easy")
SCORED = ("scale=smoke", "experiment=dmn_aoa", "untrained=true", "memory=first", "precision=float32")


@pytest.fixture
def results(home, memvos):
    """A file of COCO results with two squares in every frame of the test clips."""
    assert memvos("data", "synthetic", *CLIPS)[0] == 0
    from memvos.app import data

    tree = data.videos_of("synthetic", "test", CLIPS)
    corners = [[4, 6], [30, 28]]
    runs = [[x * 64 + y] + [20, 44] * 19 + [20, 64 * 64 - (x + 19) * 64 - y - 20] for x, y in corners]
    found = [
        {
            "image_id": f"{video.name}/{frame}",
            "bbox": [*corner, 20, 20],
            "score": 0.9,
            "segmentation": {"size": [64, 64], "counts": run},
        }
        for video in tree.videos
        for frame in video.frame_names
        for corner, run in zip(corners, runs, strict=True)
    ]
    (home / "results.json").write_text(json.dumps(found))
    return ("model/proposals=coco", f"model.proposals.results={home / 'results.json'}")


def test_kept_proposals_are_scored_as_those_of_the_source(memvos, home, results):
    code, output, error = memvos("data", "proposals", "synthetic", "kept", *results, *CLIPS)
    assert code == 0, error
    assert "2 videos written now (8 frames, 2.0 proposals a frame), 0 were there" in output
    assert "model/proposals=cached model.proposals.folder=" in output
    code, output, _ = memvos("data", "proposals", "synthetic", "kept", *results, *CLIPS)
    assert "0 videos written now (0 frames), 2 were there" in output
    cached = ("model/proposals=cached", "model.proposals.folder=kept")
    data = tuple(f"data.{one}" for one in CLIPS)
    scores = []
    for name, source in (("of_source", results), ("of_files", cached)):
        code, _, error = memvos("evaluate", *SCORED, *data, *source, f"output_dir={name}")
        assert code == 0, error
        scores.append(json.loads((home / name / "result.json").read_text()))
    assert scores[0]["proposals"] == scores[1]["proposals"] is not None
    assert scores[0]["scores"]["J&F"] == pytest.approx(scores[1]["scores"]["J&F"], abs=1e-3)  # masks are kept in bytes
    assert scores[0]["provenance"]["fingerprint"] != scores[1]["provenance"]["fingerprint"]


def test_proposals_from_files_are_refused_in_several_views_before_anything_is_computed(memvos, home, results):
    data = tuple(f"data.{one}" for one in CLIPS)
    code, _, error = memvos("evaluate", *SCORED, *data, *results, "tta={scales: [1.0], flip: true}", "output_dir=e")
    assert (code, "CocoProposals knows it in one; expected a source that looks at the image" in error) == (2, True), (
        error
    )
    assert not list((home / "e").rglob("*.csv"))


def test_true_masks_are_proposals_where_they_are_asked_for(memvos, home, results):
    data = tuple(f"data.{one}" for one in CLIPS)
    code, _, error = memvos("evaluate", *SCORED, *data, "model/proposals=oracle", "output_dir=ceiling")
    assert code == 0, error
    assert json.loads((home / "ceiling" / "result.json").read_text())["proposals"]["recall@0.5"] == 1


def test_kept_proposals_of_other_data_are_refused_before_anything_is_computed(memvos, home, results):
    assert memvos("data", "proposals", "synthetic", "kept", *results, *CLIPS)[0] == 0
    cached = ("model/proposals=cached", "model.proposals.folder=kept")
    for change, message in (
        ("data.frame_size=[48,64]", "proposals of frames of 64×64 pixels (synthetic test), the data set's have 48×64"),
        ("data.frames=6", "(synthetic test) lacks 2 of 6 frames"),
    ):
        data = tuple(f"data.{one}" for one in CLIPS)
        code, _, error = memvos("evaluate", *SCORED, *data, change, *cached, "output_dir=scored")
        assert code == 2
        assert message in error
    code, _, error = memvos("data", "proposals", "synthetic", "kept", *results, *CLIPS, "split=val")
    assert code == 2
    assert "was written otherwise" in error


def test_without_a_source_nothing_is_written(memvos, home):
    code, _, error = memvos("data", "proposals", "synthetic", "kept", *CLIPS)
    assert code == 2
    assert "has no source of them; choose a source: model/proposals=detector" in error
    assert not list((home / "kept").iterdir())
