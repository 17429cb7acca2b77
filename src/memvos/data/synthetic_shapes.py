"""Outlines of the embedded benchmark's objects: smooth closed contours that deform over time.

In its own coordinates a body is the set |q| ≤ r(θ), log r a Fourier series whose coefficients move; a bend of the plane
before and a stretch make it more than star-shaped. The unit of q is the radius of a circle of equal area (roughly).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from memvos.data.synthetic_motion import wander

ORDERS = np.arange(2, 8)
SAMPLES = 1024
"""Angles at which r(θ) is tabulated; a step is below 0.2 pixels for a body of 60 pixels."""
BEND_WAVE = 1.3


@dataclass(frozen=True)
class Outline:
    """What a family of shapes has in common at rest.

    Attributes:
        coefficients: (2, K) cosine and sine coefficients of log r for the orders 2 … 7.
        stretch: ratio of length to width.
        bend: amplitude of the bend, in radii.
    """

    coefficients: np.ndarray
    stretch: float
    bend: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Outline:
        """Draw a family: round, lobed (three to six arms) or long and bending."""
        kind = rng.choice(["round", "lobed", "long"], p=[0.35, 0.35, 0.3])
        coefficients = rng.normal(size=(2, len(ORDERS))) * 0.16 / (ORDERS - 1)
        stretch, bend = rng.uniform(1.0, 1.35), 0.06
        if kind == "lobed":
            phase = rng.uniform(0, 2 * np.pi)
            coefficients[:, rng.integers(1, 5)] += rng.uniform(0.22, 0.36) * np.array([np.cos(phase), np.sin(phase)])
        if kind == "long":
            stretch, bend = rng.uniform(1.7, 2.5), rng.uniform(0.25, 0.4)
        return cls(coefficients, float(stretch), float(bend))

    @classmethod
    def pole(cls, rng: np.random.Generator) -> Outline:
        """A straight pole."""
        return cls(np.zeros((2, len(ORDERS))), float(rng.uniform(14, 26)), 0.0)

    def vary(self, rng: np.random.Generator, amount: float) -> Outline:
        """Another member of the family."""
        coefficients = self.coefficients + rng.normal(size=self.coefficients.shape) * amount / (ORDERS - 1)
        return Outline(coefficients, self.stretch * float(np.exp(rng.normal() * amount)), self.bend)


class Contour:
    """An outline moving through T frames."""

    def __init__(self, rng: np.random.Generator, outline: Outline, frames: int, amount: float, period: float) -> None:
        """Tabulate r(θ) for every frame; `amount` is the standard deviation of the deformation in log r."""
        moving = wander(rng, frames, period, amount, (2, len(ORDERS))) / np.sqrt(ORDERS - 1)
        coefficients = outline.coefficients + moving
        angles = np.arange(SAMPLES) * (2 * np.pi / SAMPLES)
        waves = np.stack([np.cos(np.outer(ORDERS, angles)), np.sin(np.outer(ORDERS, angles))])  # (2, K, SAMPLES)
        slopes = np.stack([-waves[1], waves[0]]) * ORDERS[:, None]
        logarithm = np.einsum("tck,cks->ts", coefficients, waves)
        self.radius = np.exp(logarithm - logarithm.mean(axis=1, keepdims=True)).astype(np.float32)
        rest = np.einsum("ck,cks->s", outline.coefficients, waves)
        self.rest = np.exp(rest - rest.mean()).astype(np.float32)
        self.stretch = np.sqrt(outline.stretch) * np.exp(wander(rng, frames, period, amount / 2))
        self.bend = outline.bend * wander(rng, frames, period, 1.0) + wander(rng, frames, period, amount / 3)
        self.sharpness = _sharpness(np.einsum("tck,cks->ts", coefficients, slopes), angles, self.stretch)
        self.phase = float(rng.uniform(0, 2 * np.pi))

    def points(self, t: int) -> np.ndarray:
        """Points on the outline in frame t, in body coordinates, (SAMPLES / 8, 2)."""
        angles = np.arange(0, SAMPLES, 8) * (2 * np.pi / SAMPLES)
        radius = self.radius[t, ::8]
        x, y = radius * np.cos(angles), radius * np.sin(angles)
        y = y + self.bend[t] * np.cos(BEND_WAVE * x + self.phase)
        return np.stack([x * self.stretch[t], y / self.stretch[t]], axis=1)

    def cover(self, t: int, x: np.ndarray, y: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, tuple]:
        """Coverage of pixels whose body coordinates are x, y.

        Args:
            t: frame.
            x: body coordinates along the body, (h, w) float32.
            y: body coordinates across it, (h, w) float32.
            scale: pixels per body unit.

        Returns:
            The coverage in [0, 1] (anti-aliased, 0.5 on the outline), the relative radius (0 in the middle, 1 on the
            outline), and coordinates (u, v) that stay with the body as it deforms; all (h, w) float32.
        """
        bend, stretch = np.float32(self.bend[t]), np.float32(self.stretch[t])
        x = x / stretch
        y = y * stretch - bend * np.cos(BEND_WAVE * x + np.float32(self.phase))
        distance, angle = cv2.cartToPolar(x, y)
        index = (angle * np.float32(SAMPLES / (2 * np.pi)) + np.float32(0.5)).astype(np.int32) % SAMPLES
        radius = self.radius[t][index]
        coverage = np.clip(0.5 + (radius - distance) * self.sharpness[t][index] * np.float32(scale), 0, 1)
        unwarp = self.rest[index] / radius
        return coverage, distance / radius, (x * unwarp, y * unwarp)


def _sharpness(slope: np.ndarray, angles: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """Body units of distance to the outline per unit of r(θ) − |q|, (T, SAMPLES); `slope` is r'/r."""
    cosine, sine = np.cos(angles), np.sin(angles)
    along = (cosine + slope * sine) / stretch[:, None]
    across = (sine - slope * cosine) * stretch[:, None]
    return (1 / np.hypot(along, across)).astype(np.float32)
