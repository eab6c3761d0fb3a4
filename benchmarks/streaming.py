"""Scores from batches that are not kept, beside keeping all of them and scoring once."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mechsteer.kernels import BinnedScores, KeyCounts, StreamingScores, quantile_edges
from mechsteer.throughput.cases import Recording, ours, scoring_case
from mechsteer.throughput.measure import Case, Device

BATCH = 1000


def streamed(rows: Tensor, labels: Tensor, languages: int) -> Tensor:
    """Positives of the first language kept, all others counted as they come."""
    member = (labels == 0).to(rows.device)
    stream = StreamingScores.from_positives(rows[:, member].T)
    for batch in rows[:, ~member].split(BATCH, dim=1):
        stream.update(batch.T)
    found = stream.result()
    return torch.stack([found.ap, found.auroc])


def key_counts(rows: Tensor, labels: Tensor, languages: int) -> Tensor:
    """Every 16-bit activation counted by key and language."""
    counts = KeyCounts(len(rows), int(labels.max()) + 1, rows.dtype, device=rows.device)
    for batch, own in zip(rows.split(BATCH, dim=1), labels.split(BATCH), strict=True):
        counts.update(batch.T, own)
    found = counts.result()
    return torch.stack([found.ap, found.auroc])[:, :languages]


def binned(rows: Tensor, labels: Tensor, languages: int) -> Tensor:
    """The middle of the bounds from 64 bins; approximate."""
    edges = quantile_edges(rows[:, :BATCH].T, 64)
    scores = BinnedScores(edges, n_neurons=len(rows), n_classes=int(labels.max()) + 1)
    for batch, own in zip(rows.split(BATCH, dim=1), labels.split(BATCH), strict=True):
        scores.update(batch.T, own)
    found = scores.result()
    return torch.stack([found.ap.estimate, found.auroc.estimate])[:, :languages]


METHODS = {
    "score, nothing streamed": ours,
    "StreamingScores": streamed,
    "KeyCounts": key_counts,
    "BinnedScores, 64 bins, approximate": binned,
}
_TOLERANCE = {binned: 0.05}  # within its own bounds, which are wider the fewer the bins


def batch(n_sentences: int, n_neurons: int, device: Device) -> Iterator[list[Case]]:
    """Every method, by type; only 16-bit activations have few keys."""
    for dtype in (torch.bfloat16, torch.float32):
        recording = Recording.make(n_sentences, n_neurons, 1, dtype, device)
        yield [
            scoring_case(name, run, recording, op="streaming", tolerance=_TOLERANCE.get(run, 1e-6))
            for name, run in METHODS.items()
            if run is not key_counts or dtype == torch.bfloat16
        ]


def cpu() -> Iterator[list[Case]]:
    """Ten batches."""
    yield from batch(10_000, 200, "cpu")


def cuda() -> Iterator[list[Case]]:
    """The sentences of several corpora; one-shot scoring takes them in its own way."""
    yield from batch(20_000, 2048, "cuda")
