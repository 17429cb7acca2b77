"""The MiVOS propagation network, which QDMN builds on: read in full it is the tables' STM, with a kernel their KMN.

Cheng et al., Modular Interactive Video Object Segmentation (CVPR 2021), §3.2; Oh et al., STM (ICCV 2019), §3; Seong et
al., KMN (ECCV 2020), §4. QDMN Tables 3 and 4 re-implement all three with it. One network, three reads: conf/model.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from memvos.model.backbone import Features, ResNet
from memvos.model.decoder import Decoder, join
from memvos.model.encoders import KeyValue, MemoryEncoder, QueryEncoder
from memvos.model.interface import Memory, MemoryFrame, Query, VOSModel
from memvos.model.layouts import MIVOS_RELEASED
from memvos.model.memory_read import MemoryRead
from memvos.model.start import AsIs


class MiVOS(VOSModel):
    """Memory and query encoders, space-time read and decoder: QDMN without QAM, PEM and ASPP.

    Args:
        backbone: ResNet factory; the query trunk's convolutions have no biases, as published.
        read: the memory read: all positions (STM), a kernel (KMN), the 50 most similar (MiVOS).
        key_channels: Ck; 128 in the papers.
        value_channels: Cv; 512 in the papers.
        decoder_width: channels of the decoder at stride 4; 256 in the papers.
        start: what is done to fresh weights: AsIs or MatchedKeys.
    """

    layouts = (MIVOS_RELEASED,)
    named_by = ("read",)

    def __init__(
        self,
        backbone: Callable[..., ResNet],
        read: MemoryRead,
        key_channels: int = 128,
        value_channels: int = 512,
        decoder_width: int = 256,
        start: Callable[[MiVOS], None] = AsIs(),  # noqa: B008 (stateless)
    ) -> None:
        super().__init__()
        self.query_encoder = QueryEncoder(backbone(in_channels=3, conv_bias=False))
        self.memory_encoder = MemoryEncoder(backbone(in_channels=5))
        trunk = self.query_encoder.trunk
        c4, c8, c16 = trunk.channels
        self.stride = self.pad_to = trunk.output_stride
        self.memory_projection = KeyValue(c16, key_channels, value_channels)
        self.query_projection = KeyValue(c16, key_channels, value_channels)
        self.read = read
        self.decoder = Decoder(2 * value_channels, (c4, c8), decoder_width)
        start(self)

    def encode(self, image: Tensor) -> Features:
        """Query features f4, f8, f16 of (B, 3, H, W)."""
        return self.query_encoder(image)

    def memorize(self, query: Query, masks: Tensor) -> MemoryFrame:
        """Encode a frame with its masks (B, N, H, W), once per object, as key (B, N, Ck, h, w) and value."""
        feature = self.memory_encoder(query.image, masks)
        return MemoryFrame(*self.memory_projection(feature), self.quality(feature), feature=feature)

    def segment(self, query: Query, memory: Memory, previous: Tensor) -> Tensor:
        """Return per-object logits (B, N, H, W), float32; the previous masks are not used."""
        key, value = self.query_projection(query.features.f16)
        return self.decoder(join(self.read(key, memory), value), query.features)
