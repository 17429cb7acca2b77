"""Runs a source of proposals over the frames of videos and keeps what it finds in files. DMN-AOA §3.1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from memvos.data.clip import normalise
from memvos.data.trees import Video
from memvos.decode.precision import choose_device
from memvos.errors import InputError
from memvos.model.interface import Place
from memvos.model.proposal_cache import facts_of, look, write_proposals
from memvos.model.proposal_sources import check_source, in_unit_range
from memvos.model.proposals import Proposals, ProposalSource


class Written(NamedTuple):
    """What was done: videos written now, videos that were there, proposals and frames of those written now."""

    now: int
    before: int
    proposals: int
    frames: int


def write_videos(
    source: ProposalSource,
    videos: Sequence[Video],
    folder: Path,
    facts: Mapping[str, Any],
    device: str = "auto",
    progress: bool = True,
) -> Written:
    """Write <folder>/<video>.npz of every video; those that were written with the same facts are kept.

    Args:
        source: shown every frame in its own size.
        videos: all frames of them.
        folder: of the files; must hold none with other facts.
        facts: plain values kept in every file, among them which data and which source.
        device: `auto`, `cpu`, `cuda`, …
        progress: show a bar.

    Raises:
        InputError: if the folder holds proposals with other facts, or as the source does.
    """
    there = {path.stem for path in _same(folder, facts)}
    missing = [video for video in videos if video.name not in there]
    check_source(source, missing)
    on, found = choose_device(device), 0
    total = sum(map(len, missing))
    with tqdm(total=total, unit="frame", desc="proposals", disable=not progress) as bar:
        for video in missing:
            found += _write(source, video, folder, facts, on, bar.update)
    return Written(len(missing), len(videos) - len(missing), found, total)


def _same(folder: Path, facts: Mapping[str, Any]) -> list[Path]:
    """The files that are there already."""
    files = sorted(folder.glob("*.npz"))
    for path in files:
        if (known := facts_of(path)) != dict(facts):
            keys = sorted(key for key in {*known, *facts} if known.get(key) != facts.get(key))
            raise InputError(
                f"{path} was written otherwise: {keys[0]} is {known.get(keys[0])} there, {facts.get(keys[0])} here; "
                "give another folder, or delete that one"
            )
    return files


@torch.inference_mode()
def _write(
    source: ProposalSource,
    video: Video,
    folder: Path,
    facts: Mapping[str, Any],
    device: torch.device,
    done: Callable[[], object],
) -> int:
    """Write one video; returns the number of its proposals."""
    frames: dict[str, Proposals] = {}
    looks = {}
    for t, frame in enumerate(video.frame_names):
        image = normalise(torch.as_tensor(video.image(t), device=device)).unsqueeze(0)
        found = source(image, Place(t, ((video.name, frame),)))
        there = found.valid[0]
        frames[frame] = Proposals.of_image(found.boxes[0][there], found.masks[0][there], found.scores[0][there])
        looks[frame] = look(in_unit_range(image))[0]
        done()
    write_proposals(folder / f"{video.name}.npz", tuple(image.shape[2:]), frames, looks, facts)
    return sum(int(entry.valid.shape[1]) for entry in frames.values())
