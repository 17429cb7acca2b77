"""The difficulty levels of the embedded benchmark: easy, normal, hard. Changing a number here means a new VERSION."""

from __future__ import annotations

from dataclasses import dataclass

from memvos.errors import InputError


@dataclass(frozen=True)
class Level:
    """How hard clips are. Ranges are (least, most), drawn evenly per clip or per body.

    Attributes:
        objects: probabilities of 1, 2, 3 and 4 objects.
        radius: of an object at rest, in units of the square root of the frame's area.
        travel: standard deviation of an object's path, same unit.
        period: of an object's path, in frames.
        deformation: standard deviation of log r over time.
        spin: standard deviation of an object's rotation, in radians.
        growth: standard deviation of the logarithm of an object's radius over time.
        turn: how far an object turns during 32 frames, in radii: what is seen of it moves by this much.
        other_side: probability that the far side of an object has other colours.
        tint: standard deviation of the drift of an object's colour channels (logarithm).
        contrast: palettes drawn for a body, of which the most distinct is kept; 1 allows camouflage.
        lookalikes: probabilities of 0, 1, 2, 3 unlabelled bodies that look like an object.
        twins: probability that an object looks like the one before it.
        occluders: probabilities of 0, 1, 2, 3 foreign bodies in front.
        meetings: how many times, per object, it crosses another body.
        exits: probability that an object leaves the frame.
        pan: standard deviation of the background's path.
        zoom: standard deviation of the logarithm of the zoom.
        shake: probability of a shaking camera.
        tremble: standard deviation of a shaking camera, as radius.
        shutter: range of the shutter's opening.
        dimming: standard deviation of the logarithm of the light's gain.
    """

    objects: tuple[float, ...]
    radius: tuple[float, float]
    travel: tuple[float, float]
    period: tuple[float, float]
    deformation: tuple[float, float]
    spin: float
    growth: tuple[float, float]
    turn: tuple[float, float]
    other_side: float
    tint: float
    contrast: int
    lookalikes: tuple[float, ...]
    twins: float
    occluders: tuple[float, ...]
    meetings: float
    exits: float
    pan: tuple[float, float]
    zoom: float
    shake: float
    tremble: float
    shutter: tuple[float, float]
    dimming: float


LEVELS = {
    "easy": Level(
        objects=(0.45, 0.35, 0.15, 0.05),
        radius=(0.15, 0.23),
        travel=(0.07, 0.15),
        period=(26, 44),
        deformation=(0.04, 0.1),
        spin=0.35,
        growth=(0.02, 0.14),
        turn=(0.1, 0.5),
        other_side=0.15,
        tint=0.08,
        contrast=2,
        lookalikes=(0.65, 0.3, 0.05),
        twins=0.1,
        occluders=(0.6, 0.35, 0.05),
        meetings=0.3,
        exits=0.12,
        pan=(0.05, 0.25),
        zoom=0.03,
        shake=0.2,
        tremble=0.012,
        shutter=(0.1, 0.5),
        dimming=0.1,
    ),
    "normal": Level(
        objects=(0.25, 0.35, 0.25, 0.15),
        radius=(0.11, 0.2),
        travel=(0.15, 0.26),
        period=(26, 44),
        deformation=(0.08, 0.15),
        spin=0.7,
        growth=(0.06, 0.22),
        turn=(0.6, 1.6),
        other_side=0.5,
        tint=0.14,
        contrast=1,
        lookalikes=(0.25, 0.4, 0.25, 0.1),
        twins=0.2,
        occluders=(0.4, 0.4, 0.2),
        meetings=0.6,
        exits=0.22,
        pan=(0.1, 0.4),
        zoom=0.07,
        shake=0.3,
        tremble=0.016,
        shutter=(0.1, 0.6),
        dimming=0.15,
    ),
    "hard": Level(
        objects=(0.15, 0.3, 0.3, 0.25),
        radius=(0.09, 0.18),
        travel=(0.2, 0.32),
        period=(22, 40),
        deformation=(0.1, 0.2),
        spin=1.0,
        growth=(0.12, 0.32),
        turn=(1.0, 2.4),
        other_side=0.7,
        tint=0.2,
        contrast=1,
        lookalikes=(0.05, 0.3, 0.35, 0.3),
        twins=0.35,
        occluders=(0.15, 0.4, 0.3, 0.15),
        meetings=1.0,
        exits=0.4,
        pan=(0.15, 0.6),
        zoom=0.12,
        shake=0.4,
        tremble=0.022,
        shutter=(0.2, 0.9),
        dimming=0.2,
    ),
}


def level(difficulty: str) -> Level:
    """The level of that name.

    Raises:
        InputError: if there is none.
    """
    if difficulty not in LEVELS:
        raise InputError(f"got difficulty={difficulty!r}; expected one of {', '.join(LEVELS)}; correct data.difficulty")
    return LEVELS[difficulty]
