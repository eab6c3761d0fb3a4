"""Scores from batches that are not kept, beside keeping all of them and scoring once.

An update reads all positives however small its batch is: its cost is shown by the batch's size.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mechsteer.kernels import BinnedScores, KeyCounts, StreamingScores, quantile_edges
from mechsteer.throughput.cases import ScoringInput, ours, scoring_case
from mechsteer.throughput.measure import Case, Device

BATCH = 1000
POSITIVES, UPDATES = 1000, (256, 1024, 4096)  # sentences
_SAMPLED = 3  # neurons whose counts are compared with the reference


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


def update_case(rows: Tensor, size: int) -> Case:
    """Count one batch again and again: after r times, r times the counts of the reference."""
    negatives = rows[:, POSITIVES : POSITIVES + size].contiguous().T
    stream = StreamingScores.from_positives(rows[:, :POSITIVES].T)
    few = StreamingScores.from_positives(rows[:_SAMPLED, :POSITIVES].T.cpu(), backend="reference")
    few.update(negatives[:, :_SAMPLED].cpu())
    expected = few.state()

    def run() -> StreamingScores:
        stream.update(negatives)
        return stream

    def error(found: StreamingScores) -> float:
        times, now = found.n_negatives // size, found.state()
        parts = ((now[part][:_SAMPLED].cpu(), expected[part]) for part in ("counts", "ties"))
        return max(float((counted - times * once).abs().max()) for counted, once in parts)

    return Case(
        "streaming update",
        "StreamingScores",
        f"{size} sentences x {len(rows)} neurons, {POSITIVES} positives",
        str(rows.dtype).removeprefix("torch."),
        run,
        error,
        0.0,
        elements=negatives.numel(),
        bytes=negatives.nbytes + stream.nbytes,
        device="cuda" if rows.is_cuda else "cpu",
    )


def batch(n_sentences: int, n_neurons: int, device: Device) -> Iterator[list[Case]]:
    """Every method, by type; only 16-bit activations have few keys."""
    for dtype in (torch.bfloat16, torch.float32):
        recording = ScoringInput.make(n_sentences, n_neurons, 1, dtype, device)
        yield [
            scoring_case(name, run, recording, op="streaming", tolerance=_TOLERANCE.get(run, 1e-6))
            for name, run in METHODS.items()
            if run is not key_counts or dtype == torch.bfloat16
        ]
        yield [update_case(recording.rows, size) for size in UPDATES]


def cpu() -> Iterator[list[Case]]:
    """Ten batches."""
    yield from batch(10_000, 200, "cpu")


def cuda() -> Iterator[list[Case]]:
    """The sentences of several corpora; one-shot scoring takes them in its own way."""
    yield from batch(20_000, 2048, "cuda")
