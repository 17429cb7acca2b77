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
    if apart := setting_apart(model, layout):
        raise InputError(f"{apart[0]}; {remedy}")
    tensors = {layout.released(key): tensor for key, tensor in model.state_dict().items()}
    if lacking := layout.parts - {name.split(".")[0] for name in tensors}:
        raise InputError(f"{layout.title} has parts that this network lacks ({abridged(lacking)}); {remedy}")
    if untrained := [name for name in fresh if not is_neutral(name)]:
        raise InputError(f"{abridged(untrained)} were never trained; write .ckpt or .safetensors, which say so")
    return tensors


def setting_apart(model: VOSModel, layout: Layout) -> tuple[str, str] | None:
    """The first setting that no tensor shows and that is not as in the released network; None if there is none.

    A score head has the same tensors whatever its activations and norms are, encoders and an ASPP whatever their
    strides are. Parts that one of the two lacks do not count.

    Returns:
        What differs, and what to choose instead, for a message.
    """
    head, aspp = model.quality, getattr(model, "aspp", None)
    activations, own = (", ".join(getattr(part, "activations", None) or ()) for part in (layout, head))
    norm, stride, rates = activations and "none", layout.output_stride, layout.aspp_rates
    for what, known, found, choice in (
        ("activations", activations, own, "model/quality=qam_released"),
        ("norm", norm, getattr(head, "norm", ""), "model/quality=qam_released"),
        ("output_stride", stride, model.stride, f"output_stride={stride} for its encoders"),
        ("aspp_rates", rates, getattr(aspp, "rates", None), f"model.aspp_rates={list(rates or ())}".replace(" ", "")),
    ):
        if known and found and known != found:
            return f"{layout.title} has {what} {known}, the network has {found}", f"choose {choice}"
    return None
