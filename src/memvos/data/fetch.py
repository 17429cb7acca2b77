"""Download and unpack: resumable, checked by SHA-256, and nothing unpacked outside of the target folder."""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import stat
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from memvos.errors import InputError
from memvos.whole_file import whole_file

BLOCK = 1 << 20
TRIES = 5
PATIENCE = 30
"""Seconds without an answer."""
BROKEN_ARCHIVE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)
"""What archives raise that are damaged, encrypted or compressed in an unknown way (the last two: RuntimeError)."""
ABOUT = (".md",)
"""Suffixes of what archives say of themselves (README.md): of several in one folder the last is kept."""


def download(url: str, target: Path, sha256: str | None = None, progress: bool = False, pause: float = 1.0) -> Path:
    """Download a file, going on where <target>.part ends.

    Args:
        url: http, https or file.
        target: where it goes.
        sha256: of the whole file, 64 hex digits; None checks the length only.
        progress: show a bar.
        pause: seconds between tries.

    Raises:
        InputError: if `sha256` is no hash, or the file cannot be downloaded or has another one; it is then removed,
            unless it was there already.
    """
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise InputError(f"expected sha256= as 64 hex digits, got {sha256!r}; correct it, or leave it out")
    kept = target.exists()
    if not kept:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        for attempt in range(1, TRIES + 1):
            try:
                _receive(url, part, progress)
                break
            except (OSError, HTTPException, ValueError) as fault:  # the last: an address that cannot be asked
                gone = isinstance(fault, urllib.error.HTTPError) and fault.code in (401, 403, 404, 410)
                if gone or isinstance(fault, ValueError) or attempt == TRIES:
                    raise InputError(
                        f"cannot download {url} ({fault}); check the address and the network; the same command goes on "
                        f"where {part} ends"
                    ) from fault
                time.sleep(pause)
        part.replace(target)
    if sha256 is not None and (got := digest(target)) != sha256.lower():
        told = f"has the SHA-256 {got}, expected {sha256}; it was"
        if kept:
            raise InputError(f"{target} {told} there already and is kept: correct sha256=, or remove it")
        target.unlink()
        raise InputError(f"{url} {told} removed: fetch it again")
    return target


def digest(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file: IO[bytes]) -> str:
    found = hashlib.sha256()
    while block := file.read(BLOCK):
        found.update(block)
    return found.hexdigest()


def _receive(url: str, part: Path, progress: bool) -> None:
    """Append what is missing to `part`; a server that cannot go on sends everything again.

    Raises:
        OSError: if the connection breaks, or ends early.
    """
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as fault:
        if fault.code == 416 and have:  # nothing is missing, or the file on the server is another
            if fault.headers.get("Content-Range", "").endswith(f"/{have}"):
                return
            part.unlink()
        raise
    with answer:
        goes_on = have and answer.status == 206
        length = answer.headers.get("Content-Length")
        total = None if length is None else int(length) + (have if goes_on else 0)
        with (
            part.open("ab" if goes_on else "wb") as file,
            tqdm(
                total=total, initial=file.tell(), unit="B", unit_scale=True, desc=part.stem, disable=not progress
            ) as bar,
        ):
            while block := answer.read(BLOCK):
                file.write(block)
                bar.update(len(block))
    if total is not None and part.stat().st_size != total:
        raise OSError(f"the connection ended after {part.stat().st_size:,} of {total:,} bytes")


def unpack(archive: Path, target: Path) -> int:
    """Unpack a zip or tar into a folder; files that are there in the same size are left. Returns how many were written.

    Every name is looked at before anything is written.

    Raises:
        InputError: if it is neither, is damaged or encrypted, holds a link, a device or a path out of the folder, or a
            file that is there in another size (but for `ABOUT`).
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                return _write([_zip_member(opened, entry) for entry in opened.infolist()], target)
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as opened:
                return _write([_tar_member(opened, entry) for entry in opened], target)
    except BROKEN_ARCHIVE as fault:
        raise InputError(
            f"{archive} cannot be unpacked ({fault}); remove it and fetch it again, or unpack it yourself"
        ) from fault
    raise InputError(f"{archive} is neither a zip nor a tar; unpack it yourself")


_Member = tuple[str, bool, int, Callable[[], IO[bytes]]]  # name, is a folder, bytes, opens it


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _unsafe(entry.filename, "a link or device")
    return entry.filename, entry.is_dir(), entry.file_size, lambda: archive.open(entry)


def _tar_member(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member:
    if not (entry.isfile() or entry.isdir()):
        raise _unsafe(entry.name, "a link or device")
    return entry.name, entry.isdir(), entry.size, lambda: archive.extractfile(entry)


def _write(members: list[_Member], target: Path) -> int:
    places = list(_places([name for name, *_ in members], target))
    files = {place: size for (_, is_folder, size, _), place in zip(members, places, strict=True) if not is_folder}
    for place, size in files.items():
        if place.is_file() and place.stat().st_size != size and place.suffix.lower() not in ABOUT:
            raise InputError(
                f"{place} is there with other content, {place.stat().st_size:,} bytes (in the archive {size:,}); "
                "nothing was unpacked; give another root=, or remove what is there"
            )
    written = 0
    for (_, is_folder, size, read), place in zip(members, places, strict=True):
        if is_folder:
            place.mkdir(parents=True, exist_ok=True)
        elif not (place.is_file() and place.stat().st_size == size):
            with read() as source, whole_file(place) as draft, draft.open("wb") as file:
                shutil.copyfileobj(source, file, BLOCK)
            written += 1
    return written


def _places(names: list[str], target: Path) -> Iterator[Path]:
    """Where each name goes; links that are in the target already are followed, and may not leave it either."""
    root = target.resolve()
    for name in names:
        parts = PurePosixPath(name.replace("\\", "/"))
        place = (root / parts).resolve()
        if (
            parts.is_absolute()
            or ".." in parts.parts
            or ":" in (parts.parts or ("",))[0]
            or not place.is_relative_to(root)
        ):
            raise _unsafe(name, "a path out of the folder")
        yield place


def _unsafe(name: str, what: str) -> InputError:
    return InputError(f"the archive holds {name!r}, {what}; nothing was unpacked; do not trust this file")
