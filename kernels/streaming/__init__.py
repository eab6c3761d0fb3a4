"""A library for corpora beyond memory: scores of activations that arrive in batches."""

from .bin_edges import linear_edges, quantile_edges
from .binned import BinnedResult, BinnedScores, Bounds
from .key_counts import KeyCounts
from .negatives import StreamingScores

__all__ = [
    "BinnedResult",
    "BinnedScores",
    "Bounds",
    "KeyCounts",
    "StreamingScores",
    "linear_edges",
    "quantile_edges",
]
