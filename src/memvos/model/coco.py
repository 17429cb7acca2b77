"""Proposals of any detector, from COCO results with run-length masks. DMN-AOA §3.1 (object proposal generator)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import roi_align

from memvos.errors import InputError
from memvos.model.interface import Place
from memvos.model.proposal_sources import REMEDY, named, placed
from memvos.model.proposals import Proposals, select


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
        self._found: dict[tuple[str, str], list[Mapping[str, Any]]] | None = None

    def __call__(self, image: Tensor, place: Place) -> Proposals:
        """Proposals of the frames that `place` names; none where the results have none.

        Raises:
            InputError: if no file is configured, it is not of this form, or the frames have no names.
        """
        if self.results is None:
            raise InputError(f"no file of COCO results is configured; {REMEDY}")
        if self._found is None:
            self._found = _by_frame(Path(self.results), self.images)
        return Proposals.join([self._of(name, image, place) for name in named(place, len(image))]).to(image.device)

    def _of(self, name: tuple[str, str], image: Tensor, place: Place) -> Proposals:
        entries = self._found.get(name, [])
        if not entries:
            return Proposals.none(self.grid)
        masks = torch.from_numpy(np.stack([decode_runs(entry["segmentation"]) for entry in entries])).float()
        x, y, width, height = torch.tensor([entry["bbox"] for entry in entries]).float().unbind(dim=1)
        boxes = torch.stack([x, y, x + width, y + height], dim=1)
        rois = [box.unsqueeze(0) for box in boxes]
        small = roi_align(masks.unsqueeze(1), rois, self.grid, aligned=True).squeeze(1)
        scores = torch.tensor([float(entry["score"]) for entry in entries])
        chosen = select(Proposals.of_image(boxes, small, scores), self.most, self.overlap)
        return placed(chosen, tuple(masks.shape[1:]), image, place)


def decode_runs(segmentation: Mapping[str, Any]) -> np.ndarray:
    """A run-length mask of COCO as bool (H, W): runs of zeros and ones in turn, down the columns, zeros first.

    Raises:
        InputError: if the runs do not add up to the mask's size.
    """
    height, width = segmentation["size"]
    counts = segmentation["counts"]
    runs = _unpack(counts) if isinstance(counts, (str, bytes)) else [int(count) for count in counts]
    if sum(runs) != height * width:
        raise InputError(f"a COCO mask has runs of {sum(runs)} pixels; expected {height}×{width}; export it again")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _unpack(counts: str | bytes) -> list[int]:
    """Runs from COCO's compressed string: five bits a character, low ones first; from the fourth run on differences."""
    codes = (counts.encode() if isinstance(counts, str) else counts).__iter__()
    runs: list[int] = []
    for code in codes:
        value, shift, chunk = 0, 0, code - 48
        while True:
            value |= (chunk & 0x1F) << shift
            shift += 5
            if not chunk & 0x20:
                break
            chunk = next(codes) - 48
        if chunk & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def _by_frame(results: Path, images: str | Path | None) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    if not results.is_file():
        raise InputError(f"no COCO results at {results}; correct model.proposals.results")
    entries = json.loads(results.read_text())
    if not isinstance(entries, list):
        raise InputError(f"{results}: expected a list of COCO results, got a {type(entries).__name__}")
    names = {} if images is None else {image["id"]: image["file_name"] for image in _images(images)}
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in entries:
        path = Path(str(names.get(entry["image_id"], entry["image_id"])))
        found.setdefault((path.parent.name, path.stem), []).append(entry)
    return found


def _images(path: str | Path) -> list[Mapping[str, Any]]:
    if not Path(path).is_file():
        raise InputError(f"no COCO images table at {path}; correct model.proposals.images")
    return json.loads(Path(path).read_text())["images"]
