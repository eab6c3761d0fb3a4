"""Pooling of activations over the real tokens of each sentence."""

from .operation import POOLINGS, Pooling, pool_tokens

__all__ = ["POOLINGS", "Pooling", "pool_tokens"]
