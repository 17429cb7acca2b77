"""Scores of YouTube-VOS (Xu et al., 2018): J and F of seen and unseen categories, and their mean G."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from memvos.metrics.davis import nanmean
from memvos.metrics.sequence import ObjectScore

YOUTUBE_MEASURES = ("G", "J_seen", "F_seen", "J_unseen", "F_unseen")


def seen_unseen(scores: Iterable[ObjectScore], seen: Collection[str]) -> dict[str, float]:
    """Mean J and F over the objects of seen and of unseen categories, and G, the mean of the four; ratios.

    A group without objects is NaN, and so is G then: it is only comparable if both groups are there.

    Args:
        scores: of all objects, each with its category.
        seen: categories of the training set.

    Raises:
        ValueError: if an object has no category.
    """
    means = {name: [] for name in YOUTUBE_MEASURES[1:]}
    for score in scores:
        if not score.category:
            raise ValueError(
                f"object {score.object} of {score.video} has no category; expected one for every object, "
                "as meta.json gives them; leave seen= out to score without"
            )
        group = "seen" if score.category in seen else "unseen"
        means[f"J_{group}"].append(nanmean(score.j))
        means[f"F_{group}"].append(nanmean(score.f))
    values = {name: nanmean(each) for name, each in means.items()}
    return {"G": sum(values.values()) / len(values), **values}
