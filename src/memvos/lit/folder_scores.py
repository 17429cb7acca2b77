"""Scores of masks that lie in a folder, <video>/<frame>.png, against a tree's ground truth; on all cores."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from memvos.data.files import MaskFormat
from memvos.data.full_video import Truth
from memvos.data.sequences import require_categories
from memvos.data.tree import Tree
from memvos.data.trees import Video
from memvos.decode.writers import GIVEN
from memvos.errors import InputError
from memvos.metrics import RULES, SCORED, FrameScores, ObjectScore, SequenceScorer, score_frame, unknown_id

CHUNK = 16
"""Frames of a job: few enough to share one long video among all processes."""
LARGE = 1000
"""Pixels from which a mask that equals its truth to the last one cannot be a prediction."""


@dataclass(frozen=True)
class _Scored:
    """One frame: its place, its scores, and whether the prediction is the truth (of `pixels`) itself."""

    time: int
    scores: FrameScores
    equal: bool
    pixels: int


def score_folder(
    tree: Tree, folder: str | Path, workers: int | None = None, equal: bool = False, progress: bool = False
) -> list[ObjectScore]:
    """Score predicted label maps by the tree's protocol; frames that do not count may be missing, others may be there.

    Args:
        tree: videos with ground truth.
        folder: <video>/<frame>.png, label maps in the size of the frames.
        workers: processes; None takes one per core.
        equal: accept predictions that equal the ground truth exactly.
        progress: show a bar.

    Raises:
        InputError: if the folder is the ground truth itself or a copy, if later ground truth was read as input (as
            given.json beside the masks says), if there is nothing to score, if a mask is missing, unreadable, of
            another size or holds an id that is no object, or if an object has no category where the tree has seen ones.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected <video>/<frame>.png in it; correct the path")
    _refuse_itself(tree, folder)
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        seen = [video.first_seen for video in tree.videos]
        jobs = _jobs(tree, folder, seen)
        return _gather(tree, seen, map(_score, jobs), len(jobs), equal, progress)
    with ProcessPoolExecutor(workers, get_context("forkserver")) as pool:
        seen = list(pool.map(_first_seen, tree.videos, chunksize=8))
        jobs = _jobs(tree, folder, seen)
        return _gather(tree, seen, pool.map(_score, jobs), len(jobs), equal, progress)


_Job = tuple[Video, dict[int, int], Path, tuple[int, ...]]  # video, first_seen, its predictions, frames


def _jobs(tree: Tree, folder: Path, seen: Sequence[dict[int, int]]) -> list[_Job]:
    """The frames to score, in parts, after all that can be wrong with the folder has been looked for."""
    jobs, missing, total = [], [], 0
    for video, first in zip(tree.videos, seen, strict=True):
        if tree.seen:
            require_categories(video, first)
        _refuse_given(video, first, folder / video.name / GIVEN)
        times = _counted(video, first, tree.protocol)
        paths = [folder / video.name / f"{video.frame_names[t]}.png" for t in times]
        missing += [path for path in paths if not path.is_file()]
        total += len(paths)
        jobs += [(video, first, folder / video.name, tuple(times[k : k + CHUNK])) for k in range(0, len(times), CHUNK)]
    if missing:
        raise InputError(
            f"{len(missing)} of {total} masks to score are missing in {folder} (first: {missing[0]}); expected "
            "<video>/<frame>.png for every annotated frame; complete the predictions, or choose their split"
        )
    if not total:
        if tree.first_masks_only():
            raise InputError(
                f"{tree.name} has no ground truth after the first masks, so that nothing can be scored; pack the masks "
                "with memvos data submission, or score a split whose masks you have"
            )
        raise InputError(
            f"{tree.name}: after the first masks only frames that do not count have ground truth, so that nothing can "
            f"be scored: {RULES[tree.protocol]}; annotate others"
        )
    return jobs


def _counted(video: Video, first: dict[int, int], protocol: str) -> list[int]:
    """The frames to score: annotated ones that count by the protocol, after the first mask."""
    counts = range(len(video))[SCORED[protocol]]
    return [t for t in Truth(video).frames if t in counts and t > min(first.values())]


def _refuse_itself(tree: Tree, folder: Path) -> None:
    """Raise if a mask to score is the very file of the ground truth."""
    for video in tree.videos:
        for name, path in video.mask_paths.items():
            other = folder / video.name / f"{name}.png"
            if other.is_file() and other.samefile(path):
                raise InputError(
                    f"{other} is the ground truth itself ({path}); expected predictions; a folder scored against "
                    "itself says nothing: give the folder of the predicted masks"
                )


def _refuse_given(video: Video, first: dict[int, int], record: Path) -> None:
    """Raise if given.json says that more was read as input than every object's first mask."""
    if not record.is_file():
        return
    try:
        given = {str(name): [int(key) for key in ids] for name, ids in json.loads(record.read_text()).items()}
    except (ValueError, AttributeError, TypeError) as fault:
        raise InputError(f"{record} cannot be read ({fault}); expected {{frame: [ids]}}; predict again") from fault
    allowed = {(video.frame_names[t], key) for key, t in first.items()}
    merge = video.mask_format.merge
    more = [(name, key) for name, ids in given.items() for key in ids if (name, 1 if merge else key) not in allowed]
    if more:
        frames = sorted({name for name, _ in more})
        raise InputError(
            f"video {video.name!r}: the masks of {len(frames)} frames after an object's first were read as input "
            f"(first: object {more[0][1]} in frame {frames[0]}), and would be scored; predict again from first masks"
        )


def _first_seen(video: Video) -> dict[int, int]:
    return video.first_seen


def _score(job: _Job) -> list[_Scored]:
    """Score some frames of one video."""
    video, first, folder, times = job
    result = []
    objects = tuple(first)
    predictions = MaskFormat(merge=video.mask_format.merge)  # written as ids, whatever the truth is written as
    for t in times:
        truth = video.labels(t)
        path = folder / f"{video.frame_names[t]}.png"
        labels = predictions.read(path)
        if labels.shape != truth.shape:
            got, want = (f"{shape[1]}×{shape[0]}" for shape in (labels.shape, truth.shape))
            raise InputError(f"{path} is {got} pixels, its frame {want}; expected equal sizes; resize it (nearest)")
        extra = unknown_id(labels, objects)
        if extra is not None:
            raise InputError(
                f"{path} holds id {extra}, no object of video {video.name!r} ({', '.join(map(str, objects))}); "
                "check the annotation set, the task (2016: one object) and the palette"
            )
        scores = score_frame(truth, labels, objects, skip=[key for key, start in first.items() if t <= start])
        result.append(_Scored(t, scores, np.array_equal(labels, truth), np.count_nonzero(truth)))
    return result


def _gather(
    tree: Tree,
    seen: Sequence[dict[int, int]],
    parts: Iterator[list[_Scored]],
    count: int,
    equal: bool,
    progress: bool,
) -> list[ObjectScore]:
    """Put the parts, which come in order, together."""
    bar = tqdm(total=count, unit="part", desc="scoring", disable=not progress)
    scores: list[ObjectScore] = []
    for video, first in zip(tree.videos, seen, strict=True):
        frames: dict[int, _Scored] = {}
        wanted = len(_counted(video, first, tree.protocol))
        while len(frames) < wanted:
            frames.update((entry.time, entry) for entry in next(parts))
            bar.update()
        if not equal:
            _refuse_copies(video, [entry for entry in frames.values() if entry.pixels])
        scorer = SequenceScorer(video.name, first, video.attributes, video.categories, tree.protocol)
        for t in range(len(video)):
            scorer.append(frames[t].scores if t in frames else {})
        scores += scorer.scores()
    bar.close()
    return scores


def _refuse_copies(video: Video, frames: Sequence[_Scored]) -> None:
    """Raise if predictions are the truth to the last pixel, and it is not that of an earlier frame repeated."""
    frames = [entry for entry in frames if not (entry.equal and _repeats(video, entry.time))]  # which tell nothing
    copies = [entry for entry in frames if entry.equal]
    large = [entry for entry in copies if entry.pixels >= LARGE]
    if large or (len(copies) > len(frames) / 2 and len(copies) > 2):
        entry = (large or copies)[0]
        raise InputError(
            f"video {video.name!r}: {len(copies)} of {len(frames)} predictions equal the ground truth to the last pixel"
            f" (first: frame {video.frame_names[entry.time]}); it was read as input, or copied; predict "
            "again, or say equal=true if you want this scored"
        )


def _repeats(video: Video, t: int) -> bool:
    """Is the truth of frame t that of the annotated frame before it?"""
    before = max((s for s in video.annotated if s < t), default=t)
    return before < t and np.array_equal(video.labels(before), video.labels(t))
