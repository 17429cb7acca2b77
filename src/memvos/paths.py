"""Where memvos finds its own configuration, in a checkout and in an installed wheel, and where it caches data."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parent.parent


def _shipped(name: str) -> Path:
    in_checkout = _CHECKOUT / name
    return in_checkout if (_CHECKOUT / "setup.cfg").is_file() and in_checkout.is_dir() else _PACKAGE / name


def conf_dir() -> Path:
    """The Hydra configuration tree (how to run)."""
    return _shipped("conf")


def experiments_dir() -> Path:
    """The table and figure specifications (what the papers report)."""
    return _shipped("experiments")


def shipped_weights(name: str | Path | None) -> Path | None:
    """The file of backbone weights that the package has under a name; None if it has none."""
    file = _PACKAGE / "model" / "weights" / f"{name}.safetensors"
    return file if file.is_file() else None


def cache_dir() -> Path:
    """Where rendered benchmarks are kept: $MEMVOS_CACHE, or ~/.cache/memvos."""
    return Path(os.environ.get("MEMVOS_CACHE") or Path.home() / ".cache" / "memvos").expanduser()
