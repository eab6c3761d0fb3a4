"""Rows in pieces that scratch memory has room for, each neuron's sentences side by side."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["cached_bytes", "pieces", "slices"]

_SCRATCH_BYTES = 1 << 28


def pieces(
    rows: Tensor, row_bytes: int, *, most: int | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Rows in pieces whose scratch memory is at most ``most`` bytes, their sentences contiguous."""
    for at in slices(len(rows), row_bytes, most=most):
        piece = rows[at]
        yield at, piece if piece.stride(1) == 1 else piece.contiguous()


def slices(n_rows: int, row_bytes: int, *, most: int | None = None) -> Iterator[slice]:
    """Where the pieces lie; two rows at least, which some kernels take at once."""
    step = max(2, (most or _SCRATCH_BYTES) // row_bytes)
    return (slice(first, first + step) for first in range(0, n_rows, step))


def cached_bytes(device: torch.device) -> int | None:
    """Scratch that one kernel writes and the next reads without leaving the device's L2 cache.

    Half of it: the activations pass through the other half. None where there is no such cache.
    """
    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).L2_cache_size) // 2 or None
