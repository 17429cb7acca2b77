"""Device and arithmetic of the stepper: found out by itself, or as asked for."""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager
from pathlib import Path

import torch

from memvos.errors import InputError

PRECISIONS = ("auto", "float32", "bf16")


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """`auto` is the first CUDA device if there is one, else the CPU.

    Raises:
        InputError: if the device is unknown or not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    present = {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"unknown device {device!r}; use auto, cpu, cuda or cuda:0") from error
    if chosen.type not in present:
        raise InputError(f"unknown device {device!r}; use auto, cpu, cuda, cuda:0 or mps")
    if not present[chosen.type]():
        kind = chosen.type.upper()
        raise InputError(f"device {device!r} asked for, but torch sees no {kind} device; use device=cpu or device=auto")
    return chosen


def cpu_has_fast_bf16() -> bool:
    """Does this CPU multiply bf16 matrices in hardware (AMX or AVX512-BF16)?"""
    asks = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    if any(ask is not None and ask() for ask in asks):
        return True
    listing = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not listing.is_file():
        return False
    flags = listing.read_text(errors="replace")
    return "amx_bf16" in flags or "avx512_bf16" in flags


def has_fast_bf16(device: torch.device) -> bool:
    """Does the device multiply bf16 matrices in hardware? GPUs before Ampere only emulate it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and cpu_has_fast_bf16()


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """`auto` is bf16 where it is fast (GPU of Ampere or later, CPU with AMX or AVX512-BF16), else float32.

    Raises:
        InputError: if the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise InputError(f"expected precision to be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(device) else "float32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Autocast to bf16, or to nothing for float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)
