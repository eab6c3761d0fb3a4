"""A score and an index in one integer, so that sorting one sorts both."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def pack(score: Float[Tensor, "*shape"], index: Int[Tensor, "*#shape"]) -> Int[Tensor, "*shape"]:
    """One int64 that sorts as (score, descending index), broadcast; -0.0 becomes +0.0."""
    bits = (score + 0.0).view(torch.int32).long()
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)) << 32 | (0xFFFFFFFF - index)


def unpack(key: Int[Tensor, "*shape"]) -> tuple[Int[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Index and score of packed keys."""
    bits = key >> 32
    score = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).int().view(torch.float32)
    return 0xFFFFFFFF - (key & 0xFFFFFFFF), score
