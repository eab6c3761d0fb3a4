"""AP, AUROC and moments of every neuron for every class."""

from .effect import effect_size
from .operation import Scores, score

__all__ = ["Scores", "effect_size", "score"]
