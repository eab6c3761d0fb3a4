"""Sentence-major activations turned neuron-major in Triton, through a tile in shared memory.

A program that walks one neuron of a sentence-major batch reads 32 bytes of memory for each
activation. Turned over by tiles, which read and write whole lines, a piece of the batch lies in the
device's cache, where the kernel that scores it finds each neuron's sentences side by side.

Floor: one read and one write of the activations, the write into the cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from .scratch import cached_bytes, slices
from .triton_launch import Launch, jit, tl

__all__ = ["LAUNCHES", "neuron_major"]

_TILE = 64
_ALIGNED = 16  # elements: rows of scratch begin where vectors do


@jit
def _transpose_kernel(  # noqa: PLR0917
    x_ptr: tl.tensor,
    out_ptr: tl.tensor,
    n_rows: tl.tensor,
    n_sentences: tl.tensor,
    stride_x: tl.tensor,
    stride_out: tl.tensor,
    TILE: tl.constexpr,
) -> None:
    """Turn one tile over; what lies between a row's sentences and the next row becomes 0."""
    m = tl.program_id(0) * TILE + tl.arange(0, TILE)
    i = tl.program_id(1) * TILE + tl.arange(0, TILE)
    real = (i < n_sentences)[:, None] & (m < n_rows)[None, :]
    tile = tl.load(x_ptr + i[:, None].to(tl.int64) * stride_x + m[None, :], mask=real, other=0.0)
    there = (m < n_rows)[:, None] & (i < stride_out)[None, :]
    tl.store(
        out_ptr + m[:, None].to(tl.int64) * stride_out + i[None, :], tl.trans(tile), mask=there
    )


LAUNCHES = {
    "transpose": Launch(
        kernel=_transpose_kernel,
        pointers={"x_ptr": "*x", "out_ptr": "*x"},
        constants={"TILE": _TILE},
    )
}


def neuron_major(
    rows: Float[Tensor, "neuron sentence"], *, most: int | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """All rows as they are, or, where neurons lie side by side, pieces of them turned over.

    A piece takes at most ``most`` bytes, half of the device's L2 cache by default.

    >>> [(at, piece.shape) for at, piece in neuron_major(torch.zeros(3, 5))]
    [(slice(None, None, None), torch.Size([3, 5]))]
    """
    if rows.stride(1) == 1 or rows.stride(0) != 1:
        yield slice(None), rows
        return
    stride = -(-rows.shape[1] // _ALIGNED) * _ALIGNED
    row_bytes = stride * rows.element_size()
    for at in slices(len(rows), row_bytes, most=most or cached_bytes(rows.device)):
        yield at, _turned(rows[at], stride)


def _turned(rows: Tensor, stride: int) -> Tensor:
    n_rows, n_sentences = rows.shape
    out = torch.empty(n_rows, stride, dtype=rows.dtype, device=rows.device)
    LAUNCHES["transpose"].run(
        (-(-n_rows // _TILE), -(-stride // _TILE)),
        *(rows, out, n_rows, n_sentences, rows.stride(1), stride),
    )
    return out[:, :n_sentences]
