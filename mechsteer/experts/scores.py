"""Neurons as detectors: the scores of all of them, and the experts chosen from these.

Records alone: ``score`` makes them, and ``select``, ``controls``, ``significance`` and ``lape``
choose from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.corpus.languages import closest
from mechsteer.errors import MechsteerError
from mechsteer.experts.moments import Beside, Moments, each, picked
from mechsteer.kernels import Pooling, effect_size
from mechsteer.model.sites import Site

if TYPE_CHECKING:
    from mechsteer.model.identity import ModelIdentity

Criterion = Literal["ap", "auroc"]
STATISTICS = ("ap", "auroc", "mean", "median", "std", "rest_mean", "rest_std")  # tensors of scores


@dataclass(frozen=True)
class NeuronScores:
    """How well every neuron of a site detects every language, one-versus-rest.

    All tensors are float32 ``[language, neuron]``; neurons are numbered flat in the order of
    ``site.points``, layer by layer. ``mean``, ``median`` and ``std`` (ddof 1) describe the pooled
    activations on the language's own sentences, ``rest_mean`` and ``rest_std`` those on all others.
    ``beside`` has such moments of every other pooling that was recorded in the same pass, for edits
    that hold neurons at them. ``counts`` are sentences of each language, ``n_sentences`` all of
    them, those of negative-only languages included.

    Source: average precision after Suau et al. 2022 (2110.02802), AUROC after Suau et al. 2024
    (2407.12824) and Sundar et al. 2025 (2502.15639, section 3.2).
    """

    languages: tuple[str, ...]
    site: Site
    pooling: Pooling
    counts: tuple[int, ...]
    n_sentences: int
    ap: Float[Tensor, "language neuron"]
    auroc: Float[Tensor, "language neuron"]
    mean: Float[Tensor, "language neuron"]
    median: Float[Tensor, "language neuron"]
    std: Float[Tensor, "language neuron"]
    rest_mean: Float[Tensor, "language neuron"]
    rest_std: Float[Tensor, "language neuron"]
    model: ModelIdentity | None = None
    beside: Beside = field(default_factory=dict)

    @cached_property
    def effect_size(self) -> Float[Tensor, "language neuron"]:
        """Cohen's d, see ``mechsteer.kernels.effect_size``."""
        return effect_size(self.mean, self.std, self.rest_mean, self.rest_std)

    def prevalence(self, language: str) -> float:
        """Share of the sentences that are in ``language``: the average precision of chance."""
        return self.counts[self.row(language)] / self.n_sentences

    def row(self, language: str) -> int:
        """Row of ``language`` in every tensor.

        Raises:
            MechsteerError: the language was not scored; the closest ones are named.
        """
        if language not in self.languages:
            near = ", ".join(closest(language, self.languages)) or ", ".join(self.languages)
            raise MechsteerError(f"language {language!r} was not scored; closest: {near}")
        return self.languages.index(language)

    def top(self, language: str, k: int | float, *, by: Criterion = "ap") -> Experts:
        """The k neurons that detect ``language`` best.

        Order: score, descending; effect size, descending; then layer, then neuron. Scores saturate
        (many neurons can reach 1.0), so the number tied at the cut is kept in ``tied_at_cut``.

        Args:
            language: canonical code, one of ``self.languages``.
            k: a number of neurons (int), or a fraction of all neurons (float below 1).
            by: the criterion, ``"ap"`` or ``"auroc"``.

        Raises:
            MechsteerError: unknown language or criterion, or k outside ``[0, number of neurons]``.
        """
        count = self.resolve_k(k)
        chosen = self.ranking(language, by)[:count]
        tied = self.tied_with(int(chosen[-1]), language, by) if count else 0
        return self.take(language, chosen.tolist(), selection=f"top {count} by {by}", tied=tied)

    def ranking(self, language: str, by: Criterion = "ap") -> np.ndarray:
        """Flat numbers of all neurons, best first, in the order of ``top``.

        Raises:
            MechsteerError: unknown language or criterion.
        """
        if by not in ("ap", "auroc"):
            raise MechsteerError(f"expected by='ap' or by='auroc', got {by!r}")
        row = self.row(language)
        return np.lexsort([-self.effect_size[row].numpy(), -getattr(self, by)[row].numpy()])

    def tied_with(self, neuron: int, language: str, by: Criterion = "ap") -> int:
        """How many neurons of the site have the score of this one, itself included."""
        score = getattr(self, by)[self.row(language)]
        return int((score == score[neuron]).sum())

    def resolve_k(self, k: int | float) -> int:
        """Turn a number or a fraction of all neurons into a number of neurons."""
        return resolve_k(k, self.site.n_neurons)

    def take(
        self, language: str, index: Sequence[int], *, selection: str = "listed", tied: int = 0
    ) -> Experts:
        """An explicit list of neurons (flat numbers) with their scores for ``language``."""
        flat = torch.tensor(list(index), dtype=torch.int64)
        if len(set(index)) != len(index) or (len(index) and not self._holds(flat)):
            raise MechsteerError(
                f"expected distinct neuron numbers from 0 to {self.site.n_neurons - 1}"
            )
        row = self.row(language)
        columns = {name: getattr(self, name)[row, flat] for name in PER_EXPERT}
        beside = each(self.beside, lambda table: table[row, flat])
        return Experts(
            language, self.site, self.pooling, flat, selection, tied,
            model=self.model, beside=beside, **columns,
        )  # fmt: skip

    def _holds(self, flat: Int[Tensor, " expert"]) -> bool:
        return int(flat.min()) >= 0 and int(flat.max()) < self.site.n_neurons


def resolve_k(k: int | float, total: int) -> int:
    """Turn a number of neurons, or a fraction (float below 1) of ``total``, into a number.

    >>> resolve_k(0.1, 130), resolve_k(7, 130)
    (13, 7)
    """
    count = max(1, round(k * total)) if isinstance(k, float) and 0 < k < 1 else k
    if not 0 <= count <= total or count != int(count):
        raise MechsteerError(
            f"expected k as a number of neurons (0 to {total}) or a fraction below 1, got {k!r}"
        )
    return int(count)


PER_EXPERT = ("ap", "auroc", "effect_size", "mean", "median", "std")


@dataclass(frozen=True)
class Experts:
    """Chosen neurons of one language, in rank order, with what their edits need.

    ``index`` are flat neuron numbers of ``site``; the other tensors are float32 ``[expert]``. The
    statistics are of activations pooled as they were scored, those of ``beside`` of the other
    poolings that were recorded in the same pass.
    """

    language: str
    site: Site
    pooling: Pooling
    index: Int[Tensor, " expert"]
    selection: str
    tied_at_cut: int
    ap: Float[Tensor, " expert"]
    auroc: Float[Tensor, " expert"]
    effect_size: Float[Tensor, " expert"]
    mean: Float[Tensor, " expert"]
    median: Float[Tensor, " expert"]
    std: Float[Tensor, " expert"]
    model: ModelIdentity | None = None
    beside: Beside = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.index)

    def pick(self, rows: Sequence[int], *, selection: str | None = None) -> Experts:
        """Some of the experts, by their places in rank order."""
        kept = torch.tensor(list(rows), dtype=torch.int64)
        columns = {name: getattr(self, name)[kept] for name in ("index", *PER_EXPERT)}
        beside = picked(self.beside, kept)
        return replace(self, selection=selection or self.selection, beside=beside, **columns)

    def statistic(self, name: str, pooling: Pooling) -> Tensor:
        """Mean or median of each expert over the language's sentences, pooled in one way.

        Raises:
            MechsteerError: that pooling was not recorded with the scores.
        """
        if pooling != self.pooling and pooling not in self.beside:
            known = ", ".join((self.pooling, *self.beside))
            raise MechsteerError(
                f"expected a pooling that was recorded with the scores ({known}), got {pooling!r}: "
                f'score again with also_pooling="{pooling}" (a new run with --also-pooling '
                f"{pooling}), or take pooling={self.pooling!r}"
            )
        source: Experts | Moments = self if pooling == self.pooling else self.beside[pooling]
        found: Tensor = getattr(source, name)
        return found

    def in_layer(self, layer: int) -> Experts:
        """The experts of one layer, in rank order; there may be none."""
        places = [self.site.locate(flat)[1] for flat in self.index.tolist()]
        rows = [row for row, place in enumerate(places) if place == layer]
        return self.pick(rows, selection=f"{self.selection}, layer {layer}")

    def table(self) -> pd.DataFrame:
        """One row an expert: language, rank, component, layer, neuron, scores and statistics."""
        places = [self.site.locate(flat) for flat in self.index.tolist()]
        components, layers, neurons = zip(*places, strict=True) if places else ((), (), ())
        head = {"language": self.language, "rank": range(1, len(self) + 1)}
        where = {"component": components, "layer": layers, "neuron": neurons}
        return pd.DataFrame(
            head | where | {name: getattr(self, name).numpy() for name in PER_EXPERT}
        )
