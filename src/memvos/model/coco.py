"""Proposals of any detector, from COCO results with run-length masks. DMN-AOA §3.1 (object proposal generator)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from memvos.data.coco import Runs, runs_of
from memvos.errors import InputError
from memvos.model.interface import Place
from memvos.model.proposal_sources import REMEDY, Frames, named, placed
from memvos.model.proposals import Proposals, select

NEEDED = ("image_id", "bbox", "score", "segmentation")
"""Keys of a result that are used."""


class Result(NamedTuple):
    """One proposal of a detector: its box [x, y, width, height] in pixels of the frame, its score, its mask."""

    box: list[float]
    score: float
    mask: Runs


Results = dict[tuple[str, str], list[Result]]
"""Results by (video, frame)."""


class CocoProposals:
    """Proposals of any detector, from a JSON file of COCO results with run-length masks.

    Args:
        results: list of {image_id, bbox [x, y, w, h], score, segmentation {size: [h, w], counts}}.
        images: JSON with "images": [{id, file_name "video/frame.jpg"}]; None takes image_id itself for "video/frame".
        grid: side of the masks kept of each proposal; more keeps more detail of full-size masks.
        most: proposals to keep of a frame.
        overlap: largest box IoU of two of them.
    """

    def __init__(
        self,
        results: str | Path | None = None,
        images: str | Path | None = None,
        grid: int = 28,
        most: int = 30,
        overlap: float = 0.4,
    ) -> None:
        self.results, self.images, self.grid, self.most, self.overlap = results, images, grid, most, overlap
        self._found: Results | None = None

    def __call__(self, image: Tensor, place: Place) -> Proposals:
        """Proposals of the frames that `place` names; none where the results have none.

        Raises:
            InputError: if no file is configured, it is not of this form, or the frames have no names.
        """
        results = self._by_frame()
        entries = [results.get(name, []) for name in named(place, len(image))]
        return Proposals.join([self._of(found, image, place) for found in entries]).to(image.device)

    def check(self, videos: Sequence[Frames]) -> None:
        """Look, before anything is computed, whether there are results of every video.

        A detector may find nothing in a frame; that it found nothing in any means that these are results of other data.

        Raises:
            InputError: for the first video without any, and as for a call.
        """
        results = self._by_frame()
        for video in videos:
            if not any((video.name, frame) in results for frame in video.frame_names):
                known = next((f"{folder}/{frame}" for folder, frame in results), None)
                raise InputError(
                    f"{self.results} has no result of any frame of video {video.name!r}, whose first is "
                    f"{video.frame_names[0]!r}; it names {known!r}; give the results of this data set, "
                    "and the table of their images as model.proposals.images"
                )

    def _by_frame(self) -> Results:
        if self.results is None:
            raise InputError(f"no file of COCO results is configured; {REMEDY}")
        if self._found is None:
            self._found = _read(Path(self.results), self.images)
        return self._found

    def _of(self, found: Sequence[Result], image: Tensor, place: Place) -> Proposals:
        if not found:
            return Proposals.none(self.grid)
        masks = torch.from_numpy(np.stack([result.mask.mask() for result in found])).float()
        x, y, width, height = torch.tensor([result.box for result in found]).float().unbind(dim=1)
        boxes = torch.stack([x, y, x + width, y + height], dim=1)
        scores = torch.tensor([result.score for result in found])
        chosen = select(Proposals.cut_out(masks, boxes, scores, self.grid), self.most, self.overlap)
        return placed(chosen, tuple(masks.shape[1:]), image, place)


def _read(results: Path, images: str | Path | None) -> Results:
    entries = _json(results, "COCO results", "model.proposals.results")
    if not isinstance(entries, list):
        raise InputError(f"{results}: expected a list of COCO results, got a {type(entries).__name__}")
    names = None if images is None else _names(Path(images))
    found: Results = {}
    for place, entry in enumerate(entries):
        try:
            result = _result(entry)
        except InputError as fault:
            raise InputError(f"{results}: result {place}: {fault}") from fault
        path = Path(_name(entry["image_id"], names, results, images))
        frame = (path.parent.name, path.stem)
        others = found.setdefault(frame, [])
        if others and others[0].mask.size != result.mask.size:
            raise InputError(
                f"{results}: result {place}: its mask has size {list(result.mask.size)}, another one of "
                f"{'/'.join(frame)} has {list(others[0].mask.size)}; export it again"
            )
        others.append(result)
    return found


def _result(entry: Any) -> Result:
    """A result of the file, looked over."""
    if lacking := [key for key in NEEDED if not isinstance(entry, Mapping) or entry.get(key) is None]:
        raise InputError(f"no {', '.join(lacking)}; expected {', '.join(NEEDED)}; export it again")
    key, box, score, mask = (entry[name] for name in NEEDED)
    if not isinstance(key, str | int | float):
        raise InputError(f'image_id {key!r}; expected a number, or "video/frame"; export it again')
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise InputError(f"bbox {box!r}; expected [x, y, width, height] in pixels; export it again")
    if not _is_number(score):
        raise InputError(f"score {score!r}; expected a number; export it again")
    if not isinstance(mask, Mapping):
        raise InputError("polygons; expected run-length masks; convert them")
    return Result([float(side) for side in box], float(score), runs_of(mask))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _name(image_id: Any, names: Mapping[Any, str] | None, results: Path, images: str | Path | None) -> str:
    """ "video/frame" of a result."""
    if names is None and not isinstance(image_id, str):
        raise InputError(
            f'{results}: image_id {image_id!r} does not name a "video/frame"; give the table of the images, '
            "model.proposals.images=FILE"
        )
    if names is not None and image_id not in names:
        raise InputError(f"{results}: image_id {image_id!r} is not in {images}; give the table of these results")
    return image_id if names is None else names[image_id]


def _names(path: Path) -> dict[Any, str]:
    """File names of an images table, by id."""
    table = _json(path, "COCO images table", "model.proposals.images")
    try:
        return {image["id"]: str(Path(image["file_name"])) for image in table["images"]}
    except (KeyError, TypeError) as error:
        raise InputError(
            f'{path}: expected {{"images": [{{"id": …, "file_name": "video/frame.jpg"}}, …]}}; export the table again'
        ) from error


def _json(path: Path, what: str, setting: str) -> Any:
    if not path.is_file():
        raise InputError(f"no {what} at {path}; correct {setting}")
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}); expected {what}") from error
