"""A validation split carved from a training set, with categories of its own: for those without the true one's masks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from memvos.data.meta import Meta, categories
from memvos.errors import InputError


@dataclass(frozen=True)
class HeldOut:
    """Names of videos, and categories.

    Attributes:
        train: the videos left to train on; none shows an unseen category.
        held_out: the videos to validate on.
        seen: categories of the videos to train on.
        unseen: categories that only the videos to validate on have.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    seen: tuple[str, ...]
    unseen: tuple[str, ...]


def hold_out(meta: Meta, videos: int = 200, unseen: int = 10, seed: int = 0) -> HeldOut:
    """Carve a split: about half of its videos show an unseen category, the rest seen ones only.

    The choice depends on the names and the seed alone (it orders them by a hash), not on the order of files or on the
    machine. Videos of unseen categories that are not chosen are left out of both parts.

    Args:
        meta: objects of every video, see `memvos.data.meta`.
        videos: videos to hold out.
        unseen: categories to hold out.
        seed: another one is another split.

    Raises:
        InputError: if there are no categories, or not enough videos or categories.
    """
    known = categories(meta)
    if not 0 < unseen < len(known) or not 0 < videos < len(meta):
        raise InputError(
            f"got {len(known)} categories in {len(meta)} videos, to hold out {unseen} and {videos} of them; expected "
            "fewer than there are (and a meta.json with categories); lower unseen= or videos="
        )
    hidden = set(_shuffled(known, seed)[:unseen])
    with_hidden = {name for name, objects in meta.items() if hidden & {entry.category for entry in objects.values()}}
    strange, plain = (_shuffled(names, seed) for names in (with_hidden, set(meta) - with_hidden))
    strange = strange[: videos // 2]
    chosen = {*strange, *plain[: videos - len(strange)]}
    train = tuple(sorted(set(plain) - chosen))
    if not train:
        raise InputError(f"holding out {videos} of {len(meta)} videos leaves none to train on; lower videos=")
    return HeldOut(
        train, tuple(sorted(chosen)), categories({name: meta[name] for name in train}), tuple(sorted(hidden))
    )


def _shuffled(names: Sequence[str] | set[str], seed: int) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
