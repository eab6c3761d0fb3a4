"""Masked pooling in Triton: one read of the real tokens for any choice of poolings."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..common.triton_launch import Launch, jit, tl

__all__ = ["LAUNCHES", "pool"]


@jit
def _nan_max(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@jit
def _pool_kernel(  # noqa: PLR0917
    z_ptr: tl.tensor,
    mask_ptr: tl.tensor,
    last_ptr: tl.tensor,
    max_ptr: tl.tensor,
    mean_ptr: tl.tensor,
    final_ptr: tl.tensor,
    n_batch: tl.tensor,
    n_token: tl.tensor,
    n_neuron: tl.tensor,
    halvings: tl.tensor,
    stride_zb: tl.tensor,
    stride_zt: tl.tensor,
    stride_zn: tl.tensor,
    stride_max: tl.tensor,
    stride_max_b: tl.tensor,
    stride_mean: tl.tensor,
    stride_mean_b: tl.tensor,
    stride_final: tl.tensor,
    stride_final_b: tl.tensor,
    MAX: tl.constexpr,
    MEAN: tl.constexpr,
    LAST: tl.constexpr,
    BATCH: tl.constexpr,
    NEURON: tl.constexpr,
    TOKEN: tl.constexpr,
) -> None:
    """Reduce BATCH sentences x NEURON neurons: 16 sentences fill a 32-byte sector of the output."""
    b = tl.program_id(1).to(tl.int64) * BATCH + tl.arange(0, BATCH)
    n = tl.program_id(0).to(tl.int64) * NEURON + tl.arange(0, NEURON)
    inside = (b < n_batch)[:, None] & (n < n_neuron)[None, :]
    last = tl.load(last_ptr + b, mask=b < n_batch, other=-1)
    z_tile = z_ptr + b[:, None] * stride_zb + n[None, :] * stride_zn
    if LAST:
        final = tl.load(z_tile + last.to(tl.int64)[:, None] * stride_zt, mask=inside)
        p = final_ptr + n[None, :] * stride_final + b[:, None] * stride_final_b
        tl.store(p, final, mask=inside)
    if MAX or MEAN:
        top = tl.full([BATCH, NEURON], float("-inf"), tl.float32)
        total = tl.zeros([BATCH, NEURON], tl.float32)
        count = tl.zeros([BATCH], tl.float32)
        # A power of two that no sum of the tokens can overflow at; it takes no bit from a mean.
        # An integer that is 1 is a constant in here, which has no `.to`: hence the zero.
        exponent = tl.zeros([], tl.int32) + (127 - halvings)
        scale = (exponent << 23).to(tl.float32, bitcast=True)
        for start in range(0, tl.max(last, 0) + 1, TOKEN):
            # TOKEN loads are in flight at once. Padding is not read; last = -1 past the batch.
            t = start + tl.arange(0, TOKEN).to(tl.int64)
            reach = t[:, None] <= last[None, :]
            real = tl.load(mask_ptr + b[None, :] * n_token + t[:, None], mask=reach, other=0) != 0
            x = tl.load(
                z_tile[None, :, :] + t[:, None, None] * stride_zt,
                mask=real[:, :, None] & inside[None, :, :],
                other=float("-inf"),
            ).to(tl.float32)
            if MAX:
                top = _nan_max(top, tl.reduce(x, 0, _nan_max))
            if MEAN:
                total += tl.sum(tl.where(real[:, :, None], x * scale, 0.0), 0)
                count += tl.sum(tl.where(real, scale, 0.0), 0)
        if MAX:
            p = max_ptr + n[None, :] * stride_max + b[:, None] * stride_max_b
            tl.store(p, top.to(max_ptr.dtype.element_ty), mask=inside)
        if MEAN:
            p = mean_ptr + n[None, :] * stride_mean + b[:, None] * stride_mean_b
            tl.store(p, tl.div_rn(total, tl.where(count > 0, count, 1.0)[:, None]), mask=inside)


_TILE = {"BATCH": 16, "NEURON": 64, "TOKEN": 4}
LAUNCHES = {
    flags: Launch(
        kernel=_pool_kernel,
        pointers={
            "z_ptr": "*x",
            "mask_ptr": "*i1",
            "last_ptr": "*i32",
            "max_ptr": "*x",
            "mean_ptr": "*fp32",
            "final_ptr": "*x",
        },
        constants=dict(zip(("MAX", "MEAN", "LAST"), flags, strict=True)) | _TILE,
        unit=("stride_zn", "stride_max_b", "stride_mean_b", "stride_final_b"),
    )
    for flags in product((False, True), repeat=3)
    if any(flags)
}


def pool(
    z: Float[Tensor, "batch token neuron"],
    mask: Bool[Tensor, "batch token"],
    outs: Mapping[str, Tensor],
) -> None:
    """Write each pooling of ``z`` to its ``[neuron, batch]`` tensor."""
    mask = mask.to(z.device).contiguous()
    targets = tuple(outs.get(how) for how in ("max", "mean", "last"))
    grid = (-(-z.shape[2] // _TILE["NEURON"]), -(-z.shape[0] // _TILE["BATCH"]))
    LAUNCHES[tuple(target is not None for target in targets)].run(
        grid,
        *(z, mask, _last_token(mask)),
        *(z if target is None else target for target in targets),  # absent ones are never touched
        *(*z.shape, (z.shape[1] - 1).bit_length(), *z.stride()),
        *(
            stride
            for target in targets
            for stride in ((0, 0) if target is None else target.stride())
        ),
    )


def _last_token(mask: Bool[Tensor, "batch token"]) -> Int[Tensor, "batch"]:
    position = torch.arange(mask.shape[1], device=mask.device, dtype=torch.int32)
    return torch.where(mask, position, -1).amax(dim=1)
