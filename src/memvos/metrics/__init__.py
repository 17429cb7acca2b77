"""Scores: DAVIS J and F, sequence statistics, calibration of quality scores, speed. Imports nothing else of memvos."""

from memvos.metrics.davis import boundary_accuracy, region_similarity, statistics
from memvos.metrics.quality import calibration, pearson, spearman
from memvos.metrics.sequence import MEASURES, ObjectScore, SequenceScorer, Summary, score_sequence, summarise
from memvos.metrics.speed import SpeedMeter, resident_mib

__all__ = [
    "MEASURES",
    "ObjectScore",
    "SequenceScorer",
    "SpeedMeter",
    "Summary",
    "boundary_accuracy",
    "calibration",
    "pearson",
    "region_similarity",
    "resident_mib",
    "score_sequence",
    "spearman",
    "statistics",
    "summarise",
]
