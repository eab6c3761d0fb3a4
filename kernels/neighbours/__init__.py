"""Nearest neighbours between two sets of embeddings."""

from .operation import Neighbours, neighbours

__all__ = ["Neighbours", "neighbours"]
