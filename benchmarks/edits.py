"""Clamp chosen neurons, beside index assignment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from mechsteer.throughput.cases import edits_case, prepared, token_batch
from mechsteer.throughput.measure import Case, Device


def assign(index: Tensor, a: Tensor, b: Tensor, *, inplace: bool) -> Callable[[Tensor], Tensor]:
    """What a hook written by hand does with a clamp."""

    def edit(z: Tensor) -> Tensor:
        out = z if inplace else z.clone()
        out[..., index] = b.to(z.dtype)
        return out

    return edit


def assign_affine(
    index: Tensor, a: Tensor, b: Tensor, *, inplace: bool
) -> Callable[[Tensor], Tensor]:
    """What a hook written by hand does with any affine edit, in float32 as ours."""

    def edit(z: Tensor) -> Tensor:
        out = z if inplace else z.clone()
        out[..., index] = (a * z[..., index].float() + b).to(z.dtype)
        return out

    return edit


METHODS = {
    "mechsteer": prepared,
    "assignment of a constant": assign,
    "assignment of an affine map": assign_affine,
}


def batch(shape: tuple[int, int, int], device: Device) -> Iterator[list[Case]]:
    """Every method on one batch, in place and not, by type and number of neurons."""
    for dtype in (torch.float32, torch.bfloat16):
        z, _ = token_batch(shape, dtype, device)
        for k in (16, shape[2] // 16):
            for inplace in (False, True):
                yield [
                    edits_case(name, partial(run, inplace=inplace), z.clone(), k, inplace=inplace)
                    for name, run in METHODS.items()
                ]


def cpu() -> Iterator[list[Case]]:
    """A batch of a small model."""
    yield from batch((16, 64, 4096), "cpu")


def cuda() -> Iterator[list[Case]]:
    """A batch of an 8B model."""
    yield from batch((64, 128, 14_336), "cuda")
