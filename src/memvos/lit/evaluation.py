"""Scores of a model on a set of videos, written as result.json, objects.csv and quality.csv. QDMN §5."""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from memvos.data.sequences import require_categories
from memvos.data.trees import Video
from memvos.decode.writers import GIVEN
from memvos.errors import InputError, check_number
from memvos.lit.result_files import read_part, summary_of, write_part, write_results
from memvos.lit.settings import settings_of
from memvos.lit.video_scores import Protocol, VideoScores, score_video
from memvos.model.interface import VOSModel
from memvos.model.proposal_sources import check_source

PARTS, MASKS = "videos", "masks"


def evaluate(
    model: VOSModel,
    videos: Sequence[Video],
    protocol: Protocol | None = None,
    output_dir: str | Path | None = None,
    *,
    seen: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
    workers: int = 1,
    write_masks: bool = False,
    progress: bool = True,
    tell: Callable[[int, int, int], None] | None = None,
) -> dict[str, Any]:
    """Segment every video from its first masks and score it by the official protocol.

    Scores of a finished video are kept in `output_dir`/videos: when a call was interrupted, the next one with the same
    model and settings (and the same fingerprint, where `facts` have provenance) does only what is missing.

    Args:
        model: the network; it is moved to the device and put in eval mode.
        videos: sequences with ground truth.
        protocol: how the videos are segmented, and which frames count; `Protocol()` if None.
        output_dir: folder for result.json, objects.csv and quality.csv; None writes nothing.
        seen: categories of the training set; where given, scores of seen and unseen ones and G are there too.
        facts: entries of result.json that the caller knows (row, seed, split, scale, data, difficulty, provenance).
        workers: processes that share the videos; each uses one thread.
        write_masks: write label images to `output_dir`/masks/<video>/; a video whose masks are gone is done again.
        progress: show a bar.
        tell: is told before the first and after every video how many an earlier call has done, are done, and there are.

    Returns:
        What result.json holds.

    Raises:
        InputError: if there is no video, two have one name, a setting is unknown, an object has no category where
            `seen` is given, or the model's proposals come from files and are not those of the videos.
    """
    _check(videos, workers, write_masks and output_dir is None)
    check_source(getattr(model, "proposals", None), videos)
    for video in videos if seen else ():
        require_categories(video, video.object_ids)
    protocol = protocol or Protocol()
    folder = None if output_dir is None else Path(output_dir)
    known = dict(facts or {})
    proof = {"provenance": known.pop("provenance")} if "provenance" in known else {}
    mark = proof.get("provenance", {}).get("fingerprint", "")
    key = f"{settings_key(model, protocol)}{mark}{'+masks' if write_masks else ''}"
    masks = folder / MASKS if write_masks else None
    done = {} if folder is None else _finished(folder, videos, key, masks)
    missing = [video for video in videos if video.name not in done]
    bar = tqdm(total=len(videos), initial=len(done), unit="video", desc="evaluating", disable=not progress)
    before, tell = len(done), tell or (lambda *_: None)
    tell(before, before, len(videos))
    for name, scores in _score(model, missing, protocol, workers, masks):
        done[name] = scores
        if folder is not None:
            write_part(folder / PARTS / f"{name}.json", scores, key)
        bar.update()
        tell(before, len(done), len(videos))
    bar.close()
    parts = [done[video.name] for video in videos]
    predicts_quality = has_quality_head(model)
    result = {"schema": 1, **known, **summary_of(parts, predicts_quality, seen), **proof}
    if folder is not None:
        write_results(folder, result, parts, predicts_quality)
    return result


def has_quality_head(model: VOSModel) -> bool:
    """Does the model predict quality scores, or is every mask as good to it (no QAM)?"""
    head = getattr(model, "quality", None)
    return head is not None and any(True for _ in head.parameters())


def settings_key(model: VOSModel, protocol: Protocol) -> str:
    """Short digest of the weights and of everything that changes scores, the source of proposals as well.

    Scores with another key are not used again.
    """
    settings = json.dumps([asdict(protocol), settings_of(model)], sort_keys=True, default=str)
    digest = zlib.crc32(settings.encode())
    for name, tensor in model.state_dict().items():
        digest = zlib.crc32(name.encode(), digest)
        digest = zlib.crc32(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy(), digest)
    return f"{digest:08x}"


def _check(videos: Sequence[Video], workers: int, masks_nowhere: bool) -> None:
    names = [video.name for video in videos]
    if not names:
        raise InputError("no videos to evaluate; the split is empty")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"two videos are called {twice!r}; expected one name each")
    check_number("workers", workers, 1)
    if masks_nowhere:
        raise InputError("write_masks needs an output_dir to write to; give one")


def _finished(folder: Path, videos: Sequence[Video], key: str, masks: Path | None) -> dict[str, VideoScores]:
    """Scores of an earlier call with the same key; where masks are written, of videos that have theirs."""
    kept = [video for video in videos if masks is None or (masks / video.name / GIVEN).is_file()]  # it is written last
    found = {video.name: read_part(folder / PARTS / f"{video.name}.json", key) for video in kept}
    return {name: scores for name, scores in found.items() if scores is not None}


def _score(
    model: VOSModel, videos: Sequence[Video], protocol: Protocol, workers: int, masks: Path | None
) -> Iterator[tuple[str, VideoScores]]:
    """(name, scores) of each video as it is finished."""
    if workers == 1 or len(videos) < 2:
        segmenter = protocol.segmenter(model)
        for video in videos:
            yield video.name, score_video(segmenter, video, masks and masks / video.name, protocol.scored)
        return
    protocol.segmenter(copy.deepcopy(model))  # bad settings are told here; a worker would only break the pool
    with ProcessPoolExecutor(
        min(workers, len(videos)), get_context("spawn"), initializer=_start_worker, initargs=(model, protocol)
    ) as pool:
        jobs = {
            pool.submit(_work, video, masks and masks / video.name, protocol.scored): video.name for video in videos
        }
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_segmenter = None  # of this worker process


def _start_worker(model: VOSModel, protocol: Protocol) -> None:
    global _segmenter
    torch.set_num_threads(1)
    _segmenter = protocol.segmenter(model)


def _work(video: Video, masks_to: Path | None, scored: str) -> VideoScores:
    return score_video(_segmenter, video, masks_to, scored)
