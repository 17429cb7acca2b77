"""The augmentations of the published recipe as one would write them with PIL and torchvision: for `memvos bench` only.

Every step is a resampling of its own, as in the usual training code. QDMN §4.1.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from memvos.data.clip import IMAGENET_MEAN, IMAGENET_STD, Clip
from memvos.data.warps import MEAN_COLOUR

NEAREST, BICUBIC = InterpolationMode.NEAREST, InterpolationMode.BICUBIC
_NORMALISE = transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)


def pseudo_clip(image_path: Path, mask_path: Path, size: int, frames: int = 3) -> Clip:
    """A clip of one warped image with one object."""
    image, mask = Image.open(image_path).convert("RGB"), Image.open(mask_path).convert("P")
    scale = random.uniform(0.8, 1.5)
    image = TF.affine(image, 0, [0, 0], scale, [0, 0], NEAREST, list(MEAN_COLOUR))
    mask = TF.affine(mask, 0, [0, 0], scale, [0, 0], NEAREST, 0)
    if random.random() < 0.5:
        image, mask = TF.hflip(image), TF.hflip(mask)
    image = transforms.ColorJitter(0.1, 0.05, 0.05, 0.05)(image)
    image = transforms.RandomGrayscale(0.05)(image)
    pictures, labels = [], []
    for _ in range(frames):
        settings = random.uniform(-20, 20), [0, 0], random.uniform(0.9, 1.1), [random.uniform(-10, 10), 0]
        picture = TF.affine(image, *settings, BICUBIC, list(MEAN_COLOUR))
        label = TF.affine(mask, *settings, NEAREST, 0)
        picture, label = TF.resize(picture, size, BICUBIC), TF.resize(label, size, NEAREST)
        corner = transforms.RandomCrop.get_params(picture, (size, size))
        picture, label = TF.crop(picture, *corner), TF.crop(label, *corner)
        picture = transforms.ColorJitter(0.1, 0.05, 0.05, 0)(picture)
        picture, label = TF.to_tensor(picture), torch.from_numpy(np.array(label)).float()
        if random.random() < 0.33:
            picture, label = _bend(picture, label)
        pictures.append(_NORMALISE(picture))
        labels.append(label)
    return _clip(pictures, labels, 1)


def video_clip(image_paths: Sequence[Path], mask_paths: Sequence[Path], size: int) -> Clip:
    """A clip of frames of one video with two objects."""
    flip = random.random() < 0.5
    crop, colour, grey = None, None, random.random() < 0.05
    pictures, labels = [], []
    for image_path, mask_path in zip(image_paths, mask_paths, strict=True):
        image, mask = Image.open(image_path).convert("RGB"), Image.open(mask_path).convert("P")
        crop = crop or transforms.RandomResizedCrop.get_params(image, (0.36, 1.0), (3 / 4, 4 / 3))
        colour = colour or [random.uniform(1 - s, 1 + s) for s in (0.1, 0.03, 0.03)]
        if flip:
            image, mask = TF.hflip(image), TF.hflip(mask)
        image = TF.resized_crop(image, *crop, [size, size], BICUBIC)
        mask = TF.resized_crop(mask, *crop, [size, size], NEAREST)
        image = TF.adjust_brightness(image, colour[0])
        image = TF.adjust_saturation(TF.adjust_contrast(image, colour[1]), colour[2])
        image = TF.to_grayscale(image, 3) if grey else image
        settings = random.uniform(-15, 15), [0, 0], 1.0, [random.uniform(-10, 10), 0]
        image = TF.affine(image, *settings, BICUBIC, list(MEAN_COLOUR))
        mask = TF.affine(mask, *settings, NEAREST, 0)
        image = transforms.ColorJitter(0.01, 0.01, 0.01, 0)(image)
        pictures.append(_NORMALISE(TF.to_tensor(image)))
        labels.append(torch.from_numpy(np.array(mask)).float())
    return _clip(pictures, labels, 2)


def _clip(pictures: list[torch.Tensor], labels: list[torch.Tensor], slots: int) -> Clip:
    ids = [value for value in torch.unique(labels[0]).tolist() if value]
    chosen = random.sample(ids, min(slots, len(ids)))
    masks = torch.zeros(len(labels), slots, *labels[0].shape)
    for slot, value in enumerate(chosen):
        masks[:, slot] = torch.stack([label == value for label in labels]).float()
    return Clip(torch.stack(pictures), masks, torch.arange(slots) < len(chosen))


def _bend(picture: torch.Tensor, label: torch.Tensor, points: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """A thin-plate spline of random control points."""
    size = picture.shape[1]
    control = torch.rand(points, 2, dtype=torch.float64)
    moved = 0.02 * torch.randn(points, 2, dtype=torch.float64)
    system = torch.zeros(points + 3, points + 3, dtype=torch.float64)
    system[:points, :points] = _kernel(control, control)
    system[:points, points] = system[points, :points] = 1
    system[:points, points + 1 :], system[points + 1 :, :points] = control, control.T
    weights = torch.linalg.solve(system, torch.cat([moved, torch.zeros(3, 2, dtype=torch.float64)]))
    axis = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    places = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).reshape(-1, 2)
    basis = torch.cat([_kernel(places, control), torch.ones(len(places), 1, dtype=torch.float64), places], 1)
    grid = (2 * (places + basis @ weights) - 1).float().view(1, size, size, 2)
    picture = F.grid_sample(picture[None], grid, padding_mode="border", align_corners=False)[0]
    return picture, F.grid_sample(label[None, None], grid, mode="nearest", align_corners=False)[0, 0]


def _kernel(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    squared = torch.cdist(first, second) ** 2
    return squared * torch.log(squared + 1e-12)
