"""A library for corpora beyond memory: scores of activations that arrive in batches."""

from .bin_edges import linear_edges, quantile_edges
from .binned_scores import BinnedResult, BinnedScores, Bounds
from .key_counts import KeyCounts
from .streaming_scores import StreamingScores

__all__ = [
    "BinnedResult",
    "BinnedScores",
    "Bounds",
    "KeyCounts",
    "StreamingScores",
    "linear_edges",
    "quantile_edges",
]
