"""Networks: the interface (`VOSModel`), QDMN and its parts, and their weights."""

from importlib import import_module
from typing import Any

# Public name -> module; looked up when first asked for, so that importing the interface does not import every network.
_LAZY = {
    "MiVOS": "mivos",
    "BorrowedQAM": "plugin",
    "QAMPlugin": "plugin",
    "QDMN": "qdmn",
    "STCN": "stcn",
    "ResNet": "backbone",
    "MemoryFrame": "interface",
    "Memory": "interface",
    "Query": "interface",
    "VOSModel": "interface",
    "load_checkpoint": "checkpoints",
    "load_model": "checkpoints",
    "load_weights": "checkpoints",
    "save_model": "checkpoints",
}

__all__ = list(_LAZY)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"memvos.model.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'memvos.model' has no attribute {name!r}")
