"""The k best neurons of one language, beside scoring all of them and torch.topk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks import peers
from mechsteer.kernels import score, top_experts
from mechsteer.throughput.cases import ScoringInput, ours
from mechsteer.throughput.measure import Case, Device

TopMethod = Callable[[Tensor, Tensor, int], Tensor]
"""Rows, labels and k: the k best average precisions of label 0, best first."""


def pruned(rows: Tensor, labels: Tensor, k: int) -> Tensor:
    """The kernel under test."""
    return top_experts(rows.T, labels == 0, k).ap


def scored(rows: Tensor, labels: Tensor, k: int) -> Tensor:
    """Our own scores of all neurons, then torch.topk."""
    return ours(rows, labels, 1)[0, 0].topk(k).values


def sorted_all(rows: Tensor, labels: Tensor, k: int) -> Tensor:
    """Tie-exact torch.sort of all neurons, then torch.topk."""
    return peers.torch_sort(rows, labels, 1)[0, 0].topk(k).values


METHODS: dict[str, TopMethod] = {
    "mechsteer": pruned,
    "mechsteer score and torch.topk": scored,
    "torch.sort and torch.topk": sorted_all,
}


def top_case(method: str, run: TopMethod, recording: ScoringInput, k: int) -> Case:
    """Compare the best scores with those of numpy's path."""
    rows, labels = recording.rows, recording.labels
    every = score(rows.T.cpu(), labels, backend="numpy", moments=False).ap[0]
    expected = every.topk(k).values
    return Case(
        "top experts",
        method,
        f"{rows.shape[1]} sentences x {rows.shape[0]} neurons, {k} best",
        str(rows.dtype).removeprefix("torch."),
        lambda: run(rows, labels, k),
        lambda found: float((found.cpu() - expected).abs().max()),
        1e-6,
        elements=rows.numel(),
        bytes=rows.nbytes,
        device="cuda" if rows.is_cuda else "cpu",
    )


def batch(n_neurons: int, sorted_neurons: int, device: Device) -> Iterator[list[Case]]:
    """The best 0.2 %, by type; the sort has fewer neurons."""
    for dtype in (torch.bfloat16, torch.float32):
        recording = ScoringInput.make(3000, n_neurons, 1, dtype, device)
        few = replace(recording, rows=recording.rows[:sorted_neurons])
        yield [
            top_case(name, run, few if run is sorted_all else recording, n_neurons // 500)
            for name, run in METHODS.items()
        ]


def cpu() -> Iterator[list[Case]]:
    """A small model's neurons."""
    yield from batch(8000, 200, "cpu")


def cuda() -> Iterator[list[Case]]:
    """A layer's neurons."""
    yield from batch(16_384, 4096, "cuda")
