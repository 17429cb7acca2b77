"""memvos: semi-supervised video object segmentation with memory networks (QDMN, DMN-AOA and their baselines)."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name -> where it lives; looked up when first asked for, so that importing memvos stays light.
_LAZY = {
    "InputError": "memvos.errors",
    "Segmenter": "memvos.decode.propagate",
    "Step": "memvos.decode.propagate",
    "load_model": "memvos.model.checkpoints",
}
_PACKAGES = ("data", "decode", "losses", "metrics", "model", "report")

__all__ = ["InputError", "Segmenter", "Step", "__version__", "load_model", "metrics"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name in _PACKAGES:
        return import_module(f"memvos.{name}")
    raise AttributeError(f"module 'memvos' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_PACKAGES})
