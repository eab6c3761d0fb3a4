"""What is timed: inputs as a model makes them, and each operation on them with its reference.

Methods of one operation share a signature, so that ours and everyone else's run on the same data
and are judged by the same reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechsteer.kernels import (
    PreparedEdit,
    neighbours,
    pool_tokens,
    score,
    score_labelings,
)
from mechsteer.throughput.measure import Case, Device

ScoringMethod = Callable[[Tensor, Tensor, int], Tensor]
"""Rows ``[neuron, sentence]``, labels and the languages to score: ``[score, language, neuron]``."""

_SAMPLED = 3  # neurons of a result that are compared with scikit-learn's


def activations(
    n_sentences: int, n_neurons: int, dtype: torch.dtype, device: Device = "cpu"
) -> Float[Tensor, "neuron sentence"]:
    """Neuron-major normal activations, a tenth of them shifted for the first third."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.empty(n_neurons, n_sentences, dtype=dtype)
    for piece in torch.split(rows, 1000):
        noise = torch.randn(piece.shape, generator=generator) * 0.1 + 0.02
        noise[: len(piece) // 10, : n_sentences // 3] += 0.1
        piece.copy_(noise)
    return rows.to(device)


def labelling(n_sentences: int, languages: int) -> Int[Tensor, "sentence"]:
    """Languages of equal size in shuffled order; one language stands against all others."""
    shuffled = torch.randperm(n_sentences, generator=torch.Generator().manual_seed(1))
    return (shuffled % 3 > 0).long() if languages == 1 else shuffled % languages


@dataclass(frozen=True)
class Recording:
    """Activations to score, with the right scores of the first few neurons."""

    rows: Float[Tensor, "neuron sentence"]
    labels: Int[Tensor, "sentence"]
    languages: int
    expected: Float[Tensor, "score language sampled"]

    @classmethod
    def make(
        cls,
        n_sentences: int,
        n_neurons: int,
        languages: int,
        dtype: torch.dtype = torch.bfloat16,
        device: Device = "cpu",
    ) -> Recording:
        """Draw activations and ask scikit-learn."""
        rows = activations(n_sentences, n_neurons, dtype, device)
        labels = labelling(n_sentences, languages)
        return cls(rows, labels, languages, scikit_learn(rows[:_SAMPLED], labels, languages))

    def first(self, n_neurons: int) -> Recording:
        """The same for fewer neurons: loops over neurons need not be waited for."""
        return replace(self, rows=self.rows[:n_neurons])

    def sentence_major(self) -> Recording:
        """The same with each sentence's neurons side by side in memory."""
        return replace(self, rows=self.rows.T.contiguous().T)


def scikit_learn(rows: Tensor, labels: Tensor, languages: int) -> Tensor:
    """One call for each neuron, language and score."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    values, found = rows.float().cpu().numpy(), labels.cpu().numpy()
    table = [
        [[metric(found == language, row) for row in values] for language in range(languages)]
        for metric in (average_precision_score, roc_auc_score)
    ]
    return torch.from_numpy(np.array(table))


def ours(
    rows: Tensor, labels: Tensor, languages: int, *, backend: Any = "auto", moments: bool = False
) -> Tensor:
    """The kernel under test, in the shape of its peers."""
    found = score(rows.T, labels, backend=backend, moments=moments)
    return torch.stack([found.ap, found.auroc])[:, :languages]


def scoring_case(
    method: str,
    run: ScoringMethod,
    recording: Recording,
    *,
    op: str = "score",
    tolerance: float = 1e-6,
    threads: int = 1,
    processes: bool = False,
) -> Case:
    """Score a recording; a method may return AP alone, or fewer languages."""
    rows, labels, languages = recording.rows, recording.labels, recording.languages
    n_neurons, n_sentences = rows.shape
    layout = "" if rows.is_contiguous() else ", sentence-major"

    def error(found: Tensor) -> float:
        few = found[..., : recording.expected.shape[2]]
        scores, scored, neurons = few.shape
        return _largest(few, recording.expected[:scores, :scored, :neurons])

    return Case(
        op,
        method,
        f"{n_sentences} sentences x {n_neurons} neurons x {languages} languages{layout}",
        _name(rows.dtype),
        lambda: run(rows, labels, languages),
        error,
        tolerance,
        elements=rows.numel(),
        bytes=rows.nbytes + 8 * languages * n_neurons,
        threads=threads,
        device=_device(rows),
        processes=processes,
    )


def labelings_case(rows: Float[Tensor, "neuron sentence"], count: int, *, threads: int = 1) -> Case:
    """Score random labelings of a third of the sentences."""
    n_neurons, n_sentences = rows.shape
    member = torch.rand(count, n_sentences, generator=torch.Generator().manual_seed(2)) < 1 / 3
    member[:, :2] = torch.tensor([True, False])

    def error(found: Any) -> float:
        few = rows[:_SAMPLED]
        expected = torch.cat([scikit_learn(few, (~own).long(), 1) for own in member[:2]], 1)
        return _largest(torch.stack([found.ap, found.auroc])[:, :2, :_SAMPLED], expected)

    return Case(
        "labelings",
        "mechsteer",
        f"{n_sentences} sentences x {n_neurons} neurons x {count} labelings",
        _name(rows.dtype),
        lambda: score_labelings(rows.T, member),
        error,
        1e-6,
        elements=rows.numel() * count,
        bytes=rows.nbytes + member.nbytes + 8 * count * n_neurons,
        threads=threads,
        device=_device(rows),
    )


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
        _name(z.dtype),
        lambda: run(z, mask),
        lambda found: _largest(found, expected),
        0.0,
        elements=read,
        bytes=(read + expected.numel()) * z.element_size(),
        threads=threads,
        device=_device(z),
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
        _name(z.dtype),
        lambda: edit(z),
        lambda found: _largest(found, expected),
        0.0,
        elements=elements,
        bytes=2 * (elements if inplace else z.numel()) * z.element_size(),
        threads=threads,
        device=_device(z),
    )


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
        _name(x.dtype),
        lambda: run(x, y),
        lambda found: float((found.cpu() != expected).sum()),
        0.0,
        elements=size[0] ** 2,
        bytes=2 * x.nbytes,
        flops=2 * size[0] ** 2 * size[1],
        threads=threads,
        device=device,
    )


def _largest(found: Tensor, expected: Tensor) -> float:
    return float((found.double().cpu() - expected.double()).abs().max())


def _token_shape(z: Tensor) -> str:
    return f"{z.shape[0]} sentences x {z.shape[1]} tokens x {z.shape[2]} neurons"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _device(x: Tensor) -> Device:
    return "cuda" if x.is_cuda else "cpu"
