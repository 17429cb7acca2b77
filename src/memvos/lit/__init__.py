"""Training and evaluation: modules, callbacks and loggers for Lightning, and `evaluate`, which does without it.

Names are imported when they are first used, so that an evaluation does not wait for Lightning.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "BatchSplit": "batch",
    "most_devices": "batch",
    "split_batch": "batch",
    "ChannelsLast": "callbacks",
    "CollapseDetector": "callbacks",
    "Divergence": "callbacks",
    "DivergenceDetector": "callbacks",
    "Progress": "callbacks",
    "QualityCollapse": "callbacks",
    "ReadMonitor": "callbacks",
    "Checkpoints": "checkpoints",
    "Interrupted": "checkpoints",
    "evaluate": "evaluation",
    "CsvLogger": "loggers",
    "wandb_logger": "loggers",
    "ProposalModule": "proposals",
    "ProposalRecall": "proposals",
    "QDMNModule": "qdmn",
    "fit": "training",
    "make_trainer": "training",
    "Validation": "validation",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
