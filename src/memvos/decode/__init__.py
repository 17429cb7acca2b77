"""The frame loop and what it needs: aggregation, masks, gates, video files."""

from memvos.decode.aggregate import aggregate, to_probabilities
from memvos.decode.corruption import MaskCorruption, NoCorruption
from memvos.decode.gate import OracleQuality, PredictedQuality
from memvos.decode.propagate import Segmenter, Step

__all__ = [
    "MaskCorruption",
    "NoCorruption",
    "OracleQuality",
    "PredictedQuality",
    "Segmenter",
    "Step",
    "aggregate",
    "to_probabilities",
]
