"""Frames from a video file, a folder of images, a camera or a stream, read as they are needed, never whole."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from memvos.data.files import IMAGE_SUFFIXES, MASK_SUFFIX, list_files, orientation, read_image, require_read
from memvos.decode.propagate import Segmenter, Step
from memvos.errors import InputError

# EXIF orientation -> (mirror left-right after, quarter turns counterclockwise)
_TURNS = {
    1: (False, 0),
    2: (True, 0),
    3: (False, 2),
    4: (True, 2),
    5: (True, 3),
    6: (False, 3),
    7: (True, 1),
    8: (False, 1),
}


class ImageFolder:
    """The images of a folder in natural order of their names (frame 2 before frame 10), upright by their EXIF tag.

    Args:
        folder: where they lie.
        rate: frames per second to show them at.
        without: files that are no frames, e.g. the mask of the first one; the folder itself if its PNGs are masks.

    Attributes:
        names: file stems.
        rate: as it was given.

    Raises:
        InputError: if the folder holds no frame, two of one name, or one of a format that is not read.
    """

    def __init__(self, folder: str | Path, rate: Fraction | float = 25, without: Iterable[str | Path] = ()) -> None:
        found, here = list_files(Path(folder), IMAGE_SUFFIXES), _names_in(Path(folder), map(Path, without))
        self.paths = [path for path in found if path.name not in here]
        if not self.paths:
            others = ", ".join(sorted(here)[:5]) + (", …" if len(here) > 5 else "")
            beside = f" beside {others}" if found else ""
            raise InputError(f"{folder} holds no image{beside}; expected files ending in {', '.join(IMAGE_SUFFIXES)}")
        require_read(Path(folder), self.paths)
        self.names = [path.stem for path in self.paths]
        if len(set(self.names)) < len(self.names):
            double = next(name for name in self.names if self.names.count(name) > 1)
            raise InputError(
                f"{folder} holds {self.names.count(double)} images named {double!r}; expected one image for each "
                "frame; remove the copies in another format, or, if the PNGs are masks, move them (segment: or give "
                "this folder as --masks too)"
            )
        self.rate = rate

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, uint8 RGB (H, W, 3))."""
        for path in self.paths:
            yield path.stem, turn_upright(read_image(path), orientation(path))


class VideoFile:
    """The frames of a video file, a camera (/dev/video0) or a network stream (rtsp://…), upright by their metadata.

    Frames are named by their index: 00000, 00001, …

    Attributes:
        rate: frames per second.
        decoded: frames that the latest iteration has given so far.

    Raises:
        InputError: if it cannot be opened or has no picture. While iterating: if it cannot be decoded further.
    """

    def __init__(self, source: str | Path) -> None:
        self.source = str(source)
        with self._open() as container:
            stream = self._stream(container)
            rate = stream.average_rate or stream.base_rate or Fraction(25)
            self.rate = Fraction(rate.numerator, rate.denominator)
            self._length = stream.frames
            self._duration = (container.duration or 0) / av.time_base  # seconds
        self.decoded = 0
        self._end = Fraction(0)  # of the latest frame, in seconds

    def __len__(self) -> int:
        """Number of frames as the file states it; 0 where it does not know."""
        return self._length

    @property
    def cut_off(self) -> str | None:
        """Once all frames were asked for: what says that the end of the file is missing, or None."""
        if self.decoded < self._length:
            told = f"{self._length} frames, {self.decoded} could be decoded"
        elif not self._length and self._end < 0.95 * self._duration - 1:
            told = f"{self._duration:.1f} seconds, {float(self._end):.1f} could be decoded"
        else:
            return None
        return f"{self.source} states {told}; it may be cut off"

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, uint8 RGB (H, W, 3))."""
        self.decoded, self._end = 0, Fraction(0)
        with self._open() as container:
            stream = self._stream(container)
            stream.thread_type = "AUTO"
            for frame in self._pictures(container, stream):
                turns = round(frame.rotation / 90) % 4
                self.decoded += 1
                self._end = self._end_of(frame, stream)
                yield numbered(self.decoded - 1), np.rot90(frame.to_ndarray(format="rgb24"), turns).copy()
        if not self.decoded:
            raise InputError(f"{self.source} has no frame that can be decoded; copy or download it again")

    def _pictures(self, container: Any, stream: Any) -> Iterator[Any]:
        """The decoded frames; where one is damaged, all before it, and then the error."""
        try:
            yield from container.decode(stream)
        except av.error.FFmpegError as error:
            yield from self._held_back(stream)
            raise InputError(
                f"{self.source} cannot be decoded after {self.decoded} frames ({error}); expected a video without "
                "damage; write what is whole of it anew, e.g. by ffmpeg -err_detect ignore_err -i IN OUT"
            ) from error

    def _held_back(self, stream: Any) -> Iterator[Any]:
        """Frames that a decoder which failed has not given yet, up to the gap that the damage left."""
        with contextlib.suppress(av.error.FFmpegError):
            for frame in stream.codec_context.decode(None):
                if self._end_of(frame, stream) - self._end > Fraction(3, 2) / self.rate:
                    return
                yield frame

    def _end_of(self, frame: Any, stream: Any) -> Fraction:
        """When a frame ends, in seconds from the start of the video."""
        if frame.pts is None:
            return self._end + 1 / self.rate
        return (frame.pts - (stream.start_time or 0)) * stream.time_base + 1 / self.rate

    def _open(self) -> Any:
        camera = self.source.startswith("/dev/video")
        try:
            return av.open(self.source, format="v4l2" if camera else None)
        except (av.error.FFmpegError, OSError) as error:
            raise InputError(
                f"{self.source} cannot be opened as a video ({error}); expected a video file, a folder of images, "
                "a camera (/dev/video0) or a stream (rtsp://…)"
            ) from error

    def _stream(self, container: Any) -> Any:
        if not container.streams.video:
            raise InputError(f"{self.source} has no picture, or is cut off; give a whole video file")
        return container.streams.video[0]


def open_frames(source: str | Path, without: Iterable[str | Path] = ()) -> ImageFolder | VideoFile:
    """Frames of a folder of images, a video file, a camera or a stream.

    Args:
        source: where they come from.
        without: files that are no frames, if they lie in the folder, as `ImageFolder` has them.

    Raises:
        InputError: if there is nothing at `source`, or nothing that can be read.
    """
    if "://" in str(source):
        return VideoFile(source)
    if not Path(source).exists():
        raise InputError(f"{source} does not exist; give a video file, a folder of images, a camera or a stream")
    return ImageFolder(source, without=without) if Path(source).is_dir() else VideoFile(source)


def named(frames: Iterable[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Name the frames of any live source by their index, as `VideoFile` does."""
    return ((numbered(index), frame) for index, frame in enumerate(frames))


def follow(
    segmenter: Segmenter,
    frames: Iterable[tuple[str, np.ndarray]],
    masks: Mapping[str, Any],
    video: str | None = None,
) -> Iterator[tuple[str, np.ndarray, Step]]:
    """Segment named frames one by one; frames before the first mask are passed over.

    Args:
        segmenter: at the start of a video, or loaded in the middle of one.
        frames: (name, uint8 RGB (H, W, 3)), from `open_frames` or `named`.
        masks: frame name -> masks as for `Segmenter.step`, or a function that reads them when the frame comes.
        video: name of the video, by which a model looks up what is kept in files; None: it has none.

    Yields:
        (name, frame, step).

    Raises:
        InputError: at the end, if masks were given for frames that never came.
    """
    unused = dict(masks)
    for name, frame in frames:
        given = unused.pop(name, None)
        if given is None and not segmenter.ids:
            continue
        try:
            step = segmenter.step(
                frame,
                given() if isinstance(given, Callable) else given,
                name=None if video is None else (video, name),
            )
        except InputError as error:
            raise InputError(f"frame {name}: {error}") from error
        yield name, frame, step
    if unused:
        missing = ", ".join(list(unused)[:5]) + (", …" if len(unused) > 5 else "")
        raise InputError(f"masks were given for frames that do not exist: {missing}; name masks as their frames")


def numbered(index: int) -> str:
    """Name of a frame that comes without one: 00000, 00001, …"""
    return f"{index:05d}"


def is_number(name: str) -> bool:
    """Can a frame that comes without a name get this one?"""
    return name.isdecimal() and name == numbered(int(name))


def turn_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn (H, W, 3) as an EXIF orientation 1 … 8 asks for; unknown values leave it as it is."""
    mirror, turns = _TURNS.get(orientation, (False, 0))
    turned = np.rot90(image, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)


def _names_in(folder: Path, paths: Iterable[Path]) -> set[str]:
    """Names of the files of which a folder is the place, links and what they point to; given itself, of its PNGs."""
    here, found = folder.resolve(), list(paths)
    if here in (path.resolve() for path in found):
        found += list_files(folder, (MASK_SUFFIX,))
    places = [place for path in found for place in (path.parent.resolve() / path.name, path.resolve())]
    return {place.name for place in places if place.parent == here}
