"""Masks as bits, 64 pixels to a word: the set operations of J and F at a fraction of the cost.

A packed mask is uint64 (H, words); bit b of word w is pixel 64·w + b of its row, and bits past the last pixel are 0.
"""

from __future__ import annotations

import math
import threading
from functools import cache

import numpy as np

WORD = 64


def pack(mask: np.ndarray) -> np.ndarray:
    """Bool (H, W) to a packed mask."""
    return pack_id(mask, True)


def pack_id(labels: np.ndarray, value: int) -> np.ndarray:
    """Where labels (H, W) are `value`, as a packed mask."""
    height, width = labels.shape
    space = _space(height, -(-width // WORD) * WORD)
    space[:, width:] = False
    np.equal(labels, value, out=space[:, :width])
    packed = np.packbits(space, bitorder="little").reshape(height, -1)
    return packed.view("<u8").astype(np.uint64, copy=False)


_kept = threading.local()


def _space(*shape: int) -> np.ndarray:
    """An array to write to, the same for all calls of a thread: fresh memory costs more than what is done in it."""
    if getattr(_kept, "space", None) is None or _kept.space.shape != shape:
        _kept.space = np.empty(shape, bool)
    return _kept.space


def count(packed: np.ndarray) -> int:
    """Pixels that are set."""
    return int(np.bitwise_count(packed).sum(dtype=np.int64))


def crop(first: np.ndarray, second: np.ndarray, width: int) -> tuple[np.ndarray, int]:
    """Cut two packed masks to the rows and words where either is set, and one more around: (2, H, words), width.

    Nothing is set outside, so that counts and boundaries are those of the whole; `width` is that of the image.
    """
    either = first | second
    rows, columns = (np.flatnonzero(np.bitwise_or.reduce(either, axis=axis)) for axis in (1, 0))
    if not rows.size:
        return np.zeros((2, 0, 0), np.uint64), 0
    window = slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(columns[0] - 1, 0), columns[-1] + 2)
    both = np.stack([first[window], second[window]])
    return both, min(width - WORD * window[1].start, WORD * both.shape[2])


def boundary_f(both: np.ndarray, width: int, radius: int) -> float:
    """F of two masks (2, H, words) as `crop` gives them, see `memvos.metrics.davis.boundary_accuracy`."""
    edges = _boundaries(both, width)
    totals = [count(edge) for edge in edges]
    if not any(totals):
        return 1.0
    if not all(totals):
        return 0.0  # precision and recall are 1 and 0, or 0 and 1
    matched = edges & _dilate(edges, width, radius)[::-1]
    recall, precision = (count(part) / total for part, total in zip(matched, totals, strict=True))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _boundaries(masks: np.ndarray, width: int) -> np.ndarray:
    """Pixels of (2, H, words) that differ from the one right, below, or right below of them.

    In the last column only the pixel below counts, in the last row only the one to the right, in the corner none.
    """
    right = masks >> np.uint64(1)
    right[..., :-1] |= masks[..., 1:] << np.uint64(WORD - 1)  # every pixel's right neighbour, in its place
    inner = _first_bits(width - 1, masks.shape[2])
    edges = (masks ^ right) & inner
    edges[:, :-1] |= masks[:, :-1] ^ masks[:, 1:]
    edges[:, :-1] |= (masks[:, :-1] ^ right[:, 1:]) & inner
    return edges


def _dilate(edges: np.ndarray, width: int, radius: int) -> np.ndarray:
    """Dilate both of (2, H, words) by the disk x² + y² ≤ radius².

    The disk is a union of rectangles, the higher the narrower; from the widest on, each is put to the others before all
    of them grow sideways by what they are wider. Both masks lie in one flat array, where `radius` empty pixels after
    every row and `radius` empty rows around each mask keep them apart.
    """
    _, height, words = edges.shape
    row = -(-(width + radius) // WORD)
    field = np.zeros((2, height + 2 * radius, row), np.uint64)
    field[:, radius : radius + height, : min(words, row)] = edges[..., :row]
    tall = field.ravel()  # grows up and down
    source = tall.copy()
    reach, reached = tall.copy(), 0
    for half_height, narrower in _rectangles(radius):
        for offset in range(reached + 1, half_height + 1):
            step = offset * row
            tall[step:] |= source[:-step]
            tall[:-step] |= source[step:]
        reached = half_height
        reach |= tall
        _widen(reach, narrower)
    grown = reach.reshape(2, height + 2 * radius, row)[:, radius : radius + height]
    if row < words:
        return np.pad(grown, ((0, 0), (0, 0), (0, words - row)))
    return grown[..., :words]


@cache
def _rectangles(radius: int) -> tuple[tuple[int, int], ...]:
    """(half height, by how much the half width shrinks to the next) of the disk's rectangles, widest first."""
    half_widths = [math.isqrt(radius**2 - offset**2) for offset in range(radius + 1)]
    heights = [o for o in range(radius + 1) if o == radius or half_widths[o + 1] < half_widths[o]]
    following = [*(half_widths[o + 1] for o in heights[:-1]), 0]
    return tuple((o, half_widths[o] - after) for o, after in zip(heights, following, strict=True))


def _widen(flat: np.ndarray, by: int) -> None:
    """Grow a flat array of words by `by` pixels to the left and right, in place."""
    grown = 0
    while grown < by:
        step = min(by - grown, 2 * grown + 1, WORD - 1)  # longer steps would leave holes
        near, far = np.uint64(step), np.uint64(WORD - step)
        shifted = flat << near
        shifted |= flat >> near
        shifted[1:] |= flat[:-1] >> far
        shifted[:-1] |= flat[1:] << far
        flat |= shifted
        grown += step


@cache
def _first_bits(bits: int, words: int) -> np.ndarray:
    """A row of words whose first `bits` bits are set."""
    places = np.arange(words) * WORD
    taken = np.clip(bits - places, 0, WORD)
    return np.array([(1 << int(number)) - 1 for number in taken], np.uint64)
