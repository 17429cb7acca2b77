"""Scores of YouTube-VOS (Xu et al., 2018): J and F of seen and unseen categories, and their mean G."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from memvos.metrics.davis import nanmean
from memvos.metrics.sequence import ObjectScore

YOUTUBE_MEASURES = ("G", "J_G", "F_G", "J_seen", "F_seen", "J_unseen", "F_unseen")


def seen_unseen(scores: Iterable[ObjectScore], seen: Collection[str]) -> dict[str, float]:
    """Mean J and F over the objects of seen and of unseen categories, and G, the mean of the four; ratios.

    J_G and F_G are the halves of G: J, and F, as the mean of seen and unseen. A group without objects is NaN, and with
    it G and its halves: they are only comparable if both groups are there.

    Args:
        scores: of all objects, each with its category.
        seen: categories of the training set.

    Raises:
        ValueError: if an object has no category.
    """
    means = {name: [] for name in YOUTUBE_MEASURES[3:]}
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
    halves = {f"{name}_G": (values[f"{name}_seen"] + values[f"{name}_unseen"]) / 2 for name in ("J", "F")}
    return {"G": sum(halves.values()) / 2, **halves, **values}
