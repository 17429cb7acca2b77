"""The quality-aware dynamic memory network (QDMN), without its memory. QDMN §3, Fig. 2."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from memvos.model.backbone import Features, ResNet
from memvos.model.decoder import ASPP, Decoder, join
from memvos.model.encoders import KeyValue, MemoryEncoder, QueryEncoder
from memvos.model.interface import Memory, MemoryFrame, Query, VOSModel
from memvos.model.layouts import MIVOS_RELEASED, QDMN_RELEASED
from memvos.model.memory_read import MemoryRead
from memvos.model.pem import merge_objects
from memvos.model.start import AsIs


class QDMN(VOSModel):
    """Memory and query encoders, PEM, space-time read, ASPP and decoder, QAM.

    The parts that depend on the backbone's channels are given as factories (partials in the configuration):
    `backbone(in_channels=…)`, `prior(channels=…, middle_channels=…, reduction=…)`, `quality(channels=…, grid=…)`.

    Args:
        backbone: ResNet factory.
        prior: NoPrior, WeakPrior or StrongPrior factory.
        quality: QualityHead or AcceptAll factory.
        read: the memory read.
        key_channels: Ck; 128 in the paper.
        value_channels: Cv; 512 in the paper.
        decoder_width: channels of the decoder at stride 4; 256 in the paper.
        aspp_width: channels of each view of the ASPP; 256 in the released network.
        aspp_rates: dilation rates of the ASPP, in steps of the memory grid.
        grid: memory grid of a training crop, to which QAM resizes its input; 24 in the papers (384 pixels / 16).
        start: what is done to fresh weights: AsIs or MatchedKeys.
    """

    layouts = (QDMN_RELEASED, MIVOS_RELEASED)

    def __init__(
        self,
        backbone: Callable[..., ResNet],
        prior: Callable[..., nn.Module],
        quality: Callable[..., nn.Module],
        read: MemoryRead,
        key_channels: int = 128,
        value_channels: int = 512,
        decoder_width: int = 256,
        aspp_width: int = 256,
        aspp_rates: tuple[int, ...] = (6, 12, 18),
        grid: int = 24,
        start: Callable[[QDMN], None] = AsIs(),  # noqa: B008 (stateless)
    ) -> None:
        super().__init__()
        self.query_encoder = QueryEncoder(backbone(in_channels=3))
        self.memory_encoder = MemoryEncoder(backbone(in_channels=5))
        trunk = self.query_encoder.trunk
        c4, c8, c16 = trunk.channels
        self.stride = self.pad_to = trunk.output_stride
        self.memory_projection = KeyValue(c16, key_channels, value_channels)
        self.query_projection = KeyValue(c16, key_channels, value_channels)
        self.prior = prior(channels=c16, middle_channels=c8, reduction=trunk.output_stride // 8)
        self.read = read
        self.aspp = ASPP(2 * value_channels, aspp_width, tuple(aspp_rates))
        self.decoder = Decoder(2 * value_channels, (c4, c8), decoder_width)
        self.quality = quality(channels=c16, grid=grid)
        start(self)

    def encode(self, image: Tensor) -> Features:
        """Query features f4, f8, f16 of (B, 3, H, W), before the prior."""
        return self.query_encoder(image)

    def memorize(self, query: Query, masks: Tensor) -> MemoryFrame:
        """Encode a frame with its masks (B, N, H, W), once per object, as key, value and predicted quality S^A.

        Returns:
            A record with key (B, N, Ck, h, w), value (B, N, Cv, h, w) and quality (B, N).
        """
        feature = self.memory_encoder(query.image, masks)
        return MemoryFrame(*self.memory_projection(feature), self.quality(feature), feature=feature)

    def segment(self, query: Query, memory: Memory, previous: Tensor) -> Tensor:
        """Return per-object logits (B, N, H, W), float32, before soft aggregation.

        Args:
            query: the frame.
            memory: the frames to read.
            previous: (B, N, H, W) aggregated probabilities of frame t-1, the prior of PEM.
        """
        features = query.features
        key, value = self.query_projection(self.enhance(features, previous))
        return self.decoder(self.aspp(join(self.read(key, memory), value)), features)

    def enhance(self, features: Features, previous: Tensor) -> Tensor:
        """The query feature after PEM, f_e (B, C, h, w); one prior for all objects of `previous` (B, N, H, W)."""
        return self.prior(features.f16, merge_objects(previous), features.f8)
