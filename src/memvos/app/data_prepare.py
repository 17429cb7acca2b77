"""`memvos data prepare` and `memvos data fetch`: from what is published to what a training reads."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

from memvos.app import data
from memvos.app.arguments import split, switch, whole_number
from memvos.errors import InputError
from memvos.paths import conf_dir
from memvos.whole_file import write_text

SMALL = 512
"""Shorter side of the small versions of BIG and HRSOD in pixels, unless short_side= says otherwise."""


def prepare(name: str, arguments: Sequence[str]) -> int:
    """Make what a training reads of a data set; what is there already is kept."""
    from memvos.data.layouts import existing_root
    from memvos.data.prepare import run

    options, overrides = split(arguments, ("workers", "short_side"))
    settings = data.settings(name, overrides)
    makers: dict[str, Callable[..., Any]] = {"static": _static, "coco": _coco, "bl30k": _bl30k}
    makers |= dict.fromkeys(("youtube2018", "youtube2019", "youtube_held_out"), _youtube)
    if name not in makers:
        raise InputError(f"there is nothing to prepare of {name}; expected one of {', '.join(sorted(makers))}")
    numbers = {key: whole_number(key, value) for key, value in options.items()}
    side, workers = numbers.get("short_side"), numbers.get("workers", os.cpu_count() or 1)
    for target, jobs in makers[name](existing_root(settings["root"]), settings, side):
        made = run(jobs, workers, progress=sys.stderr.isatty())
        print(f"{target}: {len(jobs)} files, {made} of them made now")
    return 0


def fetch(name: str, arguments: Sequence[str]) -> int:
    """Download and unpack a data set by its name, or an archive by its address."""
    from memvos.data.downloads import DOWNLOADS, Download
    from memvos.data.fetch import digest, download, unpack

    options, rest = split(arguments, ("root", "sha256", "keep"))
    if rest or "root" not in options:
        raise InputError("expected memvos data fetch NAME|URL root=PATH [sha256=HASH] [keep=true]")
    keep = switch(options, "keep")
    if name not in DOWNLOADS and "://" not in name:
        there = (conf_dir() / f"data/{name}.yaml").is_file()
        reason = "its terms ask for a form or a login" if there else "there is no data set of this name"
        raise InputError(
            f"{name} cannot be fetched: {reason}. Those that can: {', '.join(DOWNLOADS)}, "
            "or an address; the others are behind a form or a login of their publishers (docs/datasets.md)"
        )
    known = DOWNLOADS.get(name, Download((name,), "see where you have the address from"))
    root = Path(options["root"]).expanduser()
    print(f"{name}: terms of use: {known.terms}")
    if "sha256" in options and len(known.urls) > 1:
        raise InputError(f"{name} has {len(known.urls)} archives; fetch each by its address to check it with sha256=")
    for number, url in enumerate(known.urls):
        archive = root / "downloads" / kept_as(url)
        done = archive.with_name(f"{archive.name}.sha256")
        if done.is_file() and options.get("sha256", done.read_text().strip()).lower() == done.read_text().strip():
            print(f"{archive.name} was fetched and unpacked before; remove {done} to do it again")
            continue
        download(url, archive, options.get("sha256"), progress=sys.stderr.isatty())
        mark = digest(archive)
        written = unpack(archive, root / (known.below[number] if known.below else "."))
        print(f"{archive.name}: {written} files written to {root}, SHA-256 {mark}")
        write_text(done, f"{mark}\n")
        if not keep:
            archive.unlink()
    return 0


def kept_as(url: str) -> str:
    """Where below the folder of downloads an archive is kept: by its name, in a folder of the address unless that is
    one of `DOWNLOADS`, whose names differ.

    Raises:
        InputError: if it is no address.
    """
    from memvos.data.downloads import DOWNLOADS

    try:
        name = PurePosixPath(urlparse(url).path).name
    except ValueError as fault:
        raise InputError(f"{url} is no address ({fault}); expected e.g. https://host/file.zip; correct it") from fault
    own = any(url in known.urls for known in DOWNLOADS.values())
    return name if own else f"{hashlib.sha256(url.encode()).hexdigest()[:8]}/{name}"


def _youtube(root: Path, settings: dict[str, Any], side: int | None) -> list[tuple[Path, list]]:
    from memvos.data.prepare import resized_videos

    side = side or 480
    target = root / f"train_{side}p"
    return [(target, resized_videos(root / "train", target, side))]


def _bl30k(root: Path, settings: dict[str, Any], side: int | None) -> list[tuple[Path, list]]:
    from memvos.data.prepare import resized_videos

    side = side or 480
    target = root.with_name(f"{root.name}_{side}p")
    return [(target, resized_videos(root, target, side))]


def _static(root: Path, settings: dict[str, Any], side: int | None) -> list[tuple[Path, list]]:
    from memvos.data.prepare import small_set
    from memvos.data.static_sets import SETS

    found = [name for name in ("BIG", "HRSOD") if (root / name).is_dir()]
    if not found:
        raise InputError(f"found neither BIG nor HRSOD below {root}; expected the published sets there; correct root=")
    return [
        (root / f"{name}_small", small_set(root / name, root / f"{name}_small", SETS[name].endings, side or SMALL))
        for name in found
    ]


def _coco(root: Path, settings: dict[str, Any], side: int | None) -> list[tuple[Path, list]]:
    from memvos.data.coco import instance_masks

    if side is not None:
        raise InputError("coco has masks made, in the size of its pictures; expected no short_side=; leave it out")
    part = settings["split"]
    target = root / "masks" / part
    return [(target, instance_masks(root / f"annotations/instances_{part}.json", target))]
