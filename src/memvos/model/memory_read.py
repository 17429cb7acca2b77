"""Space-time memory read. QDMN §3.4, Eq. 6; top-k as in the released inference, kernel as in KMN.

A read is a similarity (how alike is a memory position to a query position) and a selection (which positions are read,
with what weights); the two are independent. P = M·h·w memory positions, Q = h·w query positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memvos.errors import InputError
from memvos.model.interface import Memory

CHUNK = 2**26  # similarities held at once when no gradient is needed: 256 MiB in float32; at least a row of the grid


class DotProduct(nn.Module):
    """K_Q · K_M / √Ck."""

    def forward(self, query_key: Tensor, memory_key: Tensor) -> Tensor:
        """query_key (..., Ck, Q), memory_key (..., Ck, P) → logits (..., Q, P)."""
        return (query_key.transpose(-1, -2) / math.sqrt(query_key.shape[-2])) @ memory_key


class NegativeDistance(nn.Module):
    """-|K_Q - K_M|² / √Ck (STCN §3.2)."""

    def forward(self, query_key: Tensor, memory_key: Tensor) -> Tensor:
        """query_key (..., Ck, Q), memory_key (..., Ck, P) → logits (..., Q, P)."""
        (query_size, query_one), (memory_size, memory_one) = map(self._sizes, (query_key, memory_key))
        query = torch.cat([2 * query_key, -query_one, -query_size], dim=-2)  # |K_Q|², |K_M|² as two more channels
        memory = torch.cat([memory_key, memory_size, memory_one], dim=-2)
        return (query.transpose(-1, -2) / math.sqrt(query_key.shape[-2])) @ memory

    @staticmethod
    def _sizes(key: Tensor) -> tuple[Tensor, Tensor]:
        size = key.square().sum(dim=-2, keepdim=True)
        return size, torch.ones_like(size)


class Weights(NamedTuple):
    """How much each query position reads of which memory positions.

    Attributes:
        amounts: (..., Q, K), at least 0 and summing to 1 over K.
        places: (..., Q, K) int64, the memory positions that the amounts belong to; None means all P in order.
    """

    amounts: Tensor
    places: Tensor | None = None


class Softmax(nn.Module):
    """Read every memory position."""

    def forward(self, logits: Tensor, grid: tuple[int, int]) -> Weights:
        """logits (..., Q, P) → weights of all P positions."""
        return Weights(logits.softmax(dim=-1))


class TopK(nn.Module):
    """Read the k most similar memory positions of each query position; k = 50 in the released inference."""

    def __init__(self, k: int = 50) -> None:
        super().__init__()
        self.k = k

    def forward(self, logits: Tensor, grid: tuple[int, int]) -> Weights:
        """logits (..., Q, P) → weights of the k most similar positions.

        Raises:
            InputError: if k exceeds the number of memory positions P.
        """
        values, places = _largest(logits, self.k)
        return Weights(values.softmax(dim=-1), places)

    def extra_repr(self) -> str:
        """Show k."""
        return f"k={self.k}"


class Kernel(nn.Module):
    """Kernelised read (KMN): a memory position is read mostly near the query position that it matches best.

    Args:
        sigma: deviation of the Gaussian, in steps of the memory grid; 5.6 in the released code.
        k: read only the k largest products; None reads all.
    """

    def __init__(self, sigma: float = 5.6, k: int | None = None) -> None:
        super().__init__()
        self.sigma, self.k = sigma, k

    def forward(self, logits: Tensor, grid: tuple[int, int], best: Tensor | None = None, top: int = 0) -> Weights:
        """logits (..., Q, P), grid (h, w) with Q = h·w → weights of all, or of the k largest products.

        Args:
            logits: of the whole grid, or of some rows of it.
            grid: (h, w) of the logits.
            best: (..., P), where these are not all rows: the query position that each memory position matches best, in
                the whole grid.
            top: the first of these rows.

        Raises:
            InputError: if k exceeds the number of memory positions P.
        """
        best = logits.argmax(dim=-2) if best is None else best
        products = (logits - logits.amax(dim=-1, keepdim=True)).exp() * self._gaussian(logits, grid, best, top)
        products, places = (products, None) if self.k is None else _largest(products, self.k)
        total = products.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(products.dtype).tiny)
        return Weights(products / total, places)

    def extra_repr(self) -> str:
        """Show sigma and k."""
        return f"sigma={self.sigma}, k={self.k}"

    def _gaussian(self, logits: Tensor, grid: tuple[int, int], best: Tensor, top: int) -> Tensor:
        height, width = grid
        rows, columns = (torch.arange(n, device=logits.device, dtype=logits.dtype) for n in (height, width))
        vertical = ((rows + top).unsqueeze(-1) - (best // width).unsqueeze(-2)).square()  # (..., h, P)
        horizontal = (columns.unsqueeze(-1) - (best % width).unsqueeze(-2)).square()  # (..., w, P)
        distance = vertical.unsqueeze(-2) + horizontal.unsqueeze(-3)  # (..., h, w, P)
        return (-distance / (2 * self.sigma**2)).exp().flatten(-3, -2)


def _largest(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if k > scores.shape[-1]:
        raise InputError(
            f"top-k of {k} is larger than the memory of {scores.shape[-1]} positions; "
            "read all: top_k=null (segment), model/read=softmax (train, evaluate), or set "
            f"model.read.selection.k to at most {scores.shape[-1]}"
        )
    return scores.topk(k, dim=-1)


class MemoryRead(nn.Module):
    """Read memory values by the similarity of keys. While training every position is read, as published.

    Args:
        selection: Softmax, TopK or Kernel, used in eval mode.
        similarity: DotProduct (QDMN, STM, KMN, MiVOS) or NegativeDistance (STCN).
    """

    def __init__(self, selection: nn.Module | None = None, similarity: nn.Module | None = None) -> None:
        super().__init__()
        self.selection = selection or Softmax()
        self.similarity = similarity or DotProduct()
        self.every = Softmax()

    def forward(self, query_key: Tensor, memory: Memory) -> Tensor:
        """Return the read-out (B, N, Cv, h, w).

        Args:
            query_key: (B, Ck, h, w), or (B, N, Ck, h, w) where each object has its own (DMN-AOA).
            memory: frames, of the same grid h × w or another; objects read only frames that are valid for them, and an
                object with no valid frame reads zeros.

        Raises:
            InputError: if a top-k exceeds the number of memory positions.
        """
        value = memory.value.flatten(3).transpose(-1, -2)  # (B, N, P, Cv)
        parts = [self._read(query_key, memory, value, *part) for part in _parts(query_key, memory, value.shape[1])]
        readout = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return readout.transpose(-1, -2).unflatten(-1, query_key.shape[-2:])  # channels last in memory

    def statistics(self, query_key: Tensor, memory: Memory) -> dict[str, float]:
        """Of the similarities: "logit_std", their deviation over the memory positions that an object may read, averaged
        over query positions and objects that may read at least two.
        """
        own_keys = query_key.ndim == 5 or memory.key.shape[1] > 1
        objects = memory.value.shape[1] if own_keys or memory.valid is not None else 1
        with torch.no_grad():
            spread = [
                _deviation(self._logits(query_key[..., rows, :], memory, part), _readable(memory, part))
                for part, blocks in _parts(query_key, memory, objects)
                for rows in blocks
            ]
            return {"logit_std": float(torch.cat(spread).mean())}

    def _read(self, query_key: Tensor, memory: Memory, value: Tensor, objects: slice, blocks: list[slice]) -> Tensor:
        """What some objects read, (B, N, Q, Cv), block by block of the grid's rows."""
        select = self.every if self.training else self.selection
        best = self._best(query_key, memory, objects, blocks) if isinstance(select, Kernel) and blocks[1:] else None
        parts = []
        for rows in blocks:
            logits, grid = self._masked(query_key[..., rows, :], memory, objects), query_key[..., rows, :].shape[-2:]
            weights = select(logits, grid) if best is None else select(logits, grid, best, rows.start)
            parts.append(gather(weights, value[:, objects]))
        readout = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        return readout if memory.valid is None else readout * memory.valid[:, objects].any(dim=2)[..., None, None]

    def _best(self, query_key: Tensor, memory: Memory, objects: slice, blocks: list[slice]) -> Tensor:
        """The query position that each memory position matches best, (B, N or 1, P)."""
        found = []
        for rows in blocks:
            values, places = self._masked(query_key[..., rows, :], memory, objects).max(dim=-2)
            found.append((values, places + rows.start * query_key.shape[-1]))
        values, places = (torch.stack(part) for part in zip(*found, strict=True))
        return places.gather(0, values.argmax(dim=0, keepdim=True)).squeeze(0)

    def _masked(self, query_key: Tensor, memory: Memory, objects: slice) -> Tensor:
        """Similarities, the least there is where an object may not read."""
        logits, readable = self._logits(query_key, memory, objects), _readable(memory, objects)
        return logits if readable is None else logits.masked_fill(~readable, torch.finfo(logits.dtype).min)

    def _logits(self, query_key: Tensor, memory: Memory, objects: slice) -> Tensor:
        """Similarities in float32, (B, N or 1, Q, P)."""
        key = memory.key if memory.key.shape[1] == 1 else memory.key[:, objects]
        query = query_key.unsqueeze(1) if query_key.ndim == 4 else query_key[:, objects]
        with torch.autocast(query_key.device.type, enabled=False):
            return self.similarity(query.float().flatten(3), key.float().flatten(3))


def _readable(memory: Memory, objects: slice) -> Tensor | None:
    """Memory positions that objects may read, bool (B, N, 1, P); None: all."""
    if memory.valid is None:
        return None
    return memory.valid[:, objects].repeat_interleave(memory.key.shape[-2:].numel(), dim=2).unsqueeze(2)


def _deviation(logits: Tensor, readable: Tensor | None) -> Tensor:
    """Standard deviation of logits (B, N or 1, Q, P) over P, flat, without objects that may read fewer than two."""
    if readable is None:
        return logits.std(dim=-1).flatten()
    count = readable.sum(dim=-1, keepdim=True)
    centred = logits - (logits * readable).sum(dim=-1, keepdim=True) / count
    spread = ((centred.square() * readable).sum(dim=-1, keepdim=True) / (count - 1)).sqrt()
    return spread[(count > 1).expand_as(spread)]


def _parts(query_key: Tensor, memory: Memory, objects: int) -> Iterator[tuple[slice, list[slice]]]:
    """Objects, and rows of the query's grid, whose similarities are held at once: all of them where gradients are."""
    (height, width), positions = query_key.shape[-2:], memory.key.shape[3:].numel()
    room = objects * height if torch.is_grad_enabled() else max(1, CHUNK // (width * positions))  # rows of one object
    step, rows = max(1, min(objects, room // height)), min(height, room)
    blocks = [slice(top, top + rows) for top in range(0, height, rows)]
    for first in range(0, objects, step):
        yield slice(first, first + step), blocks


def gather(weights: Weights, value: Tensor) -> Tensor:
    """Sum the values by their weights.

    Args:
        weights: amounts (B, N or 1, Q, K).
        value: (B, N, P, Cv).

    Returns:
        (B, N, Q, Cv), in the precision of `value`.
    """
    amounts = weights.amounts.to(value.dtype)
    if weights.places is None:
        return amounts @ value
    batch, objects, positions, channels = value.shape
    starts = torch.arange(batch * objects, device=value.device).mul_(positions).view(batch, objects, 1, 1)
    places = (weights.places + starts).flatten(0, 2)  # rows of a table of all values
    amounts = amounts.expand(-1, objects, -1, -1).flatten(0, 2)
    table = value.reshape(-1, channels)
    readout = F.embedding_bag(places, table, per_sample_weights=amounts, mode="sum")
    return readout.view(batch, objects, -1, channels)
