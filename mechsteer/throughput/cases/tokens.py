"""A batch of token activations: to pool over, and to edit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mechsteer.kernels import PreparedEdit, pool_tokens
from mechsteer.throughput.cases.common import device_of, dtype_name, largest_gap
from mechsteer.throughput.measure import Case, Device


def token_batch(
    shape: tuple[int, int, int], dtype: torch.dtype, device: Device = "cpu"
) -> tuple[Float[Tensor, "batch token neuron"], Bool[Tensor, "batch token"]]:
    """Activations of a batch of sentences of similar length, as batches are planned."""
    batch, token, _ = shape
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(shape, generator=generator).to(dtype)
    lengths = torch.randint(token - token // 8, token + 1, (batch,), generator=generator)
    lengths[0] = token
    return z.to(device), torch.arange(token) < lengths[:, None]


def pool_max(z: Tensor, mask: Tensor) -> Tensor:
    """The kernel under test."""
    pooled = pool_tokens(z, mask, how="max")
    assert isinstance(pooled, Tensor)
    return pooled


def pooling_case(
    method: str,
    run: Callable[[Tensor, Tensor], Tensor],
    z: Float[Tensor, "batch token neuron"],
    mask: Bool[Tensor, "batch token"],
    *,
    threads: int = 1,
) -> Case:
    """Take the maximum over real tokens."""
    expected = pool_tokens(z.cpu(), mask, backend="reference")
    assert isinstance(expected, Tensor)
    read = int(mask.sum()) * z.shape[2]
    return Case(
        "pool max",
        method,
        _token_shape(z),
        dtype_name(z.dtype),
        lambda: run(z, mask),
        lambda found: largest_gap(found, expected),
        0.0,
        elements=read,
        bytes=(read + expected.numel()) * z.element_size(),
        threads=threads,
        device=device_of(z),
    )


EditMethod = Callable[[Tensor, Tensor, Tensor], Callable[[Tensor], Tensor]]
"""Neurons, factors and offsets: what edits activations, in place or anew. Set up but once."""


def prepared(
    index: Tensor, a: Tensor, b: Tensor, *, inplace: bool = False
) -> Callable[[Tensor], Tensor]:
    """The kernel under test, as the steering scope installs it."""
    return partial(PreparedEdit(index, a, b).apply, inplace=inplace)


def edits_case(
    method: str,
    run: EditMethod,
    z: Float[Tensor, "batch token neuron"],
    k: int,
    *,
    inplace: bool,
    threads: int = 1,
) -> Case:
    """Clamp ``k`` neurons: in place the result is the same however often it runs."""
    index = torch.randperm(z.shape[2], generator=torch.Generator().manual_seed(4))[:k].sort().values
    a, b = torch.zeros(k), torch.linspace(-1, 1, k)
    expected = z.cpu().clone()
    for neuron, value in zip(index.tolist(), b.tolist(), strict=True):
        expected[:, :, neuron] = value
    index, a, b = (part.to(z.device) for part in (index, a, b))
    elements = k * z.shape[0] * z.shape[1]
    edit = run(index, a, b)
    return Case(
        "edit in place" if inplace else "edit",
        method,
        f"{_token_shape(z)}, {k} edited",
        dtype_name(z.dtype),
        lambda: edit(z),
        lambda found: largest_gap(found, expected),
        0.0,
        elements=elements,
        bytes=2 * (elements if inplace else z.numel()) * z.element_size(),
        threads=threads,
        device=device_of(z),
    )


def _token_shape(z: Tensor) -> str:
    return f"{z.shape[0]} sentences x {z.shape[1]} tokens x {z.shape[2]} neurons"
