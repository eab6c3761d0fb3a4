"""AP and AUROC of every neuron for many overlapping label sets."""

from .operation import LabelingScores, score_labelings

__all__ = ["LabelingScores", "score_labelings"]
