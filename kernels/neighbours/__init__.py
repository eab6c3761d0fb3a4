"""Nearest neighbours between two sets of embeddings."""

from .local_scaling import TIE, LocalScaling, mean_of_nearest
from .operation import Neighbours, neighbours

__all__ = ["TIE", "LocalScaling", "Neighbours", "mean_of_nearest", "neighbours"]
