"""Maximum over real tokens, beside masking a copy and a loop over sentences."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mechsteer.throughput.cases import pool_max, pooling_case, token_batch
from mechsteer.throughput.measure import Case, Device


def masked_fill(z: Tensor, mask: Tensor) -> Tensor:
    """Copy with padding at -inf, then reduce."""
    return z.masked_fill(~mask.to(z.device)[:, :, None], -torch.inf).amax(1)


def sentence_loop(z: Tensor, mask: Tensor) -> Tensor:
    """Reduce the real tokens of one sentence after another."""
    lengths = mask.sum(1).tolist()
    return torch.stack([row[:length].amax(0) for row, length in zip(z, lengths, strict=True)])


METHODS = {"mechsteer": pool_max, "masked_fill": masked_fill, "sentence loop": sentence_loop}


def batch(shape: tuple[int, int, int], device: Device) -> Iterator[list[Case]]:
    """Every method on one batch, by type."""
    for dtype in (torch.float32, torch.bfloat16):
        z, mask = token_batch(shape, dtype, device)
        yield [pooling_case(name, run, z, mask) for name, run in METHODS.items()]


def cpu() -> Iterator[list[Case]]:
    """A batch of a small model."""
    yield from batch((16, 64, 4096), "cpu")


def cuda() -> Iterator[list[Case]]:
    """A batch of an 8B model."""
    yield from batch((64, 128, 14_336), "cuda")
