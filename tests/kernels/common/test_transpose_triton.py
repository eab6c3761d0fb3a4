"""Sentence-major batches give the bits of neuron-major ones, turned over in pieces of any size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="without Triton there is nothing to launch")

from mechsteer.kernels.common import transpose_triton
from mechsteer.kernels.common.transpose_triton import neuron_major
from mechsteer.kernels.streaming import negative_counts_triton
from mechsteer.kernels.streaming.negative_counts import descending
from mechsteer.kernels.top_experts import backend_triton

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
pytestmark = pytest.mark.triton


def batch(n_sentences: int, n_neurons: int, dtype: torch.dtype, place: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(n_sentences)
    noise = torch.randn(n_sentences, n_neurons, generator=generator)
    return (noise * 4).round().div(-4).to(dtype).to(place)  # ties and negative zeros


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(2, 2), (1, 70), (5, 3), (64, 64), (65, 130), (130, 65)])
def test_the_bits_are_those_of_the_batch(
    place: torch.device, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    x = batch(*shape, dtype, place)
    row_bytes = -(-shape[0] // 16) * 16 * x.element_size()
    for most in (1, 3 * row_bytes, None):
        found = list(neuron_major(x.T, most=most))
        assert torch.equal(torch.cat([piece for _, piece in found]), x.T)
        for at, piece in found:
            assert piece.stride() == (-(-shape[0] // 16) * 16, 1)
            assert torch.equal(piece.signbit(), x.T[at].signbit())
        assert most != 1 or len(found) == -(-shape[1] // 2)


def test_a_part_of_wider_rows_is_turned_over(place: torch.device) -> None:
    x = batch(70, 100, torch.bfloat16, place)[3::2, 5:77]
    (only,) = neuron_major(x.T)
    assert torch.equal(only[1], x.T)


def test_rows_that_no_tile_helps_are_read_where_they_lie(place: torch.device) -> None:
    x = batch(6, 8, torch.float32, place)
    for rows in (x.T.contiguous(), x[:, ::2].T, x[:, :1].T.contiguous()):
        (found,) = neuron_major(rows)
        assert found[1] is rows


@pytest.fixture(params=[1, 1 << 20], ids=["pieces", "whole"])
def turned(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the pieces that were turned over, with room for few rows or for all."""
    sizes: list[int] = []
    plain: Callable[[Tensor, int], Tensor] = transpose_triton._turned

    def spy(rows: Tensor, stride: int) -> Tensor:
        sizes.append(len(rows))
        return plain(rows, stride)

    monkeypatch.setattr(transpose_triton, "_turned", spy)
    monkeypatch.setattr(transpose_triton, "cached_bytes", lambda _: request.param)
    return sizes


@pytest.mark.parametrize("form", ["histogram", "thresholds"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bounds_are_those_of_neuron_major_rows(
    place: torch.device, turned: list[int], dtype: torch.dtype, form: str
) -> None:
    x = batch(70, 5, dtype, place)
    positive = (torch.arange(70) % 3 == 0).to(place)
    expected, found = torch.empty(2, 2, 5, device=place)
    rows = x.T.contiguous()
    assert backend_triton.bound(expected[0], expected[1], rows, positive, form=form) == -1
    assert not turned
    assert backend_triton.bound(found[0], found[1], x.T, positive, form=form) == -1
    assert sum(turned) == 5 and torch.equal(found, expected)
    x[7, 3] = float("nan")
    assert backend_triton.bound(found[0], found[1], x.T, positive, form=form) == 3


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_counts_are_those_of_neuron_major_rows(
    place: torch.device, turned: list[int], dtype: torch.dtype
) -> None:
    x = batch(70, 5, dtype, place)
    positives = descending(batch(150, 5, dtype, place).T)
    states = []
    for rows in (x.T.contiguous(), x.T):
        assert not turned
        counts = torch.zeros(5, 151, dtype=torch.int32, device=place)
        ties = torch.zeros(5, dtype=torch.int64, device=place)
        assert negative_counts_triton.count(positives, counts, ties, rows, 1) == -1
        states.append((counts, ties))
    assert sum(turned) == 5 and states[0][0].sum() == 5 * 70
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    x[7, 3] = float("inf")
    assert negative_counts_triton.count(positives, *states[1], x.T, 1) == 3
