"""Quality assessment module (QAM). QDMN §3.2, Eq. 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memvos.errors import InputError

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
NORMS = ("none", "group")


class QualityHead(nn.Module):
    """Predict the quality S^A of masks from the score feature: S^A = Fc(Conv(f_s)) (Eq. 1), four convolutions, two fc.

    Args:
        channels: of the score feature f_s (= f_m, any model's memory feature will do).
        grid: the feature is resized to grid × grid, since fc1 has a fixed input; 24 is a 384-pixel crop at stride 16.
        width: of the convolutions; a quarter of `channels` by default (256 as released).
        hidden: of the first fc layer; `channels` by default (1024 as released).
        activations: after fc1 and fc2, "relu" or "sigmoid". The released weights need ("relu", "relu").
        norm: "none" (published), or "group": parameter-free group norm of the input and before fc1, without which
            the head often collapses to a constant in short trainings.

    Raises:
        InputError: if an activation or norm is unknown.
    """

    def __init__(
        self,
        channels: int,
        grid: int = 24,
        width: int | None = None,
        hidden: int | None = None,
        activations: tuple[str, str] = ("relu", "sigmoid"),
        norm: str = "none",
    ) -> None:
        super().__init__()
        if len(activations) != 2 or not set(activations) <= set(ACTIVATIONS):
            raise InputError(f"unknown QAM activations {list(activations)}; expected two of {sorted(ACTIVATIONS)}")
        if norm not in NORMS:
            raise InputError(f"unknown QAM norm {norm!r}; expected one of {NORMS}")
        self.grid, self.activations = grid, tuple(activations)
        width, hidden = width or channels // 4, hidden or channels
        self.norm = norm
        self.input_norm = _norm(norm, channels)
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv3 = nn.Conv2d(width, width, 3, padding=1)
        self.conv4 = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.hidden_norm = _norm(norm, width)
        self.fc1 = nn.Linear(width * ((grid + 1) // 2) ** 2, hidden)
        self.fc2 = nn.Linear(hidden, 1)
        self.activation1, self.activation2 = (ACTIVATIONS[name]() for name in activations)
        self._start_fresh()

    def forward(self, feature: Tensor) -> Tensor:
        """Score feature f_s (..., C, h, w) → quality (...), float32, in [0, 1] (sigmoid) or above 0 (ReLU)."""
        x = feature.flatten(0, -4)
        if x.shape[-2:] != (self.grid, self.grid):
            x = F.interpolate(x, size=(self.grid, self.grid), mode="bilinear", align_corners=False)
        x = self.input_norm(x)
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = F.relu(convolution(x), inplace=True)
        x = self.activation1(self.fc1(self.hidden_norm(x).flatten(1)))
        with torch.autocast(x.device.type, enabled=False):
            quality = self.activation2(self.fc2(x.float()))
        return quality.view(feature.shape[:-3])

    def _start_fresh(self) -> None:
        """Kaiming-normal convolutions (fan out), Kaiming-uniform fc layers (a = 1), zero biases."""
        for module in self.children():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.kaiming_uniform_(module.weight, a=1)
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.zeros_(module.bias)


class AcceptAll(nn.Module):
    """No QAM: every mask has quality 1, so every frame passes the gate. It has no use for channels and grid."""

    def __init__(self, channels: int = 0, grid: int = 0) -> None:
        super().__init__()

    def forward(self, feature: Tensor) -> Tensor:
        """Feature (..., C, h, w) → ones (...), float32."""
        return torch.ones(feature.shape[:-3], device=feature.device)


def _norm(norm: str, channels: int) -> nn.Module:
    """Groups of 16 channels, or of the next larger number that divides them evenly."""
    if norm == "none":
        return nn.Identity()
    groups = next(n for n in range(max(1, channels // 16), 0, -1) if channels % n == 0)
    return nn.GroupNorm(groups, channels, affine=False)
