"""Networks whose released checkpoints are known: which layout a file has, and the tensors under released names."""

from __future__ import annotations

from torch import Tensor

from memvos.errors import InputError
from memvos.model.interface import VOSModel
from memvos.model.layouts import FOREIGN, Layout, is_neutral
from memvos.model.state_files import abridged
from memvos.model.weight_file import WeightFile


def layout_of(model: VOSModel, file: WeightFile) -> Layout | None:
    """The released layout the tensors are named by; None where they have our names.

    Raises:
        InputError: if they are another network's.
    """
    layouts: tuple[Layout, ...] = getattr(model, "layouts", ())
    for layout in layouts:
        if layout.signature <= file.tensors.keys():
            return layout
    kind = next((title for title, name in FOREIGN.items() if name in file.tensors), None)
    if kind is None and file.tensors.keys() & model.state_dict().keys():
        return None
    known = ", ".join(["memvos", *(layout.title for layout in layouts)])
    raise InputError(
        f"{file.source}: a checkpoint of {kind or 'another network'} (its first tensor is {next(iter(file.tensors))}), "
        f"{type(model).__name__} takes one of {known}; give such a file or choose the model that it belongs to"
    )


def released_tensors(model: VOSModel, fresh: tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors under the names of the released checkpoint, if the authors' code would build the same network.

    Args:
        model: the network.
        fresh: names of its tensors that were never trained.

    Raises:
        InputError: if it would not, if it has no such layout, or if parts were never trained.
    """
    layouts: tuple[Layout, ...] = getattr(model, "layouts", ())
    if not layouts:
        raise InputError(f"{type(model).__name__} has no released layout; write .ckpt or .safetensors")
    layout, remedy = layouts[0], "write .ckpt or .safetensors"
    check_head(model, layout, remedy)
    _check_grid(model, layout, remedy)
    tensors = {layout.released(key): tensor for key, tensor in model.state_dict().items()}
    if lacking := layout.parts - {name.split(".")[0] for name in tensors}:
        raise InputError(f"{layout.title} has parts that this network lacks ({abridged(lacking)}); {remedy}")
    if untrained := [name for name in fresh if not is_neutral(name)]:
        raise InputError(f"{abridged(untrained)} were never trained; write .ckpt or .safetensors, which say so")
    return tensors


def check_head(model: VOSModel, layout: Layout, remedy: str) -> None:
    """A score head has the same tensors whatever its activations and norms are.

    Raises:
        InputError: if the network's head is not the layout's, with the remedy.
    """
    quality = getattr(model, "quality", None)
    found = getattr(quality, "activations", layout.activations)
    if layout.activations is not None and found != layout.activations:
        raise InputError(
            f"the score head of {layout.title} has activations {', '.join(layout.activations)}, the network has "
            f"{', '.join(found)}; {remedy}"
        )
    if layout.activations is not None and getattr(quality, "norm", "none") != "none":
        raise InputError(f"the score head of {layout.title} has no norm, the network has {quality.norm}; {remedy}")


def _check_grid(model: VOSModel, layout: Layout, remedy: str) -> None:
    """Encoders and an ASPP have the same tensors whatever their strides are."""
    rates = model.aspp.rates if hasattr(model, "aspp") else None
    for name, known, found in (
        ("output_stride", layout.output_stride, model.stride),
        ("aspp_rates", layout.aspp_rates, rates),
    ):
        if found != known:
            raise InputError(f"{layout.title} has {name} {known}, the network has {found}; {remedy}")
