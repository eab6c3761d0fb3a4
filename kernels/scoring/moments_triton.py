"""Moments in Triton: mean and deviation of every class, and of all others, from two passes."""

from __future__ import annotations

import torch
from torch import Tensor

from ..common.grouping import Grouping
from ..common.triton_launch import Launch, jit, tl
from .table import rest_moments

__all__ = ["LAUNCHES", "fill_moments"]


@jit
def _moments_kernel(  # noqa: PLR0917
    x_ptr: tl.tensor,
    order_ptr: tl.tensor,
    offsets_ptr: tl.tensor,
    mean_ptr: tl.tensor,
    squares_ptr: tl.tensor,
    n_classes: tl.tensor,
    stride_x: tl.tensor,
    stride_out: tl.tensor,
    SEGMENT: tl.constexpr,
) -> None:
    """Mean and sum of squared deviations of one neuron for every class, in two passes."""
    m = tl.program_id(0).to(tl.int64)
    j = tl.arange(0, SEGMENT)
    for c in range(n_classes):
        a = tl.load(offsets_ptr + c)
        b = tl.load(offsets_ptr + c + 1)
        total = tl.zeros([SEGMENT], tl.float64)
        for start in range(a, b, SEGMENT):
            at = tl.load(order_ptr + start + j, mask=start + j < b, other=0)
            x = tl.load(x_ptr + m * stride_x + at, mask=start + j < b, other=0.0)
            total += x.to(tl.float32).to(tl.float64)
        mean = tl.sum(total, 0) / (b - a).to(tl.float64)
        squares = tl.zeros([SEGMENT], tl.float64)
        for start in range(a, b, SEGMENT):
            at = tl.load(order_ptr + start + j, mask=start + j < b, other=0)
            x = tl.load(x_ptr + m * stride_x + at, mask=start + j < b, other=0.0)
            gap = tl.where(start + j < b, x.to(tl.float32).to(tl.float64) - mean, 0.0)
            squares += gap * gap
        tl.store(mean_ptr + m, mean)
        tl.store(squares_ptr + m, tl.sum(squares, 0))
        mean_ptr += stride_out
        squares_ptr += stride_out


LAUNCHES: dict[object, Launch] = {
    "moments": Launch(
        kernel=_moments_kernel,
        pointers={
            "x_ptr": "*x",
            "order_ptr": "*i32",
            "offsets_ptr": "*i32",
            "mean_ptr": "*fp64",
            "squares_ptr": "*fp64",
        },
        constants={"SEGMENT": 256},
        num_warps=2,
    )
}


def fill_moments(tables: tuple[Tensor, ...], rows: Tensor, grouping: Grouping) -> None:
    """Fill mean, std, rest mean and rest std of contiguous rows ``[neuron, sentence]``."""
    mean, std, rest_mean, rest_std = tables
    means, squares, rest_means, rest_squares = torch.empty(
        4, *mean.shape, dtype=torch.float64, device=rows.device
    )
    order = torch.from_numpy(grouping.order).to(rows.device, torch.int32)
    offsets = torch.from_numpy(grouping.offsets).to(rows.device, torch.int32)
    LAUNCHES["moments"].run(
        (len(rows),),
        *(rows, order, offsets, means, squares),
        *(grouping.n_classes, rows.stride(0), means.stride(0)),
    )
    sizes = torch.from_numpy(grouping.counts).to(rows.device, torch.float64)[:, None]
    rest_moments(sizes, means, squares, rest_means, rest_squares)  # tensors index as arrays do
    mean.copy_(means)
    rest_mean.copy_(rest_means)
    std.copy_((squares / (sizes - 1)).sqrt())
    rest_std.copy_((rest_squares / (rows.shape[1] - sizes - 1)).sqrt())
