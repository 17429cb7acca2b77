"""A fixed global batch on any number of devices: the share of each device and the accumulation are computed."""

from __future__ import annotations

from dataclasses import dataclass

from memvos.errors import InputError, check_number


@dataclass(frozen=True)
class BatchSplit:
    """How every device makes up its part of an optimiser step: `per_device` clips at a time, `accumulate` times."""

    per_device: int
    accumulate: int


def split_batch(total: int, devices: int, largest: int | None = None) -> BatchSplit:
    """Split a global batch over devices, in pieces as large as fit.

    Args:
        total: clips per optimiser step, over all devices; never changed.
        devices: number of devices over all nodes (a trainer's `world_size`).
        largest: most clips that fit on one device at a time; None means any number.

    Raises:
        InputError: if the batch cannot be divided evenly, or a number is none from 1.
    """
    check_number("the global batch", total, 1)
    check_number("the number of devices", devices, 1)
    check_number("largest_batch", largest, 1, off=True)
    if total % devices:
        fitting = [count for count in range(1, total + 1) if total % count == 0]
        raise InputError(
            f"a global batch of {total} cannot be divided evenly over {devices} devices; "
            f"use one of {', '.join(map(str, fitting))} devices, or another global batch"
        )
    share = total // devices
    pieces = next(count for count in range(1, share + 1) if share % count == 0 and share // count <= (largest or share))
    return BatchSplit(share // pieces, pieces)


def most_devices(total: int, there: int, nodes: int = 1) -> int | None:
    """The largest number of the devices of each node that share a global batch evenly; None: no number does.

    Args:
        total: clips per optimiser step, over all devices.
        there: number of devices that each node has.
        nodes: number of nodes.
    """
    return next((count for count in range(there, 0, -1) if total % (count * nodes) == 0), None)
