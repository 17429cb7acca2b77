"""`memvos segment`: friendly options, and a whole video with a small untrained network."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from memvos import load_model
from memvos.app import composition, segment
from memvos.app.segment import translate
from memvos.decode.settings import selected, with_read
from memvos.decode.writers import OverlayWriter
from memvos.errors import InputError
from memvos.model.checkpoints import save_model
from memvos.model.composition import build, compose, without_sources
from memvos.model.proposal_cache import look, write_proposals
from memvos.model.proposals import Proposals


@pytest.fixture
def clip(tmp_path):
    """Four frames of a bright square that moves right, and its first mask."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for time in range(4):
        frame = np.full((48, 64, 3), 30, np.uint8)
        frame[16:32, 8 + 4 * time : 24 + 4 * time] = 220
        Image.fromarray(frame).save(folder / f"{time:05d}.png")
    mask = np.zeros((48, 64), np.uint8)
    mask[16:32, 8:24] = 7
    Image.fromarray(mask).save(tmp_path / "first.png")
    return folder


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "small.safetensors"
    save_model(load_model("qdmn_small"), path, compose("qdmn_small", {}))
    return path


def test_every_frame_gets_a_mask_and_a_quality(memvos, clip, weights, home):
    options = ("--masks", clip.parent / "first.png", "--out", home / "out", "--weights", weights, "--overlay")
    code, output, error = memvos("segment", clip, *options, "model=qdmn_small")
    assert code == 0
    assert "4 masks of objects 7" in output
    assert sorted(path.name for path in (home / "out").glob("*.png")) == [f"{time:05d}.png" for time in range(4)]
    first = np.array(Image.open(home / "out" / "00000.png"))
    assert np.array_equal(first, np.array(Image.open(clip.parent / "first.png")))
    with open(home / "out" / "quality.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["object"] for line in lines} == {"7"}
    assert all(float(line["quality"]) > 0 for line in lines)
    assert "quality head" not in error
    assert (home / "out" / "overlay.mp4").stat().st_size > 0
    record = json.loads((home / "out" / "segmentation.json").read_text())["provenance"]
    assert record["config"]["weights"] == record["weights"]["path"] == str(weights)
    assert record["config"]["memory"]["sigma"] == 0.8


def test_label_propagation_needs_no_weights(memvos, clip, home):
    options = ("--masks", clip.parent / "first.png", "--out", home / "out", "--model", "matching_small")
    code, output, error = memvos("segment", clip, *options, "memory=first_previous")
    assert code == 0
    assert "4 masks of objects 7" in output
    assert error.count("note: this network has no quality head (QAM)") == 1
    with open(home / "out" / "quality.csv", newline="") as file:
        assert {(line["object"], line["quality"]) for line in csv.DictReader(file)} == {("7", "")}
    last = np.array(Image.open(home / "out" / "00003.png"))
    columns = np.nonzero((last == 7).any(axis=0))[0]
    assert columns.mean() == pytest.approx(27.5, abs=4)  # the square has moved from columns 8–23 to 20–35


def test_frames_and_masks_are_not_written_over(memvos, clip, weights):
    before = {path: path.read_bytes() for path in sorted(clip.iterdir())}
    given = clip.parent / "masks"
    given.mkdir()
    (clip.parent / "first.png").rename(given / "00000.png")
    for target, what in ((clip, "INPUT"), (given, "--masks")):
        code, _, error = memvos("segment", clip, "--masks", given, "--out", target, f"weights={weights}")
        assert (code, f"--out and {what} are" in error) == (2, True), error
    assert {path: path.read_bytes() for path in sorted(clip.iterdir())} == before


def test_the_mask_that_is_given_is_not_written_over(memvos, clip, weights, home):
    masks = home / "masks"
    masks.mkdir()
    (clip.parent / "first.png").rename(masks / "00000.png")
    before = (masks / "00000.png").read_bytes()
    code, _, error = memvos("segment", clip, "--masks", masks / "00000.png", "--out", masks, f"weights={weights}")
    assert (code, "would be overwritten by the mask found for frame 00000; name another --out" in error) == (2, True)
    assert (masks / "00000.png").read_bytes() == before
    assert [path.name for path in masks.iterdir()] == ["00000.png"]


@pytest.mark.parametrize("whole", [False, True], ids=["an image", "a folder of links"])
def test_a_frame_is_not_written_over_by_its_mask(memvos, clip, home, whole):
    before = (clip / "00000.png").read_bytes()
    (home / "links").mkdir()
    (home / "links/00000.png").symlink_to(clip / "00000.png")
    source = home / "links" if whole else clip / "00000.png"
    line = ("segment", source, "--masks", "first.png", "--out", clip, "--model", "copy_first")
    code, _, error = memvos(*line)
    told = f"{clip}/00000.png would be overwritten by the mask found for frame 00000; name another --out"
    assert (code, told in error) == (2, True), error
    assert (clip / "00000.png").read_bytes() == before


def test_a_video_is_not_lost_to_its_overlay(memvos, clip, weights, home):
    options = (
        "--masks",
        clip.parent / "first.png",
        "--out",
        home / "out",
        "--model",
        "qdmn_small",
        f"weights={weights}",
    )
    assert memvos("segment", clip, *options, "--overlay")[0] == 0
    video = home / "out" / "overlay.mp4"
    before = video.read_bytes()
    for more in (("--overlay",), ()):
        code, _, error = memvos("segment", video, *options, *more)
        told = "overlay.mp4 would be lost as an overlay of an earlier call; name another --out"
        assert (code, told in error) == (2, True), error
        assert video.read_bytes() == before


def test_an_overlay_of_other_masks_does_not_stay(memvos, clip, home):
    line = ("segment", clip, "--masks", "first.png", "--out", "out", "--model", "copy_first")
    assert memvos(*line, "memory=first", "--overlay")[0] == 0
    assert memvos(*line, "memory=all")[0] == 0
    assert not (home / "out/overlay.mp4").exists()


@pytest.mark.parametrize("mask", [np.ones((10, 10), np.uint8), np.zeros((48, 64), np.uint8)], ids=["size", "empty"])
def test_a_first_mask_that_does_not_fit_leaves_an_earlier_result_as_it_was(memvos, clip, weights, home, mask):
    options = ("--out", home / "out", "--model", "qdmn_small", f"weights={weights}")
    assert memvos("segment", clip, "--masks", clip.parent / "first.png", *options)[0] == 0
    before = {path.name: path.read_bytes() for path in (home / "out").iterdir()}
    Image.fromarray(mask).save(home / "wrong.png")
    assert memvos("segment", clip, "--masks", home / "wrong.png", *options)[0] == 2
    assert {path.name: path.read_bytes() for path in (home / "out").iterdir()} == before


def test_a_top_k_larger_than_the_first_memory_leaves_an_earlier_result_as_it_was(memvos, clip, weights, home):
    line = ("segment", clip, "--masks", "first.png", "--out", "out", "--model", "qdmn_small", f"weights={weights}")
    assert memvos(*line, "top_k=48", "--overlay")[0] == 0  # 6 × 8 positions
    before = {path.name: path.read_bytes() for path in (home / "out").iterdir()}
    code, _, error = memvos(*line, "top_k=49")
    assert (code, "frame 00001: top-k of 49 is larger than the memory of 48 positions; read all" in error) == (2, True)
    assert "earlier run" not in error
    assert {path.name: path.read_bytes() for path in (home / "out").iterdir()} == before


def test_masks_without_a_frame_are_told_before_anything_is_written(memvos, clip, weights, home):
    masks = home / "masks"
    masks.mkdir()
    for name in ("00000", "00009"):
        Image.open(clip.parent / "first.png").save(masks / f"{name}.png")
    code, _, error = memvos("segment", clip, "--masks", masks, "--out", home / "out", f"weights={weights}")
    assert code == 2
    assert "1 masks in" in error
    assert "first: 00009.png" in error
    assert not (home / "out").exists()


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (np.ones((10, 20), np.uint8), "00002.png is 20×10 pixels, 00000.png 64×48; expected one size"),
        (np.zeros((48, 64), np.uint8), "00002.png shows no object, only background; expected at least one id above 0"),
        (np.zeros((48, 64, 3), np.uint8), "00002.png has mode RGB; expected a palette (P) or grey (L) PNG"),
        (np.tile(np.arange(64, dtype=np.uint8), (48, 1)), "00002.png holds 63 ids, most of them only along edges"),
    ],
    ids=["size", "empty", "colours", "smoothed"],
)
def test_a_bad_later_mask_is_told_before_anything_is_computed(memvos, clip, home, mask, told):
    (home / "masks").mkdir()
    (home / "first.png").rename(home / "masks/00000.png")
    Image.fromarray(mask).save(home / "masks/00002.png")
    line = ("segment", clip, "--masks", home / "masks", "--out", home / "out", "--model", "copy_first")
    code, _, error = memvos(*line)
    assert (code, told in error, len(error.strip().splitlines())) == (2, True, 1), error
    assert not (home / "out").exists()


def test_masks_that_were_given_are_noted_though_a_frame_cannot_be_read(memvos, clip, home):
    (home / "masks").mkdir()
    for time in (0, 3):
        Image.open(home / "first.png").save(home / f"masks/{time:05d}.png")
    (clip / "00003.png").write_text("no image")
    line = ("segment", clip, "--masks", home / "masks", "--out", home / "out", "--model", "copy_first")
    code, _, error = memvos(*line)
    assert (code, "00003.png cannot be read" in error) == (2, True), error
    assert json.loads((home / "out/given.json").read_text()) == {"00000": [7]}


def test_masks_that_are_given_are_noted_before_those_found_are_written(memvos, clip, home, monkeypatch):
    (home / "masks").mkdir()
    for time in (0, 2):
        Image.open(home / "first.png").save(home / f"masks/{time:05d}.png")
    (home / "out").mkdir()
    (home / "out/given.json").write_text('{"00001": [1]}')  # of an earlier run
    noted = {}

    def write(writer, name, labels):  # what a process that is killed here leaves
        noted[name] = json.loads((writer.folder / "given.json").read_text())

    monkeypatch.setattr("memvos.decode.writers.MaskWriter.write", write)
    line = ("segment", clip, "--masks", home / "masks", "--out", home / "out", "--model", "copy_first")
    assert memvos(*line)[0] == 0
    first, both = {"00000": [7]}, {"00000": [7], "00002": [7]}
    assert noted == {"00000": first, "00001": first, "00002": both, "00003": both}


def test_an_earlier_result_in_the_folder_is_noted(memvos, clip, weights, home):
    line = ("segment", clip, "--masks", "first.png", "--out", "out", "--model", "qdmn_small", f"weights={weights}")
    errors = [memvos(*line, f"memory.every={every}")[2] for every in (5, 1)]
    assert ["holds results of an earlier run" in error for error in errors] == [False, True]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("threads=0", "threads as a whole number from 1"),
        ("overlay=no", "overlay=true or overlay=false, got 'no'"),
        ("short_side=0", "short_side as a whole number from 1"),
        ("memory.every=0", "memory: expected every as a whole number from 1"),
        ("memory.beta=2.5", "expected beta as a whole number from 0"),
        ("+memory.foo=1", "unknown option 'foo' of the memory"),
        ("top_k=abc", "top_k as a whole number from 1"),
        ("device=meta", "unknown device 'meta'"),
    ],
)
def test_settings_that_cannot_be_are_told_in_one_line(memvos, clip, weights, home, setting, told):
    options = ("--masks", clip.parent / "first.png", "--out", home / "out", "--model", "qdmn_small")
    code, _, error = memvos("segment", clip, *options, f"weights={weights}", setting)
    assert (code, told in error, len(error.strip().splitlines())) == (2, True, 1), error


def test_the_limit_of_the_read_can_be_switched_off():
    for top_k, expected in (("own", 50), (None, None), (7, 7)):
        network = load_model("qdmn_small", read="topk")
        chosen = segment.chosen_read({"top_k": top_k, "kernel": "own"})
        assert selected(with_read(network, chosen).read)["top_k"] == expected


def test_an_output_that_cannot_be_written_is_told_with_its_option(memvos, clip, weights, home):
    (home / "file").touch()
    options = ("--masks", clip.parent / "first.png", "--out", home / "file" / "out", f"weights={weights}")
    code, _, error = memvos("segment", clip, *options)
    assert (code, "a file is in the way; choose another --out=FOLDER" in error) == (2, True), error


def test_a_mask_of_another_size_is_told(memvos, clip, weights, home):
    Image.fromarray(np.ones((10, 10), np.uint8)).save(home / "wrong.png")
    code, _, error = memvos("segment", clip, "--masks", home / "wrong.png", "--out", home / "out", f"weights={weights}")
    assert code == 2
    assert "10×10" in error


def test_missing_masks_weights_and_inputs_are_told(memvos, clip, home):
    first = clip.parent / "first.png"
    for arguments, told in [
        ((clip, "--masks", home / "no.png", "--out", home / "o"), "no mask at"),
        ((clip, "--masks", first, "--out", home / "o"), "no weights for QDMN: give --weights FILE"),
        (
            (clip, "--masks", first, "--out", home / "o", "--model", "no_net"),
            "no config 'no_net' in group 'model'; options are ",
        ),
        ((home / "no.mp4", "--masks", first, "--out", home / "o"), "does not exist; give a video file"),
    ]:
        code, _, error = memvos("segment", *arguments)
        assert (code, told in error) == (2, True), error


def test_weights_that_leave_parts_untrained_are_refused_unless_that_is_asked_for(memvos, clip, home):
    model, configuration = load_model("qdmn_small"), compose("qdmn_small", {})
    save_model(model, home / "q.ckpt", configuration, [name for name in model.state_dict() if "quality" in name])
    line = ("segment", clip, "--masks", clip.parent / "first.png", "--out", home / "out", "--weights", home / "q.ckpt")
    code, _, error = memvos(*line)
    assert (code, "holds nothing trained for quality" in error) == (2, True), error
    assert not (home / "out").exists()
    assert memvos(*line, "untrained=true")[0] == 0


@pytest.fixture
def kept(clip, home):
    """A folder of proposals of the clip: the square of each frame."""
    frames, looks = {}, {}
    for time in range(4):
        x = 8 + 4 * time
        frames[f"{time:05d}"] = Proposals.of_image(
            torch.tensor([[x, 16.0, x + 16, 32.0]]), torch.ones(1, 28, 28), torch.ones(1)
        )
        image = torch.from_numpy(np.array(Image.open(clip / f"{time:05d}.png"))).movedim(-1, 0)
        looks[f"{time:05d}"] = look(image.unsqueeze(0) / 255)[0]
    (home / "kept").mkdir()
    write_proposals(home / "kept" / "clip.npz", (48, 64), frames, looks)
    return home / "kept"


def test_dmn_aoa_takes_the_proposals_it_is_told_to_whatever_its_weights_were_trained_with(memvos, clip, kept, home):
    configuration = without_sources(compose("dmn_aoa_smoke", {}))
    save_model(build(configuration), home / "w.ckpt", configuration)
    line = ("segment", clip, "--masks", clip.parent / "first.png", "--out", home / "out", "--weights", home / "w.ckpt")
    line = (*line, "--model", "dmn_aoa_smoke", "memory=every_5")
    code, _, error = memvos(*line)
    assert (code, "has no source of them; choose a source: model/proposals=detector" in error) == (2, True), error
    code, output, error = memvos(*line, "model/proposals=cached", f"model.proposals.folder={kept}")
    assert (code, "4 masks of objects 7" in output) == (0, True), error
    (kept / "clip.npz").rename(kept / "other.npz")
    code, _, error = memvos(*line, "memory.every=3", "model/proposals=cached", f"model.proposals.folder={kept}")
    assert (code, f"frame 00001: no cached proposals at {kept}/clip.npz" in error) == (2, True), error


def test_a_checkpoint_of_a_detector_is_handed_to_the_network():
    overrides = ["model=dmn_aoa_smoke", "model/proposals=detector", "model.proposals.checkpoint=d.ckpt"]
    settings = composition.resolved(composition.compose("segment", [*overrides, "untrained=true"]))
    segmenter = segment.build_segmenter(settings, composition.places(overrides, "model"))
    assert segmenter.model.proposals.checkpoint == "d.ckpt"


OWN = """import torch

from memvos.model.floors import CopyFirst


class Mine(CopyFirst):
    needs_weights = True

    def __init__(self, width):
        super().__init__()
        self.shade = torch.nn.Parameter(torch.zeros(width))
"""


def test_a_network_of_the_users_own_segments_without_and_with_weights(memvos, clip, home, monkeypatch):
    (home / "network_of_a_user.py").write_text(OWN)
    (home / "own" / "model").mkdir(parents=True)
    (home / "own" / "model" / "mine.yaml").write_text("_target_: network_of_a_user.Mine\nwidth: 3\n")
    monkeypatch.syspath_prepend(str(home))
    trained = {"_target_": "network_of_a_user.Mine", "width": 5}
    save_model(build(trained, [trained["_target_"]]), home / "w.ckpt", trained)
    line = ("segment", clip, "--masks", clip.parent / "first.png", "--out", home / "out", "memory=first")
    line = (*line, "--config-dir", home / "own", "--model", "mine")
    code, _, error = memvos(*line)
    assert (code, "no weights for Mine: give --weights FILE" in error) == (2, True), error
    for way in ("untrained=true", "weights=w.ckpt"):
        code, output, error = memvos(*line, way)
        assert (code, "4 masks of objects 7" in output) == (0, True), error


def test_options_become_overrides():
    line = ["a b.mp4", "--masks", "first.png", "--out=o", "memory.sigma=0.5", "--overlay"]
    assert translate(line) == [
        "input='a b.mp4'", "masks='first.png'", "output_dir='o'", "memory.sigma=0.5", "overlay=true"
    ]  # fmt: skip


def test_options_of_hydra_and_paths_with_signs_of_their_own_pass():
    assert translate(["v.mp4", "--cfg", "job", "--config-dir", "own", "weights=epoch=3-step=10.ckpt"]) == [
        "--cfg", "job", "--config-dir", "own", "input='v.mp4'", "weights='epoch=3-step=10.ckpt'"
    ]  # fmt: skip


def test_paths_that_are_quoted_already_pass_as_they_are(home):
    line = ["input='a b.mp4'", 'masks="it\'s.png"', "--out", "'o'"]
    assert translate(line) == ["input='a b.mp4'", 'masks="it\'s.png"', "output_dir='o'"]
    (home / "'a b.mp4'").touch()  # the name of a file, signs and all
    assert translate(["'a b.mp4'", "masks='a'b'"]) == [r"input='\'a b.mp4\''", r"masks='\'a\'b\''"]


def test_an_unknown_option_is_refused():
    with pytest.raises(
        InputError,
        match="unknown option --weight; expected --masks, --out, --weights, --model, --overlay, --config-dir",
    ):
        translate(["v.mp4", "--weight", "w.ckpt"])


def test_a_sweep_puts_its_folders_into_out():
    assert translate(["v.mp4", "--out", "o", "-m"]) == ["-m", "input='v.mp4'", "hydra.sweep.dir='o'"]


@pytest.mark.slow
@pytest.mark.usefixtures("clip")
def test_every_job_of_a_sweep_segments_the_video(memvos, home):
    options = ("--masks", "first.png", "--out", "out", "--model", "copy_first", "memory=first")
    code, output, error = memvos("segment", "clip", *options, "-m", "memory.beta=2,3")
    assert code == 0, error
    assert [line.split()[0] for line in output.splitlines()] == ["done", "done"]
    for job, limit in (("0", 2), ("1", 3)):
        names = sorted(path.name for path in (home / "out" / job).glob("*.png"))
        assert names == [f"{time:05d}.png" for time in range(4)]
        assert (home / "out" / job / "quality.csv").is_file()
        assert f"memory.beta={limit}" in output.splitlines()[int(job)]
    before = {path: path.stat().st_mtime_ns for path in (home / "out").glob("*/*") if path.name != "job.log"}
    assert memvos("segment", "clip", *options, "-m", "memory.beta=2,4")[0] == 0
    after = {path: path.stat().st_mtime_ns for path in before}
    assert {path.parent.name for path in before if after[path] != before[path]} == {"1"}  # whose limit is another now
    assert "is finished already; nothing to do" in (home / "out/0/job.log").read_text()


def test_a_second_input_is_refused():
    with pytest.raises(InputError, match=r"expected one input, got a second: b\.mp4"):
        translate(["a.mp4", "b.mp4"])


def test_a_network_that_is_not_chosen_is_that_of_the_weights(memvos, clip, home):
    configuration = compose("stcn_small", {})
    save_model(build(without_sources(configuration)), home / "w.ckpt", configuration)
    line = ("segment", clip, "--masks", clip.parent / "first.png", "--out", home / "out", "--weights", home / "w.ckpt")
    code, output, error = memvos(*line)
    assert (code, "4 masks of objects 7" in output) == (0, True), error
    code, _, error = memvos(*line, "--model", "qdmn_small")
    assert (code, "the chosen model is a memvos.model.qdmn.QDMN; choose the model" in error) == (2, True), error


def test_masks_of_a_video_file_are_named_by_number(memvos, home):
    with OverlayWriter(home / "clip.mp4") as writer:
        for _ in range(3):
            writer.write(np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8))
    (home / "masks").mkdir()
    mask = np.zeros((48, 64), np.uint8)
    mask[16:32, 8:24] = 1
    Image.fromarray(mask).save(home / "masks/0.png")
    line = ("segment", home / "clip.mp4", "--masks", home / "masks", "--out", home / "out", "--model", "copy_first")
    code, _, error = memvos(*line)
    assert (code, "(first: 0.png); frames are named 00000 to 00002; name masks" in error) == (2, True), error
    (home / "masks/0.png").rename(home / "masks/00001.png")
    code, output, error = memvos(*line)
    assert (code, "2 masks of objects 1" in output) == (0, True), error
    single = ("--masks", home / "masks/00001.png", "--out", home / "single")
    line = ("segment", home / "clip.mp4", *single, *line[6:])
    code, output, error = memvos(*line)  # a single mask belongs to the frame of its name, too
    assert (code, "2 masks of objects 1" in output) == (0, True), error


@pytest.mark.parametrize("name", ["first", "00000"])
def test_a_mask_among_the_frames_is_no_frame(memvos, clip, home, name):
    for path in clip.iterdir():
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    (home / "first.png").rename(clip / f"{name}.png")
    line = ("segment", clip, "--masks", clip / f"{name}.png", "--out", home / "out", "--model", "copy_first")
    code, output, error = memvos(*line)
    assert (code, "4 masks of objects 7" in output) == (0, True), error
    assert sorted(path.name for path in (home / "out").glob("*.png")) == [f"{time:05d}.png" for time in range(4)]


@pytest.mark.parametrize(
    ("values", "setting"), [((255, 200, 30, 7), "threshold=true"), ((1, 1, 255, 255), "ignore=[255]")]
)
def test_masks_that_are_no_ids_are_read_as_told(memvos, clip, home, values, setting):
    mask = np.zeros((48, 64), np.uint8)
    for index, value in enumerate(values):
        mask[16:32, 8 + 8 * index : 16 + 8 * index] = value
    Image.fromarray(mask).save(home / "first.png")
    line = ("segment", clip, "--masks", home / "first.png", "--out", home / "out", "--model", "copy_first")
    code, _, error = memvos(*line)
    assert (code, "set ignore=[255] if 255 means void, threshold=true" in error) == (2, True), error
    code, output, error = memvos(*line, setting)
    assert (code, "4 masks of objects 1 and" in output) == (0, True), error
    labels = np.array(Image.open(home / "out/00000.png"))
    assert labels[16:32, 8:24].all()
    assert labels.sum() == 16 * 16


def test_what_is_ignored_are_values_of_masks(memvos, clip, home):
    line = ("segment", clip, "--masks", clip.parent / "first.png", "--out", home / "out", "--model", "copy_first")
    code, _, error = memvos(*line, "ignore=255")
    assert (code, "expected ignore to be a list of mask values, e.g. [255], got 255" in error) == (2, True), error
