"""Read one image or one mask file; every way in which such a file can be wrong becomes one clear line."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from memvos.data.cache import put
from memvos.errors import InputError, check_switch, first_line

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
UNREAD_SUFFIXES = (".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2")
"""Of pictures that are not read."""
MASK_SUFFIX = ".png"
BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What PIL raises for truncated, broken and monstrous files."""
_ORIENTATION_TAG = 0x0112
_JPEG_START, _JPEG_END, _PNG_END = b"\xff\xd8", b"\xff\xd9", b"IEND"
_PNG_START, _PNG_DEPTH = b"\x89PNG", 24  # where the bits of a channel stand in the header


SMOOTH_FROM = 8
"""Different values beside 0 and 255 from which a mask is taken for one with smoothed edges."""


class MaskFault(InputError):
    """A mask that can be decoded, but not understood. Attribute kind: what is wrong, as `memvos data check` says it."""

    def __init__(self, message: str, kind: str = "unreadable mask") -> None:  # from a worker comes the message alone
        super().__init__(message)
        self.kind = kind


def read_image(path: Path, out: np.ndarray | None = None) -> np.ndarray:
    """Decode an image file to RGB uint8 (H, W, 3), into `out` where that has the size.

    Raises:
        InputError: if the file is missing, truncated or no image.
    """
    data = _read(path, "image")
    if data[:2] == _JPEG_START and _JPEG_END in data[-64:]:  # a whole JPEG: OpenCV is three times as fast as PIL,
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is not None:
            fits = out is not None and out.shape == image.shape
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, out if fits else None)
    image = _to_rgb(_decode(path, "image", data), path)  # but PIL notices the truncated ones
    return image if out is None else put(image, out)


def _to_rgb(image: Image.Image, path: Path) -> np.ndarray:
    """RGB uint8 (H, W, 3); of 16-bit grey the upper byte, as PIL takes it of 16-bit colours."""
    if image.mode.startswith("I;16"):
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise InputError(f"image {path} has mode {image.mode}; expected 8 or 16 bits a channel; convert it")
    return np.array(image.convert("RGB"))


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) in pixels from the file's header, without decoding it.

    Raises:
        InputError: if the file is missing or its header is no image's.
    """
    header = _header(path, "image")
    return header.height, header.width


def require_png(path: Path) -> None:
    """Check that the file of a mask is a PNG, by its header.

    Raises:
        InputError: if it is missing or no image.
        MaskFault: (an InputError) if it is one of another format.
    """
    got = _header(path, "mask").format
    if got != "PNG":
        raise MaskFault(
            f"mask {path} is a {got} file; expected a PNG, which keeps values as drawn; export it again as PNG",
            "smoothed mask",
        )


def probe(path: Path) -> tuple[int, int]:
    """As `image_size`, and look whether the file ends as its format does; one that does not is decoded to make sure.

    Raises:
        InputError: if the file is missing, cut off or no image.
    """
    size = image_size(path)
    with path.open("rb") as file:
        file.seek(-min(64, path.stat().st_size), 2)
        tail = file.read()
    if _JPEG_END not in tail and _PNG_END not in tail:
        _decode(path, "image", _read(path, "image"))
    return size


def orientation(path: Path) -> int:
    """How an image is to be turned by its EXIF, 1 (upright) … 8; 1 where that is damaged, unknown or missing.

    `read_image` does not turn it: the masks of data sets fit the pixels as they are stored.
    """
    with Image.open(path) as image:
        try:
            value = image.getexif().get(_ORIENTATION_TAG, 1)
        except (SyntaxError, ValueError, struct.error, OSError):
            return 1
    return value if value in range(1, 9) else 1


@dataclass(frozen=True)
class MaskFormat:
    """How the pixel values of a mask file become object ids.

    Palette (P), grey (L), grey-alpha (LA) and black-and-white (1) PNGs are read, and 16-bit grey ones of values up to
    255. Values are object ids, except that a mask which holds only 0 and 255 is one object: 255 becomes id 1 (DAVIS
    2016 and saliency masks; 255 is not "void" there). Where the alpha of LA is 0 there is background, unless it is 0
    everywhere, and so says nothing.

    Attributes:
        merge: all objects become one, id 1 (the DAVIS 2016 task on any annotation).
        threshold: grey values of 128 and more are one object, id 1 (anti-aliased saliency masks).
        ignore: values read as background (255 where a data set uses it as "void"), before any threshold; any sequence,
            kept as a tuple.

    Raises:
        InputError: if what is to be ignored is no list of mask values, or a switch is neither true nor false.
    """

    merge: bool = False
    threshold: bool = False
    ignore: Sequence[int] = ()

    def __post_init__(self) -> None:
        check_switch("merge", self.merge)
        check_switch("threshold", self.threshold)
        listed = isinstance(self.ignore, Sequence) and not isinstance(self.ignore, str)
        if not listed or not all(type(value) is int and 0 <= value <= 255 for value in self.ignore):
            raise InputError(f"expected ignore to be a list of mask values, e.g. [255], got {self.ignore!r}")
        object.__setattr__(self, "ignore", tuple(self.ignore))

    def read(self, path: Path) -> np.ndarray:
        """Decode a mask file to a label map, uint8 (H, W), 0 = background.

        Raises:
            InputError: if the file is missing or corrupt.
            MaskFault: (an InputError) if it is of another mode than these, or mixes 255 with other ids.
        """
        labels = _values(path, as_stored=not self.threshold)
        for value in self.ignore:
            labels[labels == value] = 0
        if self.threshold:
            return (labels >= 128).astype(np.uint8)
        if labels.max(initial=0) == 255:
            labels = self._one_object(labels, path)
        return (labels > 0).astype(np.uint8) if self.merge else labels

    @staticmethod
    def _one_object(labels: np.ndarray, path: Path) -> np.ndarray:
        if (labels + np.uint8(1) > 1).any():  # 255 wraps round to 0: anything above 1 is neither 0 nor 255
            others = [int(value) for value in np.unique(labels) if value not in (0, 255)]
            listed = ", ".join(map(str, others[:5])) + (", …" if len(others) > 5 else "")
            raise MaskFault(
                f"mask {path} holds 255 beside {len(others)} other values ({listed}); expected object ids, or 0 and "
                "255 only; set ignore=[255] if 255 means void, threshold=true if edges are smoothed (128 is the "
                "limit): so for segment; for train and evaluate data.ignore, data.threshold (not of DAVIS)",
                "smoothed mask" if len(others) >= SMOOTH_FROM else "255 beside ids",
            )
        return (labels > 0).astype(np.uint8)


def _values(path: Path, as_stored: bool) -> np.ndarray:
    """The values of a mask file, uint8 (H, W); as stored, or grey of few bits as the brightness that it stands for."""
    data = _read(path, "mask")
    image = _decode(path, "mask", data)
    if image.mode == "L" and data.startswith(_PNG_START) and (bits := data[_PNG_DEPTH]) < 8 and as_stored:
        return np.array(image) // (255 // (2**bits - 1))  # PIL makes 3 of 2 bits white, 255
    if image.mode.startswith("I;16") and (labels := np.asarray(image)).max(initial=0) <= 255:
        return labels.astype(np.uint8)
    if image.mode not in ("1", "P", "L", "LA"):
        raise MaskFault(
            f"mask {path} has mode {image.mode}; expected a palette (P) or grey (L) PNG whose values are object "
            "ids up to 255 (or 0 and 255); number its objects so and save the ids as an 8-bit grey or palette PNG",
            "no palette",
        )
    if image.mode == "1":
        image = image.convert("L")  # 0 and 255
    if image.mode != "LA":
        return np.array(image)
    labels, alpha = (np.array(channel) for channel in image.split())
    if alpha.any():
        labels[alpha == 0] = 0
    return labels


def natural_key(name: str) -> tuple:
    """Sort key that puts frame 2 before frame 10, whether or not names are zero-padded."""
    parts: list[tuple[int, int | str]] = []
    digits = ""
    for character in name + "\0":
        if character.isdecimal():
            digits += character
            continue
        if digits:
            parts.append((0, int(digits)))
            digits = ""
        parts.append((1, character))
    return (*parts, name)


def is_hidden(name: str) -> bool:
    """Is a file or folder of this name put there by a system or an editor (.git, ._a.png, @eaDir, __MACOSX)?"""
    return name.startswith(".") or name in ("@eaDir", "__MACOSX")


def list_files(folder: Path, suffixes: tuple[str, ...], deep: bool = False) -> list[Path]:
    """Files with one of the suffixes in `folder` (and below it if `deep`), without hidden ones, in natural order."""
    found = _below(folder) if deep else folder.iterdir()
    files = [path for path in found if path.suffix.lower() in suffixes and not is_hidden(path.name)]
    return sorted(files, key=lambda path: natural_key(path.relative_to(folder).as_posix()))


def require_read(folder: Path, frames: Sequence[Path]) -> None:
    """Check that `frames` are all frames of a folder: none is left out for its format.

    Raises:
        InputError: if a picture of a format that is not read lies among them, unless as a copy of one of them.
    """
    names = {path.stem for path in frames}
    if left_out := [path for path in list_files(folder, UNREAD_SUFFIXES) if path.stem not in names]:
        raise InputError(
            f"{left_out[0]} is of a format that is not read ({len(left_out)} of them beside {len(frames)} frames); "
            f"expected files ending in {', '.join(IMAGE_SUFFIXES)}; convert it, or move it away"
        )


def _below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Files below a folder, linked ones too; none if it is missing. Hidden folders, and links back to a folder `above`,
    are not looked into.
    """
    real = folder.resolve()
    if real in above or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if not entry.is_dir():
                yield path
            elif not is_hidden(entry.name):
                yield from _below(path, above | {real})


def _read(path: Path, kind: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise _unreadable(path, kind, fault) from fault


def _header(path: Path, kind: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image
    except BROKEN as fault:
        raise _unreadable(path, kind, fault) from fault


def _decode(path: Path, kind: str, data: bytes) -> Image.Image:
    try:
        with Image.open(BytesIO(data)) as image:
            image.load()
            return image
    except BROKEN as fault:
        raise _unreadable(path, kind, fault) from fault


def _unreadable(path: Path, kind: str, fault: Exception) -> InputError:
    if isinstance(fault, FileNotFoundError):
        return InputError(f"{kind} {path} does not exist; restore it or leave it out of the split")
    reason = "not an image" if isinstance(fault, UnidentifiedImageError) else first_line(fault)
    return InputError(
        f"{kind} {path} cannot be read ({reason}); expected a whole JPEG or PNG; copy or download the file again"
    )
