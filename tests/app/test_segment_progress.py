"""A run of `memvos segment` that is stopped goes on where it was, and ends as one that was not."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from memvos import load_model
from memvos.app import segment_progress
from memvos.app.segment_progress import UNFINISHED, Run, identity
from memvos.decode import video
from memvos.decode.propagate import Segmenter
from memvos.decode.video import VideoFile
from memvos.decode.writers import OverlayWriter
from memvos.model.checkpoints import save_model
from memvos.model.composition import compose

FRAMES = 10
EVICTING = ("memory.every=1", "memory.beta=1", "memory.sigma=null")  # so that quality.csv names frames of long ago


def square(left: int) -> np.ndarray:
    mask = np.zeros((48, 64), np.uint8)
    mask[16:32, left : left + 16] = 1
    return mask


@pytest.fixture
def clip(home):
    """Frames of a bright square that moves right; its mask at the first, and another object's at the seventh."""
    for name in ("clip", "masks"):
        (home / name).mkdir()
    for time in range(FRAMES):
        frame = np.where(square(2 * time)[..., None] > 0, 220, 30 + 5 * time).astype(np.uint8).repeat(3, axis=2)
        Image.fromarray(frame).save(home / f"clip/{time:05d}.png")
    Image.fromarray(square(0)).save(home / "masks/00000.png")
    Image.fromarray(square(40) * 2).save(home / "masks/00006.png")
    return home / "clip"


@pytest.fixture
def stop_at(monkeypatch):
    """stop_at(frame, stop) calls `stop` once, while that frame is read; stop_at(None) is over with it."""
    waiting = {}

    def read(path):
        waiting.pop(path.stem, lambda: None)()
        return image(path)

    image = video.read_image
    monkeypatch.setattr(video, "read_image", read)

    def set_up(frame, stop):
        waiting[f"{frame:05d}"] = stop

    return set_up


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def interrupt() -> None:
    raise KeyboardInterrupt


def fail() -> None:
    raise MemoryError


def results(folder: Path) -> dict[str, bytes]:
    """Everything but the overlay, whose encoder is not bound to give the same bytes twice, and when all was made."""
    others = ("overlay.mp4", "segmentation.json")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name not in others}


def overlay(folder: Path) -> np.ndarray:
    return np.stack([frame for _, frame in VideoFile(folder / "overlay.mp4")]).astype(int)


def line(out: str, *more: str) -> tuple[str, ...]:
    """The command line, with the cheapest network."""
    return ("segment", "clip", "--masks", "masks", "--out", out, "--model", "copy_first", "memory=first", *more)


@pytest.mark.parametrize(
    ("stop", "first", "second"),
    [
        (ctrl_c, "00003", "00007"),  # the frame that is being read is finished
        (lambda: signal.raise_signal(signal.SIGTERM), "00003", "00007"),
        (interrupt, "00002", "00006"),
    ],
    ids=["Ctrl-C", "SIGTERM", "while a frame is read"],
)
def test_a_run_that_is_stopped_twice_ends_as_one_that_was_not(memvos, clip, home, stop_at, stop, first, second):
    save_model(load_model("qdmn_small"), home / "w.safetensors", compose("qdmn_small", {}))
    network = ("--model", "qdmn_small", "weights=w.safetensors", *EVICTING, "--overlay")
    options = ("segment", "clip", "--masks", "masks", *network)
    assert memvos(*options, "--out", "whole")[0] == 0
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stop_at(3, stop)
    code, _, error = memvos(*options, "--out", "out")
    told = f"interrupted. {int(first) + 1} masks are kept in out; the same command goes on after frame {first}."
    assert (code, told in error) == (130, True), error
    stop_at(7, stop)
    code, _, error = memvos(*options, "--out", "out")
    assert (code, f"note: goes on after frame {first}; {int(first) + 1} masks are in out" in error) == (130, True)
    assert f"the same command goes on after frame {second}." in error
    assert "holds results of an earlier run" not in error
    code, output, error = memvos(*options, "--out", "out")
    assert (code, f"note: goes on after frame {second}" in error) == (0, True), error
    assert "10 masks of objects 1, 2 and quality.csv in out" in output
    assert results(home / "out") == results(home / "whole")
    assert abs(overlay(home / "out") - overlay(home / "whole")).mean() < 2
    rows = (home / "out/quality.csv").read_text().splitlines()
    assert rows[6].endswith(",00003")  # evicted (by these random weights), and named though it is an earlier call's
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_no_frame_that_is_done_is_segmented_again(memvos, clip, stop_at, monkeypatch):
    stop_at(4, ctrl_c)
    memvos(*line("out"))
    times, step = [], Segmenter.step

    def noted(segmenter, *frame, name):
        times.append(name)
        return step(segmenter, *frame, name=name)

    monkeypatch.setattr(Segmenter, "step", noted)
    assert memvos(*line("out"))[0] == 0
    assert times == [("clip", f"{time:05d}") for time in range(5, FRAMES)]


def test_a_run_that_is_stopped_while_it_passes_over_what_is_done_loses_nothing(memvos, clip, home, stop_at):
    memvos(*line("whole", "--overlay"))
    stop_at(6, ctrl_c)
    memvos(*line("out", "--overlay"))
    for stop in (ctrl_c, interrupt):
        stop_at(2, stop)
        code, _, error = memvos(*line("out", "--overlay"))
        told = "7 masks are kept in out; the same command goes on after frame 00006."
        assert (code, told in error) == (130, True), error
    assert memvos(*line("out", "--overlay"))[0] == 0
    assert results(home / "out") == results(home / "whole")
    assert abs(overlay(home / "out") - overlay(home / "whole")).mean() < 2


def test_a_run_that_is_stopped_at_its_last_frame_only_has_to_be_ended(memvos, clip, home, stop_at):
    memvos(*line("whole"))
    stop_at(FRAMES - 1, ctrl_c)
    code, _, error = memvos(*line("out"))
    assert (code, "10 masks are kept" in error) == (130, True), error
    assert memvos(*line("out"))[0] == 0
    assert results(home / "out") == results(home / "whole")


def test_an_overlay_may_be_asked_for_later(memvos, clip, home, stop_at):
    memvos(*line("whole", "--overlay"))
    stop_at(5, ctrl_c)
    memvos(*line("out"))
    code, _, error = memvos(*line("out", "--overlay"))
    assert (code, "goes on after frame 00005" in error) == (0, True), error
    assert abs(overlay(home / "out") - overlay(home / "whole")).mean() < 2


def test_an_overlay_of_the_frames_before_a_stop_does_not_stay(memvos, clip, home, stop_at):
    stop_at(5, ctrl_c)
    memvos(*line("out", "--overlay"))
    assert memvos(*line("out"))[0] == 0
    assert not (home / "out/overlay.mp4").exists()


def test_a_killed_run_goes_on_from_the_last_saving(memvos, clip, home, stop_at, monkeypatch):
    memvos(*line("whole"))
    monkeypatch.setattr(segment_progress, "EVERY", 0)
    monkeypatch.setattr(segment_progress, "SHARE", 0)
    stop_at(5, fail)
    with pytest.raises(MemoryError):
        memvos(*line("out"))
    code, _, error = memvos(*line("out"))
    assert (code, "goes on after frame 00004" in error) == (0, True), error
    assert results(home / "out") == results(home / "whole")


def test_rows_of_frames_that_are_not_saved_are_cut_back(memvos, clip, home, stop_at):
    memvos(*line("whole"))
    stop_at(2, ctrl_c)
    memvos(*line("out"))
    saved = (home / "out" / UNFINISHED).read_bytes()
    stop_at(7, ctrl_c)
    memvos(*line("out"))
    (home / "out" / UNFINISHED).write_bytes(saved)  # as if it was killed there
    for name in ("quality.csv", "given.json"):
        assert (home / "out" / name).stat().st_size > 0
    stop_at(4, ctrl_c)
    code, _, error = memvos(*line("out"))
    assert (code, "goes on after frame 00002" in error) == (130, True), error
    assert (home / "out/quality.csv").read_text().splitlines()[-1].startswith("clip,00004,")
    assert memvos(*line("out"))[0] == 0
    assert results(home / "out") == results(home / "whole")


def correction(home: Path, time: int) -> None:
    Image.fromarray(square(30)).save(home / f"masks/{time:05d}.png")


def added(home: Path) -> None:
    correction(home, 4)


def changed(home: Path) -> None:
    correction(home, 6)


def taken_away(home: Path) -> None:
    (home / "masks/00006.png").unlink()


@pytest.mark.parametrize("change", [added, changed, taken_away])
def test_masks_of_frames_to_come_may_change(memvos, clip, home, stop_at, change):
    stop_at(3, ctrl_c)
    memvos(*line("out"))
    change(home)
    code, _, error = memvos(*line("out"))
    assert (code, "note: goes on after frame 00003" in error) == (0, True), error
    memvos(*line("whole"))
    assert results(home / "out") == results(home / "whole")


def test_a_mask_of_a_frame_before_the_first_makes_another_run():
    run = Run({"input": "a"}, {"00000": "m", "00002": "n"}, int)
    assert run.others({"input": "a"}, {"00002": "n"}, "00003") == ["masks"]
    assert run.others({"input": "b"}, {"00000": "m", "00002": "n", "00004": "o"}, "00003") == ["input"]


def a_mask_of_the_last_frame_done(home: Path) -> None:
    correction(home, 3)


def a_frame_and_its_mask_less(home: Path) -> None:
    (home / "clip/00006.png").unlink()
    (home / "masks/00006.png").unlink()


def other_mask(home: Path) -> None:
    Image.fromarray(square(4)).save(home / "masks/00000.png")


def newer_frame(home: Path) -> None:
    os.utime(home / "clip/00009.png", (1, 1))


def one_frame_less(home: Path) -> None:
    (home / "clip/00009.png").unlink()


@pytest.mark.parametrize(
    ("change", "more", "what"),
    [
        (other_mask, (), "masks"),
        (a_mask_of_the_last_frame_done, (), "masks"),
        (a_frame_and_its_mask_less, (), "masks and input"),
        (newer_frame, (), "input"),
        (one_frame_less, (), "input"),
        (lambda home: None, ("short_side=40",), "weights or settings"),
        (lambda home: None, ("memory.every=3",), "weights or settings"),
        (other_mask, ("short_side=40",), "masks and weights or settings"),
    ],
)
def test_another_run_starts_from_the_first_frame(memvos, clip, home, stop_at, change, more, what):
    stop_at(3, ctrl_c)
    memvos(*line("out"))
    change(home)
    code, _, error = memvos(*line("out", *more))
    told = f"the interrupted run in out does not go on, for it had other {what}; starts from the first frame"
    assert (code, told in error) == (0, True), error
    memvos(*line("whole", *more))
    assert results(home / "out") == results(home / "whole")


def test_other_weights_start_from_the_first_frame(memvos, clip, home, stop_at):
    for name in ("one", "two"):
        save_model(load_model("qdmn_small"), home / f"{name}.safetensors", compose("qdmn_small", {}))
    options = ("segment", "clip", "--masks", "masks", "--out", "out", "--model", "qdmn_small")
    stop_at(2, ctrl_c)
    assert memvos(*options, "weights=one.safetensors")[0] == 130
    stop_at(1, ctrl_c)
    error = memvos(*options, "weights=two.safetensors")[2]
    assert "it had other weights or settings; starts from the first frame" in error
    assert "2 masks are kept in out; the same command goes on after frame 00001." in error


def test_a_stop_before_results_are_written_over_leaves_them_as_they_were(memvos, clip, home, stop_at):
    stop_at(3, ctrl_c)
    memvos(*line("out"))
    before = results(home / "out")
    stop_at(0, ctrl_c)
    code, _, error = memvos(*line("out", "memory.every=3"))
    assert (code, "Nothing was lost; the same command starts again." in error) == (130, True), error
    assert results(home / "out") == before


def cut_off(out: Path) -> str:
    (out / UNFINISHED).write_bytes((out / UNFINISHED).read_bytes()[:300])
    return f"{UNFINISHED} is damaged, or of other weights"


def lacking(out: Path) -> str:
    state = torch.load(out / UNFINISHED, weights_only=True)
    del state["segmenter"]["bank"]["ranks"]
    torch.save(state, out / UNFINISHED)
    return f"{UNFINISHED} is damaged, or of other weights"


def of_another_kind(out: Path) -> str:
    torch.save([1, 2], out / UNFINISHED)
    return f"{UNFINISHED} is damaged, or of other weights"


def without_a_mask(out: Path) -> str:
    (out / "00001.png").unlink()
    return "its mask 00001.png is gone"


@pytest.mark.parametrize("spoil", [cut_off, lacking, of_another_kind, without_a_mask])
def test_what_cannot_be_gone_on_with_starts_from_the_first_frame(memvos, clip, home, stop_at, spoil):
    memvos(*line("whole"))
    stop_at(3, ctrl_c)
    memvos(*line("out"))
    why = spoil(home / "out")
    code, _, error = memvos(*line("out"))
    assert (code, f"{why}; starts from the first frame" in error) == (0, True), error
    assert results(home / "out") == results(home / "whole")


def of_files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("more", [(), ("--overlay",)])
def test_a_run_that_is_finished_is_not_done_again(memvos, clip, home, more):
    memvos(*line("out", "--overlay"))
    before = of_files(home / "out")
    code, output, _ = memvos(*line("out", *more))
    assert (code, output) == (0, "out is finished already; nothing to do (delete it to segment the video again)\n")
    assert of_files(home / "out") == before


def without_a_row(home: Path) -> None:
    rows = (home / "out/quality.csv").read_text().splitlines(keepends=True)
    (home / "out/quality.csv").write_text("".join(rows[:-1]))


def without_the_last_mask(home: Path) -> None:
    (home / "out/00009.png").unlink()


@pytest.mark.parametrize(
    ("change", "more"),
    [
        (lambda home: None, ("memory.every=3",)),
        (lambda home: None, ("--overlay",)),
        (added, ()),
        (newer_frame, ()),
        (without_a_row, ()),
        (without_the_last_mask, ()),
    ],
    ids=["settings", "an overlay", "masks", "input", "a row is gone", "a mask is gone"],
)
def test_a_finished_run_that_is_another_now_or_not_whole_is_done(memvos, clip, home, change, more):
    memvos(*line("out"))
    change(home)
    code, output, error = memvos(*line("out", *more))
    assert (code, "10 masks of objects 1, 2" in output) == (0, True), error
    memvos(*line("whole", *more))
    assert results(home / "out") == results(home / "whole")
    assert "is finished already" in memvos(*line("out", *more))[1]


def test_a_run_that_takes_the_place_of_a_finished_one_is_not_finished_before_its_end(memvos, clip, home, stop_at):
    memvos(*line("out"))
    stop_at(3, ctrl_c)
    memvos(*line("out", "memory.every=3"))
    code, output, error = memvos(*line("out"))
    assert (code, "10 masks of objects 1, 2" in output) == (0, True), error


def test_a_folder_that_was_deleted_is_made_anew(memvos, clip, home, stop_at):
    memvos(*line("whole"))
    stop_at(3, ctrl_c)
    memvos(*line("out"))
    shutil.rmtree(home / "out")
    code, _, error = memvos(*line("out"))
    assert (code, "goes on" in error, "start" in error) == (0, False, False), error
    assert results(home / "out") == results(home / "whole")


@pytest.mark.parametrize("name", ["quality.csv", "given.json"])
def test_what_was_deleted_beside_the_masks_is_written_again(memvos, clip, home, stop_at, name):
    memvos(*line("whole"))
    stop_at(3, ctrl_c)
    memvos(*line("out"))
    (home / "out" / name).unlink()
    assert memvos(*line("out"))[0] == 0
    assert results(home / "out") == results(home / "whole")


def test_a_first_mask_that_does_not_fit_leaves_an_interrupted_run_as_it_was(memvos, clip, home, stop_at):
    stop_at(3, ctrl_c)
    memvos(*line("out"))
    before = results(home / "out")
    Image.fromarray(np.ones((10, 10), np.uint8)).save(home / "wrong.png")
    assert memvos(*line("out", "masks=wrong.png"))[0] == 2
    assert results(home / "out") == before


def test_a_video_file_goes_on_too_with_frames_before_the_first_mask(memvos, home, monkeypatch):
    with OverlayWriter(home / "clip.mp4") as writer:
        for time in range(FRAMES):
            writer.write(np.full((48, 64, 3), 20 * time, np.uint8), square(2 * time))
    (home / "masks").mkdir()
    Image.fromarray(square(4)).save(home / "masks/00002.png")
    options = ("segment", "clip.mp4", "--masks", "masks", "--model", "matching_small", "memory=first_previous")
    assert memvos(*options, "--out", "whole")[0] == 0
    step = Segmenter.step

    def stopped(segmenter, *frame, name):
        if segmenter.time == 3:
            ctrl_c()
        return step(segmenter, *frame, name=name)

    with monkeypatch.context() as patched:
        patched.setattr(Segmenter, "step", stopped)
        code, _, error = memvos(*options, "--out", "out")
    assert (code, "4 masks are kept in out; the same command goes on after frame 00005." in error) == (130, True), error
    code, output, error = memvos(*options, "--out", "out")
    assert (code, "8 masks of objects 1" in output) == (0, True), error
    assert results(home / "out") == results(home / "whole")


def test_the_second_interrupt_stops_at_once(memvos, clip, home, monkeypatch):
    memvos(*line("whole"))
    step = Segmenter.step

    def stopped(segmenter, *frame, name):
        if segmenter.time == 3:
            ctrl_c()
            ctrl_c()
        return step(segmenter, *frame, name=name)

    with monkeypatch.context() as patched:
        patched.setattr(Segmenter, "step", stopped)
        code, _, error = memvos(*line("out"))
    assert code == 130
    assert "SIGINT: finishing this frame and saving; once more stops at once" in error
    assert "3 masks are kept in out; the same command starts from the first frame again." in error
    assert not (home / "out" / UNFINISHED).exists()
    assert memvos(*line("out"))[0] == 0
    assert results(home / "out") == results(home / "whole")


def test_an_interrupt_before_the_first_mask_loses_nothing(memvos, clip, home, stop_at):
    stop_at(0, interrupt)
    code, _, error = memvos(*line("out"))
    assert (code, "interrupted. Nothing was lost; the same command starts again." in error) == (130, True), error
    assert not list((home / "out").iterdir())


def test_random_weights_are_not_gone_on_with(memvos, clip, home, stop_at):
    for _ in range(2):
        stop_at(3, ctrl_c)
        code, _, error = memvos(*line("out", "untrained=true"))
        told = "3 masks are kept in out; the same command starts from the first frame again."
        assert (code, told in error) == (130, True), error
        assert not (home / "out" / UNFINISHED).exists()
    for _ in range(2):
        assert "10 masks of objects 1, 2" in memvos(*line("out", "untrained=true"))[1]


@pytest.mark.parametrize("source", ["rtsp://camera/1", "/dev/null", "file:///clip.mp4"])
def test_a_live_input_is_not_gone_on_with(source):
    assert identity({"input": source, "untrained": False}, object(), {}, torch.nn.Identity(), []) is None


def test_a_run_that_cannot_be_saved_is_told(memvos, clip, home, stop_at, monkeypatch):
    def full(state, path):
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    stop_at(3, ctrl_c)
    code, _, error = memvos(*line("out"))
    told = f"cannot write out/{UNFINISHED} (No space left on device); make room, or choose another --out"
    assert (code, told in error) == (2, True), error
    assert not list((home / "out").glob(".*"))


def test_a_folder_that_cannot_be_put_back_is_told(memvos, clip, home, stop_at):
    stop_at(3, ctrl_c)
    memvos(*line("out"))
    (home / "out/quality.csv").unlink()
    (home / "out/quality.csv").mkdir()
    code, _, error = memvos(*line("out"))
    assert (code, "cannot write to out (" in error, "choose another --out" in error) == (2, True, True), error
