"""Sentence embeddings whose nearest neighbours are known."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mechsteer.kernels import neighbours
from mechsteer.throughput.cases.common import dtype_name
from mechsteer.throughput.measure import Case, Device


def nearest(x: Tensor, y: Tensor) -> Tensor:
    """The kernel under test: the one nearest row of ``y`` for each row of ``x``."""
    return neighbours(x, y, k=1).index[:, 0]


def neighbours_case(
    method: str,
    run: Callable[[Tensor, Tensor], Tensor],
    size: tuple[int, int],
    device: Device = "cpu",
    *,
    threads: int = 1,
) -> Case:
    """Find each row's noisy copy among as many others by cosine."""
    generator = torch.Generator().manual_seed(5)
    x, noise = torch.randn(2, *size, generator=generator).to(device)
    y = (x + 0.5 * noise).flip(0)
    expected = torch.arange(len(x)).flip(0)
    return Case(
        "neighbours",
        method,
        f"{size[0]} x {size[0]} rows of {size[1]}",
        dtype_name(x.dtype),
        lambda: run(x, y),
        lambda found: float((found.cpu() != expected).sum()),
        0.0,
        elements=size[0] ** 2,
        bytes=2 * x.nbytes,
        flops=2 * size[0] ** 2 * size[1],
        threads=threads,
        device=device,
    )
