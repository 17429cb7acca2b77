"""Data: sequences on disk, their checks, and the training clips made of them. Shapes are in `memvos.data.clip`.

Only the light parts are imported here; training (`memvos.data.datamodules`) brings torch, Lightning and albumentations.
"""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations asks the network at import otherwise

from memvos.data.check import Fault, check, raise_faults
from memvos.data.trees import DavisTree, FolderTree, ImageTree, StaticImage, Tree, Video

__all__ = [
    "DavisTree",
    "Fault",
    "FolderTree",
    "ImageTree",
    "StaticImage",
    "Tree",
    "Video",
    "check",
    "raise_faults",
]
