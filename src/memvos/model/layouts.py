"""Names of tensors in released checkpoints and in memvos: reference for import and export.

A layout is a list of prefixes (released, ours); the first that fits decides, in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass

from memvos.errors import InputError

_ENCODERS = (
    ("mask_rgb_encoder.", "memory_encoder.trunk."),
    ("rgb_encoder.res2.", "query_encoder.trunk.layer1."),
    ("rgb_encoder.", "query_encoder.trunk."),
    ("kv_m_f16.key_proj.", "memory_projection.key."),
    ("kv_m_f16.val_proj.", "memory_projection.value."),
    ("kv_q_f16.key_proj.", "query_projection.key."),
    ("kv_q_f16.val_proj.", "query_projection.value."),
)


def _decoder(*skips: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    parts = (*skips, ("out_conv.downsample.", "block.shortcut."), ("out_conv.", "block."))
    return (
        ("decoder.compress.downsample.", "decoder.compress.shortcut."),
        ("decoder.compress.", "decoder.compress."),
        *(
            (f"decoder.{released}.{part}", f"decoder.{ours}.{name}")
            for released, ours in (("up_16_8", "up8"), ("up_8_4", "up4"))
            for part, name in parts
        ),
        ("decoder.pred.", "decoder.predict."),
    )


_DECODER = _decoder(("skip_conv1.", "skip."), ("skip_conv2.", "skip_block."))
_STCN = (
    ("key_encoder.res2.", "query_encoder.trunk.layer1."),
    ("key_encoder.", "query_encoder.trunk."),
    ("value_encoder.fuser.block1.downsample.", "fuser.block1.shortcut."),
    ("value_encoder.fuser.attention.ChannelGate.mlp.1.", "fuser.channel_gate.fc1."),
    ("value_encoder.fuser.attention.ChannelGate.mlp.3.", "fuser.channel_gate.fc2."),
    ("value_encoder.fuser.attention.SpatialGate.spatial.conv.", "fuser.spatial_gate.conv."),
    ("value_encoder.fuser.", "fuser."),
    ("value_encoder.", "memory_encoder.trunk."),
    ("key_proj.key_proj.", "query_projection.key."),
    ("key_comp.", "query_projection.value."),
)
_ASPP = (
    *((f"aspp.aspp{view + 1}.atrous_conv.", f"aspp.views.{view}.conv.") for view in range(4)),
    *((f"aspp.aspp{view + 1}.bn.", f"aspp.views.{view}.bn.") for view in range(4)),
    ("aspp.global_avg_pool.1.", "aspp.whole.conv."),
    ("aspp.global_avg_pool.2.", "aspp.whole.bn."),
    ("aspp.conv1.", "aspp.fuse.conv."),
    ("aspp.bn1.", "aspp.fuse.bn."),
)
_MODULES = (("score.", "quality."), ("concat_conv.", "prior.gate."))


@dataclass(frozen=True)
class Layout:
    """One released key layout.

    Attributes:
        title: what the checkpoint is called in messages.
        signature: released names that tell this layout from those tried after it.
        prefixes: pairs (released, ours).
        fresh: prefixes of ours that the checkpoint lacks by nature; they keep their fresh values.
        without_biases: prefixes of ours whose convolutions have no bias in the checkpoint; they stay 0.
        activations: of the score head that the checkpoint was trained with; None if it has no such head.
        aspp_rates: of the ASPP that the checkpoint was trained with; None if it has none.
        output_stride: of the encoders that the checkpoint was trained with.
        stem: ours, the weight that may lack input channels (a checkpoint of the single-object stage).
    """

    title: str
    signature: frozenset[str]
    prefixes: tuple[tuple[str, str], ...]
    fresh: tuple[str, ...] = ()
    without_biases: tuple[str, ...] = ()
    activations: tuple[str, str] | None = None
    aspp_rates: tuple[int, ...] | None = None
    output_stride: int = 16
    stem: str = "memory_encoder.trunk.conv1.weight"

    @property
    def parts(self) -> set[str]:
        """First names of the released tensors: what the authors' network consists of."""
        return {theirs.split(".")[0] for theirs, _ in self.prefixes}

    def ours(self, released: str) -> str:
        """The name in memvos.

        Raises:
            InputError: if the layout has no such name.
        """
        for theirs, mine in self.prefixes:
            if released.startswith(theirs):
                return mine + released.removeprefix(theirs)
        raise InputError(f"{released!r} is not a tensor of {self.title}")

    def may_lack(self, ours: str) -> bool:
        """Is this a tensor that the released checkpoint lacks by nature?"""
        if ours.endswith("num_batches_tracked") or ours.startswith(self.fresh):
            return True
        return ours.startswith(self.without_biases) and is_convolution_bias(ours)

    def released(self, ours: str) -> str:
        """The name in the released checkpoint.

        Raises:
            InputError: if the layout has no such name.
        """
        for theirs, mine in self.prefixes:
            if ours.startswith(mine):
                return theirs + ours.removeprefix(mine)
        raise InputError(f"{ours!r} has no place in a checkpoint of {self.title}; export to .safetensors instead")


QDMN_RELEASED = Layout(
    "the released QDMN",
    frozenset({"mask_rgb_encoder.conv1.weight", "score.fc1.weight"}),
    _ENCODERS + _DECODER + _ASPP + _MODULES,
    activations=("relu", "relu"),
    aspp_rates=(6, 12, 18),
)
MIVOS_RELEASED = Layout(
    "MiVOS / Mask-Propagation",
    frozenset({"mask_rgb_encoder.conv1.weight", "decoder.up_16_8.skip_conv1.weight"}),
    _ENCODERS + _DECODER,
    fresh=("aspp.", "quality.", "prior."),
    without_biases=("query_encoder.",),
)
STCN_RELEASED = Layout(
    "the released STCN",
    frozenset({"key_encoder.conv1.weight", "value_encoder.fuser.block1.conv1.weight"}),
    _STCN + _decoder(("skip_conv.", "skip.")),
)

FOREIGN = {
    "QDMN": "concat_conv.weight",
    "MiVOS": "mask_rgb_encoder.conv1.weight",
    "STCN": "key_encoder.conv1.weight",
    "STM as first released (another decoder than that of memvos's stm)": "Encoder_M.conv1_m.weight",
    "a torchvision ResNet": "layer1.0.conv1.weight",
}
"""Well-known checkpoints and a tensor that gives them away, for messages."""


def is_neutral(name: str) -> bool:
    """May a checkpoint lack this without loss: a convolution's bias or a stem's channels in a trunk (0), a counter?"""
    return name.endswith(("num_batches_tracked", ":]")) or is_convolution_bias(name)


def is_convolution_bias(name: str) -> bool:
    """Is this the name of a convolution's bias in a trunk?"""
    return name.endswith(".bias") and ("conv" in name.split(".")[-2] or name.endswith("downsample.0.bias"))
