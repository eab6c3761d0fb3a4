"""What a permutation test can find and what it costs, known before it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ..common.backends import Backend, choose_backend

__all__ = ["PermutationPlan", "plan_permutations"]

LABEL_SETS, NEURONS = 1024, 4096
"""Relabelings and neurons scored at a time."""

_SECONDS = {"cpu": 0.25e-9, "numpy": 10e-9, "reference": 1e-6}
"""Processor time for an activation and label set, measured on an AMD EPYC with N = 3000."""


@dataclass(frozen=True)
class PermutationPlan:
    """``str()`` says it in a sentence.

    ``n_tests`` neurons are tested for each of ``n_targets`` classes, on ``n_nulls`` null
    distributions of ``draws`` values. No p is below ``resolution``; at the false discovery rate
    ``fdr``, neurons can be significant only if at least ``fewest_significant`` of a class are, none
    if that is more than ``n_tests``. ``seconds`` is a rough guess for this machine's threads, None
    for a backend whose speed is not known; ``n_bytes`` the memory beyond the activations.
    """

    n_tests: int
    n_targets: int
    n_nulls: int
    draws: int
    resolution: float
    fdr: float
    fewest_significant: int
    n_bytes: int
    seconds: float | None

    def __str__(self) -> str:
        """Tests, resolution, what can be significant, memory and time."""
        reach = (
            f"needs at least {self.fewest_significant:,} significant together"
            if self.fewest_significant <= self.n_tests
            else f"is out of reach: take more than {math.ceil(1 / self.fdr) - 1:,} draws"
        )
        time = "unknown time" if self.seconds is None else f"about {self.seconds:,.1f} s"
        return (
            f"permutation test of {self.n_tests:,} neurons x {self.n_targets} classes, "
            f"{self.draws:,} draws for each of {self.n_nulls:,} nulls: smallest p "
            f"{self.resolution:.3g}; a false discovery rate of {self.fdr:g} {reach}; "
            f"{self.n_bytes / 1e6:,.0f} MB, {time}"
        )


def plan_permutations(
    n_sentences: int,
    n_neurons: int,
    *,
    n_targets: int = 1,
    n_nulls: int | None = None,
    draws: int = 1000,
    fdr: float = 0.05,
    backend: Backend = "auto",
) -> PermutationPlan:
    """Plan a ``permutation_test`` of that size.

    The k-th smallest of n p-values must be at most ``fdr · k / n`` for k neurons to be significant,
    and none is below ``1 / (1 + draws)``: so k is at least ``n / (fdr · (1 + draws))``.

    Args:
        n_sentences: Sentences.
        n_neurons: Tests of each class.
        n_targets: Classes tested.
        n_nulls: Null distributions: one a neuron, or fewer where they are shared.
        draws: Values of each null.
        fdr: False discovery rate.
        backend: Where it would run.

    >>> print(plan_permutations(3000, 458_752, draws=1000, backend="numpy").fewest_significant)
    9166
    """
    resolution = 1 / (1 + draws)
    nulls = n_neurons if n_nulls is None else n_nulls
    label_sets = draws * n_targets
    chosen = backend
    if backend != "triton":  # what it would need is not here yet
        chosen = choose_backend(backend, torch.empty(0), has_numpy=True)
    cost = _SECONDS.get(chosen)
    work = n_sentences * nulls * label_sets / (torch.get_num_threads() if chosen == "cpu" else 1)
    together = min(label_sets, max(LABEL_SETS, n_targets))
    return PermutationPlan(
        n_tests=n_neurons,
        n_targets=n_targets,
        n_nulls=nulls,
        draws=draws,
        resolution=resolution,
        fdr=fdr,
        fewest_significant=math.ceil(n_neurons * resolution / fdr - 1e-9),
        n_bytes=together * (18 * n_sentences + 12 * min(nulls, NEURONS))
        + 40 * n_targets * n_neurons,
        seconds=None if cost is None else work * cost,
    )
