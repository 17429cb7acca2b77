"""Scores: DAVIS J and F, sequence statistics, calibration of quality scores, speed. Imports nothing else of memvos."""

from memvos.metrics.davis import boundary_accuracy, region_similarity, statistics
from memvos.metrics.quality import calibration, pearson, spearman
from memvos.metrics.sequence import (
    MEASURES,
    RULES,
    SCORED,
    FrameScores,
    ObjectScore,
    SequenceScorer,
    Summary,
    score_frame,
    score_sequence,
    summarise,
    unknown_id,
)
from memvos.metrics.speed import SpeedMeter, resident_mib
from memvos.metrics.youtube import YOUTUBE_MEASURES, seen_unseen

__all__ = [
    "MEASURES",
    "RULES",
    "SCORED",
    "YOUTUBE_MEASURES",
    "FrameScores",
    "ObjectScore",
    "SequenceScorer",
    "SpeedMeter",
    "Summary",
    "boundary_accuracy",
    "calibration",
    "pearson",
    "region_similarity",
    "resident_mib",
    "score_frame",
    "score_sequence",
    "seen_unseen",
    "spearman",
    "statistics",
    "summarise",
    "unknown_id",
]
