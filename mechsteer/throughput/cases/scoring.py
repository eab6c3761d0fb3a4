"""Activations to score, as a model makes them, and the scores that scikit-learn gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.kernels import score, score_labelings
from mechsteer.throughput.cases.common import device_of, dtype_name, largest_gap
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
class ScoringInput:
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
    ) -> ScoringInput:
        """Draw activations and ask scikit-learn."""
        rows = activations(n_sentences, n_neurons, dtype, device)
        labels = labelling(n_sentences, languages)
        return cls(rows, labels, languages, scikit_learn(rows[:_SAMPLED], labels, languages))

    def first(self, n_neurons: int) -> ScoringInput:
        """The same for fewer neurons: loops over neurons need not be waited for."""
        return replace(self, rows=self.rows[:n_neurons])

    def sentence_major(self) -> ScoringInput:
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
    given: ScoringInput,
    *,
    op: str = "score",
    tolerance: float = 1e-6,
    threads: int = 1,
    processes: bool = False,
) -> Case:
    """Score a recording; a method may return AP alone, or fewer languages."""
    rows, labels, languages = given.rows, given.labels, given.languages
    n_neurons, n_sentences = rows.shape
    layout = "" if rows.is_contiguous() else ", sentence-major"

    def error(found: Tensor) -> float:
        few = found[..., : given.expected.shape[2]]
        scores, scored, neurons = few.shape
        return largest_gap(few, given.expected[:scores, :scored, :neurons])

    return Case(
        op,
        method,
        f"{n_sentences} sentences x {n_neurons} neurons x {languages} languages{layout}",
        dtype_name(rows.dtype),
        lambda: run(rows, labels, languages),
        error,
        tolerance,
        elements=rows.numel(),
        bytes=rows.nbytes + 8 * languages * n_neurons,
        threads=threads,
        device=device_of(rows),
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
        return largest_gap(torch.stack([found.ap, found.auroc])[:, :2, :_SAMPLED], expected)

    return Case(
        "labelings",
        "mechsteer",
        f"{n_sentences} sentences x {n_neurons} neurons x {count} labelings",
        dtype_name(rows.dtype),
        lambda: score_labelings(rows.T, member),
        error,
        1e-6,
        elements=rows.numel() * count,
        bytes=rows.nbytes + member.nbytes + 8 * count * n_neurons,
        threads=threads,
        device=device_of(rows),
    )
