"""Scores of whole sequences as DAVIS reports them: per object, per sequence, per attribute, and global over objects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from memvos.metrics import bits
from memvos.metrics.davis import MaskPair, nanmean, statistics

MEASURES = ("J", "J_recall", "J_decay", "F", "F_recall", "F_decay", "J&F", "J_present", "F_present", "J&F_present")
"""What is reported of every object, in the order of objects.csv; ratios."""

SCORED = {"davis": slice(1, -1), "youtube": slice(None)}
"""The frames that count: without the first and the last (the DAVIS toolkit, semi-supervised), or all (YouTube-VOS)."""

RULES = {
    "davis": "by DAVIS' protocol the first and the last frame of a video do not count",
    "youtube": "by YouTube-VOS' protocol annotated frames after an object's first count",
}
"""`SCORED` in words."""


@dataclass(frozen=True)
class ObjectScore:
    """Scores of one object in one sequence.

    Attributes:
        video: name of the sequence.
        object: id of the object.
        j, f: (frames,) per scored frame, in order of time.
        present: (frames,) bool, where the object is visible in the ground truth.
        attributes: attributes of the sequence.
        category: what the object is, "" where unknown.
    """

    video: str
    object: int
    j: np.ndarray
    f: np.ndarray
    present: np.ndarray
    attributes: tuple[str, ...] = ()
    category: str = ""

    def measures(self) -> dict[str, float]:
        """The values of `MEASURES`; NaN where no frame counts (`_present`: frames where the object is visible)."""
        j, f = statistics(self.j), statistics(self.f)
        present_j, present_f = nanmean(self.j[self.present]), nanmean(self.f[self.present])
        values = (*j, *f, (j[0] + f[0]) / 2, present_j, present_f, (present_j + present_f) / 2)
        return dict(zip(MEASURES, values, strict=True))

    def as_row(self) -> dict[str, object]:
        """One line of objects.csv: video, object, frames, the measures, attributes joined by `;`, category."""
        head = {"video": self.video, "object": self.object, "frames": len(self.j)}
        return {**head, **self.measures(), "attributes": ";".join(self.attributes), "category": self.category}


@dataclass(frozen=True)
class Summary:
    """Means over objects: of all (`scores`), of each sequence, attribute and category (with the number of objects)."""

    scores: dict[str, float]
    sequences: dict[str, dict[str, float]]
    attributes: dict[str, dict[str, float]]
    objects: int
    frames: int
    categories: dict[str, dict[str, float]] = field(default_factory=dict)


FrameScores = Mapping[int, tuple[float, float, bool]]
"""J, F and whether the object is visible in the ground truth, by object id; of the objects that count on a frame."""


def score_frame(
    truth: np.ndarray, prediction: np.ndarray, objects: Iterable[int], skip: Collection[int] = ()
) -> FrameScores:
    """Score label maps, integer (H, W), of one frame; objects in `skip` do not count.

    Raises:
        ValueError: if the sizes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(
            f"got a prediction {prediction.shape}, expected the size of the truth {truth.shape}; resize it"
        )
    frame = {}
    for id in objects:
        if id not in skip:
            pair = MaskPair(bits.pack_id(truth, id), bits.pack_id(prediction, id), truth.shape)
            frame[id] = (pair.j, pair.f(), pair.present)
    return frame


def _without_gaps(objects: Collection[int]) -> int:
    """The largest id up to which every one is an object."""
    return next(id for id in range(256) if id + 1 not in objects)


def unknown_id(prediction: np.ndarray, objects: Collection[int]) -> int | None:
    """The smallest id of a label map (H, W) that is no object; None if all are."""
    if prediction.size and prediction.min() >= 0 and prediction.max() <= _without_gaps(objects):
        return None
    covered = np.count_nonzero(prediction == 0) + sum(np.count_nonzero(prediction == id) for id in objects)
    if covered == prediction.size:
        return None
    return min(set(np.unique(prediction).tolist()) - {0, *objects})


class SequenceScorer:
    """Scores one sequence frame by frame, so that no more than one frame is held.

    Which frames count is said by `SCORED`; frames without ground truth and objects listed in `skip` never do.

    Args:
        video: name of the sequence.
        objects: ids of the objects to score.
        attributes: attributes of the sequence.
        categories: categories of the objects by id.
        protocol: a name of `SCORED`.
    """

    def __init__(
        self,
        video: str,
        objects: Iterable[int],
        attributes: Iterable[str] = (),
        categories: Mapping[int, str] | None = None,
        protocol: str = "davis",
    ) -> None:
        self.video, self.objects, self.attributes = video, tuple(objects), tuple(attributes)
        self.categories, self._scored = dict(categories or {}), SCORED[protocol]
        if not self.objects or any(not 0 < id <= 255 for id in self.objects):
            raise ValueError(f"{video}: expected object ids in 1..255, got {self.objects or 'none'}")
        self._frames: list[FrameScores] = []

    def add(
        self, truth: np.ndarray | None, prediction: np.ndarray, skip: Collection[int] = ()
    ) -> dict[int, tuple[float, float]]:
        """Score the next frame.

        Args:
            truth: label map, integer (H, W), or None where the frame is not annotated.
            prediction: label map, integer (H, W).
            skip: ids that do not count here: their mask was given on this frame, or they have not been given yet.

        Returns:
            J and F of each object that counts, ratios.

        Raises:
            ValueError: if the sizes differ or the prediction holds an id that is not an object of the sequence.
        """
        extra = unknown_id(prediction, self.objects)
        if extra is not None:
            raise ValueError(
                f"{self.video}, frame {len(self._frames)}: the prediction holds id {extra}, which is no object "
                f"of the sequence ({', '.join(map(str, self.objects))}); check the annotation set and the palette"
            )
        self.append({} if truth is None else score_frame(truth, prediction, self.objects, skip))
        return {id: (j, f) for id, (j, f, _) in self._frames[-1].items()}

    def append(self, frame: FrameScores) -> None:
        """Add what `score_frame` said of the next frame."""
        self._frames.append(frame)

    def scores(self) -> list[ObjectScore]:
        """Scores of those frames added so far that count."""
        scored = []
        for id in self.objects:
            values = [frame[id] for frame in self._frames[self._scored] if id in frame]
            j, f, present = (np.array([value[k] for value in values], dtype=(float, float, bool)[k]) for k in range(3))
            category = self.categories.get(id, "")
            scored.append(ObjectScore(self.video, id, j, f, present, self.attributes, category))
        return scored


def score_sequence(
    truth: np.ndarray,
    prediction: np.ndarray,
    video: str = "",
    objects: Iterable[int] | None = None,
    attributes: Iterable[str] = (),
) -> list[ObjectScore]:
    """Score label maps (T, H, W) of a sequence, one `ObjectScore` per object.

    Args:
        truth: true labels, integer (T, H, W).
        prediction: predicted labels, integer (T, H, W); an object it lacks counts as an empty mask.
        video: name of the sequence.
        objects: ids; by default those of the first frame of `truth`.
        attributes: attributes of the sequence.

    Raises:
        ValueError: if shapes differ, the first frame of `truth` is empty, or the prediction holds an unknown id.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.ndim != 3 or truth.shape != prediction.shape:
        raise ValueError(f"{video}: expected two label maps (T, H, W), got {truth.shape} and {prediction.shape}")
    if objects is None:
        objects = [int(id) for id in np.unique(truth[0]) if id]
    scorer = SequenceScorer(video, objects, attributes)
    for true_labels, labels in zip(truth, prediction, strict=True):
        scorer.add(true_labels, labels)
    return scorer.scores()


def summarise(scores: Iterable[ObjectScore]) -> Summary:
    """Average over objects (not over sequences, and not over frames); NaN values are left out.

    Raises:
        ValueError: if there is nothing to average.
    """
    scores = list(scores)
    if not scores:
        raise ValueError("no object was scored; expected at least one (is the split empty?)")
    rows = [(score, score.measures()) for score in scores]
    videos, attributes, categories = ({} for _ in range(3))
    for score, values in rows:
        videos.setdefault(score.video, []).append(values)
        categories.setdefault(score.category, []).append(values)
        for attribute in score.attributes:
            attributes.setdefault(attribute, []).append(values)
    categories.pop("", None)
    frames = {score.video: 0 for score in scores}
    for score in scores:
        frames[score.video] = max(frames[score.video], len(score.j))
    return Summary(
        scores=_mean([values for _, values in rows]),
        sequences={video: _mean(values) for video, values in videos.items()},
        attributes=_counted(attributes),
        categories=_counted(categories),
        objects=len(scores),
        frames=sum(frames.values()),
    )


def _counted(groups: Mapping[str, list[Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    return {name: {**_mean(values), "objects": len(values)} for name, values in sorted(groups.items())}


def _mean(rows: list[Mapping[str, float]]) -> dict[str, float]:
    return {name: nanmean([row[name] for row in rows]) for name in MEASURES}
