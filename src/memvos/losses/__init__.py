"""Training losses. They take tensors and import nothing else of memvos."""

from memvos.losses.matching import MatchingLosses, NoAuxiliaryLoss
from memvos.losses.quality import QualityLoss, mask_iou
from memvos.losses.segmentation import BootstrappedCrossEntropy

__all__ = ["BootstrappedCrossEntropy", "MatchingLosses", "NoAuxiliaryLoss", "QualityLoss", "mask_iou"]
