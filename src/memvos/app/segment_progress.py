"""How far `memvos segment` has come, kept beside its masks: a run that was stopped goes on where it was.

The file unfinished.pt holds what makes the run what it is, the frames that are done and the segmenter's state after
them. It is written between two frames: every so often, and when Ctrl-C or SIGTERM asks the run to stop. The next call
takes it over if it is the same run. A live input cannot be taken up again, and random weights are others each time:
there is no such file, and every call starts from the first frame.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from memvos.app import provenance
from memvos.app.finished import OVERLAY, QUALITY, SEGMENTATION, is_segmented, segmented
from memvos.decode import resume
from memvos.decode.propagate import Segmenter
from memvos.decode.writers import write_given
from memvos.errors import InputError
from memvos.model.state_files import DAMAGE, write_pickled
from memvos.stop_signals import StopRequest
from memvos.whole_file import whole_file

UNFINISHED = "unfinished.pt"
EVERY = 60.0
"""Seconds between two savings, at least; a process that is killed loses no more frames than it does in them."""
SHARE = 20
"""Saving a large memory takes a while: at most one part in so many of the time."""

Frame = tuple[str, np.ndarray]


@dataclass(frozen=True)
class Run:
    """What makes a run what it is, as fingerprints.

    Attributes:
        marks: of the input, and of weights and settings.
        masks: of the masks that are given, by frame.
        place: how many frames come before the one of a name; -1: there is none of it.
    """

    marks: Mapping[str, str]
    masks: Mapping[str, str]
    place: Callable[[str], int]

    @property
    def fingerprint(self) -> str:
        """Of everything."""
        return provenance.digest([dict(self.marks), dict(self.masks)])

    def others(self, marks: Mapping[str, str], masks: Mapping[str, str], last: str) -> list[str]:
        """What up to frame `last` was otherwise in the run of `marks` and `masks`; masks of later frames may be."""
        changed = {name for name, _ in masks.items() ^ self.masks.items()}
        is_changed = any(self.place(name) <= self.place(last) for name in changed)
        return [*(["masks"] if is_changed else []), *(what for what, mark in self.marks.items() if marks[what] != mark)]


def identity(
    settings: Mapping[str, Any], frames: Any, masks: Mapping[str, Path], network: torch.nn.Module, chosen: Sequence[Any]
) -> Run | None:
    """What this run is; None if it cannot be gone on with.

    Args:
        settings: resolved configuration `segment`.
        frames: of `open_frames`.
        masks: the files that are given, by frame.
        network: with its weights.
        chosen: what of the model the command line chose.
    """
    files = getattr(frames, "paths", [Path(settings["input"])])
    if settings["untrained"] or not all(path.is_file() for path in files):
        return None
    states = [(path.resolve(), path.stat()) for path in files]
    modules = {type(part).__module__ for part in network.modules()}
    weights = settings["weights"] and provenance.weights_identity(settings["weights"])
    ours = sorted(module for module in modules if module.startswith("memvos."))
    marks = {
        "input": provenance.digest([(str(path), state.st_size, state.st_mtime_ns) for path, state in states]),
        "weights or settings": provenance.of_segmentation(settings, weights, chosen, ours),
    }
    digests = {name: provenance.file_digest(path) for name, path in masks.items()}
    places = {name: place for place, name in enumerate(getattr(frames, "names", []))}
    return Run(marks, digests, (lambda name: places.get(name, -1)) if places else int)


class SegmentProgress:
    """The frames of one run that are done, saved and taken over.

    Args:
        folder: of the masks.
        segmenter: at the start of the video.
        given: ids given by hand, by frame, as they are noted; those of frames that are done are added.
        run: its `identity`.

    Attributes:
        names: of the frames whose masks and rows are written, in order; whoever writes them adds to it.
    """

    def __init__(self, folder: Path, segmenter: Segmenter, given: dict[str, list[int]], run: Run | None) -> None:
        self.names: list[str] = []
        self._folder, self._segmenter, self._given, self._run = folder, segmenter, given, run
        self._rows = ""
        self._saved = 0
        self._next = time.monotonic() + EVERY
        self._stop = StopRequest("frame", waits=run is not None)

    @property
    def _file(self) -> Path:
        return self._folder / UNFINISHED

    def is_finished(self, with_overlay: bool) -> bool:
        """Has an earlier call of the same run come to its end, with an overlay where one is asked for?"""
        return self._run is not None and is_segmented(self._folder, self._run.fingerprint, with_overlay)

    def go_on(self) -> str | None:
        """Take over what a stopped call of the same run left. Returns what there is to say about it, if anything."""
        if not self._file.is_file():
            return None
        try:
            state = torch.load(self._file, map_location=self._segmenter.device, weights_only=True)
            hindrance = self._hindrance(state)
            if hindrance is None:
                self._take_over(state)
                return f"goes on after frame {self.names[-1]}; {len(self.names)} masks are in {self._folder}"
        except DAMAGE:
            hindrance = f"{self._file} is damaged, or of other weights"
        return f"the interrupted run in {self._folder} does not go on, {hindrance}; starts from the first frame"

    def start(self) -> None:
        """Put quality.csv and given.json as they were after the frames that are done; without any, forget older ones.

        From here on no earlier call is finished. Its overlay goes: one of this call is made from the first frame on.

        Raises:
            InputError: if they cannot be written.
        """
        try:
            for name in (SEGMENTATION, OVERLAY):
                (self._folder / name).unlink(missing_ok=True)
            if not self.names:
                self._file.unlink(missing_ok=True)
                return
            with whole_file(self._folder / QUALITY) as draft:
                draft.write_bytes(self._rows.encode())
            write_given(self._folder, self._given)
        except OSError as error:
            raise InputError(f"cannot write to {self._folder} ({error}); choose another --out") from error

    def finish(self, with_overlay: bool, record: Mapping[str, Any]) -> None:
        """The video is done, with an overlay or without, and this is its provenance: nothing is left to go on with."""
        segmented(self._folder, with_overlay, record)
        self._file.unlink(missing_ok=True)

    def waiting(self, masks: Mapping[str, Any]) -> dict[str, Any]:
        """The masks of frames that are not done."""
        done = set(self.names)
        return {name: mask for name, mask in masks.items() if name not in done}

    def written(self, video: str) -> dict[tuple[str, int], str]:
        """Names of the frames that are done, by video and time."""
        return {(video, index): name for index, name in enumerate(self.names)}

    def passed(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames that are done, taken from the front of all.

        Raises:
            KeyboardInterrupt: when a stop was asked for.
        """
        done = set(self.names)
        while done:
            if self._stop.arrived:
                raise KeyboardInterrupt
            name, frame = next(frames)
            if name in done:
                done.remove(name)
                yield name, frame

    def watched(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames as they come; between them the run is saved when it is time to, or a stop was asked for.

        Raises:
            KeyboardInterrupt: when a stop was asked for.
        """
        while True:
            if self._stop.arrived:
                self._save()
                raise KeyboardInterrupt
            if time.monotonic() > self._next:
                self._save()
            try:
                name, frame = next(frames)
            except StopIteration:
                return
            except KeyboardInterrupt:  # while a frame is read no other is half done
                self._save()
                raise
            yield name, frame

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM let the frame be finished, once more stops at once; the next call's start is told.

        Raises:
            KeyboardInterrupt: when a stop was asked for, with what is kept and how it goes on.
        """
        try:
            with self._stop.listening():
                yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._kept()) from None

    def _kept(self) -> str:
        """What there is after an interrupt; empty where nothing was written."""
        if not self.names:
            return ""
        last = self.names[self._saved - 1]
        again = f"goes on after frame {last}" if self._saved else "starts from the first frame again"
        return f"{len(self.names)} masks are kept in {self._folder}; the same command {again}."

    def _save(self) -> None:
        if self._run is None or len(self.names) == self._saved:
            return
        begun = time.monotonic()
        state = {
            "marks": dict(self._run.marks),
            "masks": dict(self._run.masks),
            "names": self.names,
            "given": self._given,
            "rows": (self._folder / QUALITY).read_bytes().decode(),
            "segmenter": resume.packed(self._segmenter),
        }
        write_pickled(self._file, state, remedy="make room, or choose another --out")
        self._saved, now = len(self.names), time.monotonic()
        self._next = now + max(EVERY, SHARE * (now - begun))

    def _hindrance(self, state: Mapping[str, Any]) -> str | None:
        """Why a saved run is not gone on with; None if it is."""
        if self._run is None:
            return "for this one cannot be taken up in the middle"
        names = state["names"]
        if others := self._run.others(state["marks"], state["masks"], names[-1]):
            return f"for it had other {' and '.join(others)}"
        gone = next((name for name in names if not (self._folder / f"{name}.png").is_file()), None)
        return None if gone is None else f"for its mask {gone}.png is gone"

    def _take_over(self, state: Mapping[str, Any]) -> None:
        names, given, rows = list(state["names"]), dict(state["given"]), str(state["rows"])
        resume.unpack(self._segmenter, state["segmenter"], self._file)
        self.names, self._rows, self._saved = names, rows, len(names)
        self._given.update(given)
