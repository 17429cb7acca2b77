"""What decides a rendered split of the embedded benchmark: its recipe, and the recipe's name and fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from memvos.data.layouts import list_images
from memvos.data.synthetic_clip import SPLITS, VERSION
from memvos.data.synthetic_levels import level
from memvos.data.synthetic_textures import Backdrop, PhotoBackdrop
from memvos.errors import InputError

LEAST_SIDE = 48
LARGEST_RATIO = 3
LEAST_FRAMES = 2
PHOTO_SHARES = {"train": (0, 1, 2), "val": (3,), "test": (4,)}
"""Of every five photographs, which ones a split takes its backgrounds from; no split sees another's."""


@dataclass(frozen=True)
class Recipe:
    """All that decides what is rendered.

    Attributes:
        difficulty: easy, normal or hard.
        split: train, val or test.
        clips: number of clips.
        frames: length of every clip.
        size: (H, W) in pixels.
        seed: another seed is another benchmark.
        backgrounds: folder of photographs; None renders the backgrounds too.

    Raises:
        InputError: if a value is out of range, or the folder has too few photographs.
    """

    difficulty: str
    split: str
    clips: int
    frames: int
    size: tuple[int, int]
    seed: int = 0
    backgrounds: Path | None = None

    def __post_init__(self) -> None:
        level(self.difficulty)
        if self.split not in SPLITS:
            raise InputError(f"got split={self.split!r}; expected one of {', '.join(SPLITS)}; correct the split")
        if self.clips < 1 or self.frames < LEAST_FRAMES or self.seed < 0:
            raise InputError(
                f"got clips={self.clips}, frames={self.frames}, seed={self.seed}; expected at least 1 clip and "
                f"{LEAST_FRAMES} frames, and a seed of 0 or more; correct the numbers"
            )
        if min(self.size) < LEAST_SIDE or max(self.size) > LARGEST_RATIO * min(self.size):
            raise InputError(
                f"got size (H, W) = {self.size}; expected sides of at least {LEAST_SIDE} pixels, the longer at most "
                f"{LARGEST_RATIO} times the shorter; choose another size"
            )
        self.photos()

    @property
    def name(self) -> str:
        """The folder's name."""
        height, width = self.size
        photos = f"-photos{self.identity()['photos'][:8]}" if self.backgrounds else ""
        what = f"{self.difficulty}-{self.split}-{self.clips}x{self.frames}-{height}x{width}-seed{self.seed}"
        return f"v{VERSION}-{what}{photos}"

    def clip_name(self, index: int) -> str:
        """Name of a clip."""
        return f"{self.difficulty}_{self.split}_{index:04d}"

    def photos(self) -> list[Path]:
        """The photographs of this split, in natural order; none without a folder of backgrounds."""
        if self.backgrounds is None:
            return []
        files = list_images(self.backgrounds)
        if len(files) < 5:
            raise InputError(
                f"got {len(files)} images in backgrounds={self.backgrounds}; expected a folder of at least 5 "
                "photographs, so that the splits share none; name another folder or leave backgrounds out"
            )
        return [file for index, file in enumerate(files) if index % 5 in PHOTO_SHARES[self.split]]

    def backdrop(self) -> Backdrop | PhotoBackdrop:
        """Where backgrounds come from."""
        return PhotoBackdrop(self.photos()) if self.backgrounds else Backdrop()

    def identity(self) -> dict:
        """What is written beside the clips, and hashed: equal identities mean equal pixels."""
        listing = "\n".join(f"{file.name}\0{file.stat().st_size}" for file in self.photos())
        photos = hashlib.sha256(listing.encode()).hexdigest() if listing else None
        return {"version": VERSION, **asdict(self), "size": list(self.size), "backgrounds": None, "photos": photos}

    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) of the identity."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()[:16]
