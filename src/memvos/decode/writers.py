"""Results written as they come: mask PNGs, an overlay video, quality.csv."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from memvos.decode.masks import davis_palette
from memvos.decode.propagate import Step
from memvos.errors import InputError
from memvos.whole_file import whole_file, write_text

GIVEN = "given.json"
QUALITY_COLUMNS = ("video", "frame", "object", "quality", "iou", "stored", "evicted")


class MaskWriter:
    """Write label maps as palette PNGs, one file per frame.

    Args:
        folder: made if it is not there.
        palette: 768 values, RGB of label 0, 1, …; that of DAVIS by default.

    Raises:
        InputError: if the folder cannot be written to.
    """

    def __init__(self, folder: str | Path, palette: list[int] | None = None) -> None:
        self.folder = _writable(folder)
        self.palette = palette or davis_palette()

    def write(self, name: str, labels: np.ndarray) -> Path:
        """Write `<name>.png`; ids above 255 do not fit a palette and go into a 16-bit grey PNG."""
        path = self.folder / f"{name}.png"
        if labels.dtype == np.uint8:
            image = Image.fromarray(labels)
            image.putpalette(self.palette)
        else:
            image = Image.fromarray(labels.astype(np.uint16))
        with whole_file(path) as draft:
            image.save(draft, "PNG")
        return path

    def read(self, name: str) -> np.ndarray:
        """The label map (H, W) of a frame that was written."""
        with Image.open(self.folder / f"{name}.png") as image:
            return np.array(image)


def write_given(folder: str | Path, given: Mapping[str, Sequence[int]]) -> None:
    """Write given.json beside masks: the objects whose masks were read as input, by frame. Scores are refused by it."""
    write_text(_writable(folder) / GIVEN, json.dumps({name: list(ids) for name, ids in given.items()}) + "\n")


class OverlayWriter:
    """Write a video of the frames with the objects tinted. Use it as a context manager, or call close().

    Args:
        path: of the video, e.g. overlay.mp4.
        rate: frames per second.
        opacity: of the tint, ratio.

    Raises:
        InputError: if the file cannot be written.
    """

    def __init__(self, path: str | Path, rate: Fraction | float = 25, opacity: float = 0.5) -> None:
        _writable(Path(path).parent)
        try:
            self._container = av.open(str(path), mode="w")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"cannot write a video to {path} ({error}); name a file ending in .mp4") from error
        self.rate = Fraction(rate).limit_denominator(1001)
        self.opacity = opacity
        self._stream: Any = None
        self._colours = np.array(davis_palette(), dtype=np.float32).reshape(256, 3)

    def __enter__(self) -> OverlayWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(self, frame: np.ndarray, labels: np.ndarray) -> None:
        """Add a frame, uint8 RGB (H, W, 3), with its label map (H, W)."""
        if self._stream is None:
            self._stream = self._add_stream(*labels.shape)
        picture = frame.astype(np.float32)
        inside = labels > 0
        tint = self._colours[labels[inside].astype(np.int64) % 256]
        picture[inside] = (1 - self.opacity) * picture[inside] + self.opacity * tint
        height, width = labels.shape  # the codec wants even sides: repeat the last row and column where needed
        picture = np.pad(picture.round().astype(np.uint8), ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))

    def close(self) -> None:
        """Finish the file."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def _add_stream(self, height: int, width: int) -> Any:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = self._container.add_stream(codec, rate=self.rate)
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        return stream


class QualityWriter:
    """Write quality.csv, a row per object and frame, each frame as it comes.

    Args:
        path: of the file; an old one is replaced.
        predicted: the network predicts quality scores; where it does not, their column stays empty.
        written: names of frames whose rows the file holds already, by video and time; with any, rows are added to it.

    Raises:
        InputError: if the file cannot be written.
    """

    def __init__(
        self, path: str | Path, predicted: bool = True, written: Mapping[tuple[str, int], str] | None = None
    ) -> None:
        self.predicted = predicted
        self._names = dict(written or {})
        _writable(Path(path).parent)
        try:
            mode = "a" if self._names else "w"
            self._file = Path(path).open(mode, newline="", encoding="utf-8")  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise InputError(f"cannot write {path} ({error}); choose another output folder") from error
        self._rows = csv.writer(self._file, lineterminator="\n")
        if not self._names:
            self._rows.writerow(QUALITY_COLUMNS)

    def __enter__(self) -> QualityWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(self, video: str, frame: str, step: Step, iou: Mapping[int, float] | None = None) -> None:
        """Add a frame's rows; `iou` per object id where the truth is known.

        Evicted frames are told by the names that they were written with.
        """
        self._names[video, step.time] = frame
        evicted = ";".join(self._names.get((video, time), str(time)) for time in step.decision.evicted)
        for key, score in step.quality.items():
            true = "" if iou is None or key not in iou else f"{iou[key]:.4f}"
            shown = f"{score:.4f}" if self.predicted else ""
            self._rows.writerow((video, frame, key, shown, true, int(step.stored), evicted))
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _writable(folder: str | Path) -> Path:
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder} ({error}); choose another output folder") from error
    return folder
