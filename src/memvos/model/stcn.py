"""Space-time correspondence network (STCN): one key per frame for all objects, similarity by distance.

Cheng et al., Rethinking Space-Time Networks with Improved Memory Coverage (NeurIPS 2021), §3, Fig. 2. QDMN Table 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from memvos.model.backbone import Features, ResNet
from memvos.model.decoder import Decoder, join
from memvos.model.encoders import KeyValue, MemoryEncoder, QueryEncoder
from memvos.model.fuser import Fuser
from memvos.model.interface import Memory, MemoryFrame, Query, VOSModel
from memvos.model.layouts import STCN_RELEASED
from memvos.model.memory_read import MemoryRead
from memvos.model.start import AsIs


class Seen(NamedTuple):
    """What STCN sees in an image: its features, and the key (B, Ck, h, w) and value (B, Cv, h, w) made of f16."""

    features: Features
    key: Tensor
    value: Tensor


class STCN(VOSModel):
    """Key encoder without masks, light value encoder with a fuser, read by distance, decoder without skip blocks.

    A frame's key is the same whether it is matched or remembered, and serves all objects. The fused value is the memory
    feature that QAM looks at.

    Args:
        key_backbone: ResNet factory of the key encoder; without convolution biases as published.
        value_backbone: ResNet factory of the value encoder.
        read: the memory read; similarity NegativeDistance, top-k 20 as published.
        key_channels: Ck; 64 in the paper.
        value_channels: Cv; 512 in the paper.
        decoder_width: channels of the decoder at stride 4; 256 in the paper.
        start: what is done to fresh weights: AsIs or SpreadKeys.
    """

    layouts = (STCN_RELEASED,)

    def __init__(
        self,
        key_backbone: Callable[..., ResNet],
        value_backbone: Callable[..., ResNet],
        read: MemoryRead,
        key_channels: int = 64,
        value_channels: int = 512,
        decoder_width: int = 256,
        start: Callable[[STCN], None] = AsIs(),  # noqa: B008 (stateless)
    ) -> None:
        super().__init__()
        self.query_encoder = QueryEncoder(key_backbone(in_channels=3))
        self.memory_encoder = MemoryEncoder(value_backbone(in_channels=5))
        trunk = self.query_encoder.trunk
        c4, c8, c16 = trunk.channels
        self.stride = self.pad_to = trunk.output_stride
        self.fuser = Fuser(self.memory_encoder.trunk.channels[2] + c16, value_channels)
        self.query_projection = KeyValue(c16, key_channels, value_channels)
        self.read = read
        self.decoder = Decoder(2 * value_channels, (c4, c8), decoder_width, skip_block=False)
        start(self)

    def encode(self, image: Tensor) -> Seen:
        """Features f4, f8, f16, key and value of (B, 3, H, W)."""
        features = self.query_encoder(image)
        return Seen(features, *self.query_projection(features.f16))

    def memorize(self, query: Query, masks: Tensor) -> MemoryFrame:
        """The frame's own key (B, 1, Ck, h, w), and a value (B, N, Cv, h, w) for the masks (B, N, H, W)."""
        seen = query.features
        value = self.fuser(self.memory_encoder(query.image, masks), seen.features.f16)
        return MemoryFrame(seen.key.unsqueeze(1), value, self.quality(value))

    def segment(self, query: Query, memory: Memory, previous: Tensor) -> Tensor:
        """Return per-object logits (B, N, H, W), float32; the previous masks are not used."""
        seen = query.features
        return self.decoder(join(self.read(seen.key, memory), seen.value), seen.features)
