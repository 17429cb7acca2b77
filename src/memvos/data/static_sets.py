"""The static sets of the published pretraining (QDMN §4.1), each in the layouts in which it is passed around."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memvos.data import layouts
from memvos.data.trees import ImageTree
from memvos.errors import InputError


@dataclass(frozen=True)
class StaticSet:
    """A published set. Attributes: folders, names it goes by below the root; pairs, (images, masks) below it;
    endings, what ends the stems of images and of masks; images, how many it has (None: several releases differ)."""

    folders: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...] = ((".", "."),)
    endings: tuple[str, str] = ("", "")
    images: int | None = None


SETS = {
    "FSS-1000": StaticSet(("FSS-1000", "fss", "fewshot_data"), images=10000),
    "DUTS-TR": StaticSet(("DUTS-TR",), (("DUTS-TR-Image", "DUTS-TR-Mask"), (".", ".")), images=10553),
    "DUTS-TE": StaticSet(("DUTS-TE",), (("DUTS-TE-Image", "DUTS-TE-Mask"), (".", ".")), images=5019),
    "ECSSD": StaticSet(("ECSSD", "ecssd"), (("images", "ground_truth_mask"), (".", ".")), images=1000),
    "HRSOD": StaticSet(("HRSOD_small", "HRSOD"), (("images", "masks"), (".", ".")), images=2010),
    "BIG": StaticSet(("BIG_small", "BIG"), endings=("_im", "_gt"), images=150),
}
"""Name → set; the small versions of HRSOD and BIG come first, `memvos data prepare` makes them."""


def static_set(root: str | Path | None, name: str, option: str = "data.static_root=PATH (or STATIC_ROOT)") -> ImageTree:
    """One of `SETS` below a root, whichever of its layouts it has; `option` is what sets the root, for the message.

    Raises:
        InputError: if the name is unknown or no folder of the set is there.
    """
    if name not in SETS:
        raise InputError(f"got static set {name!r}; expected one of {', '.join(SETS)}, or an ImageTree of your own")
    known, root = SETS[name], layouts.existing_root(root, option)
    home = next((root / folder for folder in known.folders if (root / folder).is_dir()), None)
    if home is None:
        raise InputError(
            f"found no folder {' or '.join(known.folders)} below {root}; expected the set {name}; unpack it there, or "
            "take it out of the sources"
        )
    images, masks = next((pair for pair in known.pairs if all((home / part).is_dir() for part in pair)), known.pairs[0])
    plain = not any(layouts.by_stem(home / images, (".jpg",), known.endings[0]))
    endings = ("", "") if plain else known.endings
    official = {"images": known.images} if known.images else None
    return ImageTree(home, images, masks, *endings, threshold=True, official=official)
