"""Neurons as detectors: the scores of all of them, and the experts chosen from these.

Records alone: ``score`` makes them, and ``select``, ``controls``, ``significance`` and ``lape``
choose from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.corpus.names.languages import closest, script_of
from mechsteer.corpus.names.naming import name_or_none
from mechsteer.display import Displayed, count
from mechsteer.equality import ByValue
from mechsteer.errors import MechsteerError, shown
from mechsteer.experts.among import alone, require_within, whom
from mechsteer.experts.chosen import PER_EXPERT, Experts
from mechsteer.experts.moments import Beside, each
from mechsteer.kernels import Pooling, effect_size
from mechsteer.model.sites import Site
from mechsteer.options.ranking import Criterion, Within

if TYPE_CHECKING:
    from mechsteer.model.identity import ModelIdentity

__all__ = ["PER_EXPERT", "STATISTICS", "Experts", "NeuronScores", "resolve_k"]
STATISTICS = ("ap", "auroc", "mean", "median", "std", "rest_mean", "rest_std")  # tensors of scores


@dataclass(frozen=True, eq=False, repr=False)
class NeuronScores(Displayed, ByValue):
    """How well every neuron of a site detects every language, one-versus-rest.

    All tensors are float32 ``[language, neuron]``; neurons are numbered flat in the order of
    ``site.points``, layer by layer. ``mean``, ``median`` and ``std`` (ddof 1) describe the pooled
    activations on the language's own sentences, ``rest_mean`` and ``rest_std`` those on all others.
    ``beside`` has such moments of every other pooling that was recorded in the same pass, for edits
    that hold neurons at them. ``counts`` are sentences of each language, ``n_sentences`` all of
    them, those of negative-only languages included. ``scripts`` has, by script (ISO 15924), the
    scores among the languages of that script alone, negative-only ones included; scripts of a
    single language are absent. ``label`` is what the ``languages`` are called where they are none:
    labels of any column, concepts that overlap.

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
    scripts: Mapping[str, NeuronScores] = field(default_factory=dict)
    label: str = ""

    @cached_property
    def effect_size(self) -> Float[Tensor, "language neuron"]:
        """Cohen's d, see ``mechsteer.kernels.effect_size``."""
        return effect_size(self.mean, self.std, self.rest_mean, self.rest_std)

    def prevalence(self, language: str, *, within: Within = "all") -> float:
        """Share of the sentences that are in ``language``: the average precision of chance."""
        language, own = self.name_of(language), self.among(language, within)
        return own.counts[own.row(language)] / own.n_sentences

    def has_peers(self, language: str) -> bool:
        """Whether another language of its script was recorded, so that it is scored among these."""
        language = self.name_of(language)
        own = self.scripts.get(script_of(language))
        return own is not None and language in own.languages

    def among(self, language: str, within: Within = "all") -> NeuronScores:
        """The scores that hold ``language`` against all others, or against those of its script.

        Raises:
            MechsteerError: a language that was not scored, another word for ``within``, or no other
                language of its script.
        """
        language = self.name_of(language)
        require_within(within)
        if within == "all":
            return self
        if not self.has_peers(language):
            raise MechsteerError(alone(language))
        return self.scripts[script_of(language)]

    def row(self, language: str) -> int:
        """Row of ``language`` in every tensor.

        Raises:
            MechsteerError: the language was not scored; the closest ones are named.
        """
        return self.languages.index(self.name_of(language))

    def name_of(self, language: str) -> str:
        """The scored language that a code means, in any form that a corpus takes (``fr``).

        Raises:
            MechsteerError: the language was not scored; the closest ones are named.
        """
        if language in self.languages:
            return language
        known = isinstance(language, str) and not self.label
        name = name_or_none(language) if known else None
        if name is None or name not in self.languages:
            near = ", ".join(closest(str(language), self.languages)) or ", ".join(self.languages)
            raise MechsteerError(f"{self.kind} {shown(language)} was not scored; closest: {near}")
        return name

    def top(
        self, language: str, k: int | float, *, by: Criterion = "ap", within: Within = "all"
    ) -> Experts:
        """The k neurons that detect ``language`` best.

        Order: score, descending; effect size, descending; then layer, then neuron. Scores saturate
        (many neurons can reach 1.0), so the number tied at the cut is kept in ``tied_at_cut``.

        Args:
            language: a code of one of ``self.languages``.
            k: a number of neurons (int), or a fraction of all neurons (float below 1).
            by: the criterion, ``"ap"`` or ``"auroc"``.
            within: whom the language is told from: ``"all"`` others, or those of its own
                ``"script"``.

        Raises:
            MechsteerError: unknown language or criterion, no other language of the script, or k
                outside ``[0, number of neurons]``.
        """
        language, n = self.name_of(language), self.resolve_k(k)
        judged = self.among(language, within)
        chosen = judged.ranking(language, by)[:n]
        tied = judged.tied_with(int(chosen[-1]), language, by) if n else 0
        selection = f"top {n} by {by}{whom(language, within)}"
        return self.take(language, chosen.tolist(), selection=selection, tied=tied)

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
        language, row = self.name_of(language), self.row(language)
        columns: Any = {name: getattr(self, name)[row, flat] for name in PER_EXPERT}
        if self.has_peers(language):
            own = self.among(language, "script")
            columns["script_ap"] = own.ap[own.row(language), flat]
        beside = each(self.beside, lambda table: table[row, flat])
        return Experts(
            language, self.site, self.pooling, flat, selection, tied,
            model=self.model, beside=beside, **columns,
        )  # fmt: skip

    def table(self, language: str | None = None) -> pd.DataFrame:
        """One row a neuron and language, as ``Experts.table``, neurons in their flat order.

        Args:
            language: one of them alone; all by default.
        """
        codes = self.languages if language is None else (self.name_of(language),)
        flat = range(self.site.n_neurons)
        tables = [self.take(code, flat).table().drop(columns="rank") for code in codes]
        return pd.concat(tables, ignore_index=True)

    @property
    def kind(self) -> str:
        """What one of ``languages`` is: ``"language"`` or ``"label"``."""
        return "label" if self.label else "language"

    def _line(self) -> str:
        sizes = f"{count(len(self.languages), self.kind)} × {count(self.site.n_neurons, 'neuron')}"
        pooled = f"{self.pooling}-pooled over {count(self.n_sentences, 'sentence')}"
        return f"{self.site.name}: {sizes}, {pooled}"

    def _shown(self) -> pd.DataFrame:
        """The best neuron of every language, and how many sentences it was found on."""
        best = pd.concat([self.top(code, 1).table() for code in self.languages])
        chance = [self.prevalence(code) for code in self.languages]
        columns = ["language", "component", "layer", "neuron", "ap", "auroc"]
        return best[columns].assign(sentences=self.counts, prevalence=chance)

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
