"""From measured conditions to the tidy table: one row an observation, with its interval."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechsteer.analysis.proportions import proportion_interval
from mechsteer.analysis.retrieval import by_pair
from mechsteer.analysis.statistics import bootstrap_mean, holm, mcnemar
from mechsteer.studies.conditions import BASE, BASELINES, Condition, Kind
from mechsteer.studies.measurements import Measurements
from mechsteer.studies.quality import QUALITIES
from mechsteer.studies.results import COLUMNS

HITS = {"retrieval_top1": "top1", "retrieval_margin": "margin", "mexa": "mexa"}


def tabulate(
    measured: Mapping[Condition, Measurements],
    languages: Sequence[str],
    *,
    targets: Sequence[str],
    pairs_at: Collection[int] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows of every condition: means and intervals per layer, over pairs, per language, per pair.

    A share of one pair's sentences has the exact interval of a proportion
    (``mechsteer.analysis.proportion_interval``); so has a mean over pairs to which no sentence
    contributes, or every one all it can. Other means, and all differences, have 95 % percentile
    bootstraps over sentence ids, the same resamples for every cell and condition.
    ``METRIC.delta`` is the paired difference to the base, ``METRIC.vs_centring`` that of an edit to
    centring (means only, no single pairs; likewise ``vs_dimensions`` and ``vs_standardisation``),
    and ``retrieval_top1.p`` the p-value of the first for a
    pair: exact McNemar, Holm-corrected over all ordered pairs of the condition and layer. Sources
    and targets ``*`` are means over ordered pairs of different languages. Everything is counted in
    whole numbers, so a difference of 0 is exactly that. Distances, p-values and qualities of a
    space (``mechsteer.studies.quality``) have no interval.

    Args:
        measured: the conditions; differences need the base among them.
        languages: those of the measurements, in order.
        targets: steered languages, for the distances of conditions that have none of their own.
        pairs_at: layers whose single pairs get rows; all by default. They are most of the table.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    some = None if pairs_at is None else sorted(set(pairs_at))
    cells = _Cells(tuple(languages), some, {"resamples": resamples, "seed": seed})
    base = measured.get(BASE)
    baselines = [known for known in BASELINES if known in measured]
    frames = []
    for condition, own in measured.items():
        rows = [
            *_hit_rows(cells, own),
            *(_delta_rows(cells, own, base) if base and condition != BASE else ()),
            *(
                frame
                for known in (baselines if condition.kind == "edit" else ())
                for frame in _beyond_rows(cells, own, measured[known], known.kind)
            ),
            _distance_rows(own, languages, [condition.language] if condition.language else targets),
            *(_quality_rows(own) if own.quality is not None else ()),
        ]
        frames += [frame.assign(**condition.columns())[list(COLUMNS)] for frame in rows]
    whole: pd.DataFrame = pd.concat(frames, ignore_index=True)
    return whole


@dataclass(frozen=True)
class _Cells:
    """Which cells a table has of one layer: all pairs, each source, each target, each pair.

    Attributes:
        languages: in the order of the measurements.
        pairs_at: layers whose single pairs get rows, all where it is None.
        draws: of the bootstrap.
    """

    languages: tuple[str, ...]
    pairs_at: Sequence[int] | None
    draws: Mapping[str, int]

    @property
    def means(self) -> int:
        """How many cells are means over pairs; they come first."""
        return 1 + 2 * len(self.languages)

    @property
    def named(self) -> tuple[list[str], list[str]]:
        """Source and target of each cell."""
        pairs, stars = list(permutations(self.languages, 2)), ["*"] * len(self.languages)
        source = ["*", *self.languages, *stars, *(s for s, _ in pairs)]
        return source, ["*", *stars, *self.languages, *(t for _, t in pairs)]

    @property
    def size(self) -> Int[Tensor, " cell"]:
        """How many pairs each cell is over."""
        n = len(self.languages)
        return torch.tensor([n * (n - 1), *[n - 1] * (2 * n), *[1] * (n * (n - 1))])

    def count(
        self, hits: Bool[Tensor, "layer source target sentence"]
    ) -> Int[Tensor, "sentence layer cell"]:
        """Hits of each sentence in each cell, whole numbers from 0 to ``size``."""
        different = ~torch.eye(hits.shape[1], dtype=torch.bool)
        counts = hits.int() * different[:, :, None]  # of all pairs: half the memory of int64
        kind = torch.int32
        over = counts.sum((1, 2), dtype=kind)[:, None]
        parts = (
            over, counts.sum(2, dtype=kind), counts.sum(1, dtype=kind), counts[:, different]
        )  # fmt: skip
        return rearrange(torch.cat(parts, dim=1), "layer cell sentence -> sentence layer cell")

    def rows(
        self, counts: Int[Tensor, "sentence layer cell"], *, shares: bool, pairs: bool = True
    ) -> pd.DataFrame:
        """Means in every layer, single pairs in those asked for; ``shares`` are not differences.

        Pairs are drawn a layer at a time, since their resamples are most of the memory; the same
        numbers, for whole counts add up exactly.
        """
        layers = range(counts.shape[1])
        some = layers if self.pairs_at is None else self.pairs_at
        parts = [(list(layers), slice(self.means))]
        parts += [([at], slice(self.means, None)) for at in some] if pairs else []
        frames = [self._part(counts[:, at, cells], at, cells, shares) for at, cells in parts]
        return pd.concat(frames, ignore_index=True)

    def _part(
        self,
        counts: Int[Tensor, "sentence layer cell"],
        layers: Sequence[int],
        cells: slice,
        shares: bool,
    ) -> pd.DataFrame:
        n, size = len(counts), self.size[cells]
        found = bootstrap_mean(rearrange(counts, "n layer cell -> n (layer cell)"), **self.draws)
        value, low, high = (
            end.reshape(len(layers), -1) / size for end in (found.value, found.low, found.high)
        )
        if shares:
            low, high = _exact_ends(counts, size, low, high)
        source, target = (names[cells] for names in self.named)
        return pd.DataFrame(
            {
                "layer": np.repeat(layers, len(source)),
                "source": [*source] * len(layers),
                "target": [*target] * len(layers),
                "value": value.flatten().numpy(),
                "ci_low": low.flatten().numpy(),
                "ci_high": high.flatten().numpy(),
                "n": n,
            }
        )


def _exact_ends(
    counts: Int[Tensor, "sentence layer cell"],
    size: Int[Tensor, " cell"],
    low: Float[Tensor, "layer cell"],
    high: Float[Tensor, "layer cell"],
) -> tuple[Float[Tensor, "layer cell"], Float[Tensor, "layer cell"]]:
    """The ends of a proportion where sentences hit or miss; a bootstrap of no spread has none.

    Where no sentence contributes to a mean, its rate is at most that of contributing at all.
    """
    whole = ((counts == 0) | (counts == size)).all(0)
    alike = (counts == counts[:1]).all(0)
    exact = whole & ((size == 1) | alike)
    ends = proportion_interval((counts == size).sum(0), len(counts))
    return ends[0].where(exact, low), ends[1].where(exact, high)


def _hit_rows(cells: _Cells, own: Measurements) -> Iterator[pd.DataFrame]:
    for metric, name in HITS.items():
        counts = cells.count(getattr(own, name))
        yield cells.rows(counts, shares=True).assign(metric=metric)


def _delta_rows(cells: _Cells, own: Measurements, base: Measurements) -> Iterator[pd.DataFrame]:
    """Paired differences to the base, and how likely a pair's is by chance."""
    for metric, name in HITS.items():
        delta = cells.count(getattr(own, name)) - cells.count(getattr(base, name))
        yield cells.rows(delta, shares=False).assign(metric=f"{metric}.delta")
    pairs = list(permutations(cells.languages, 2))
    layers = range(len(own.top1)) if cells.pairs_at is None else cells.pairs_at
    for layer in layers:
        p = holm(mcnemar(by_pair(own.top1[layer]), by_pair(base.top1[layer])))
        rows = [
            (layer, *pair, "retrieval_top1.p", x) for pair, x in zip(pairs, p.tolist(), strict=True)
        ]
        yield _bare(rows, own)


def _beyond_rows(
    cells: _Cells, own: Measurements, other: Measurements, kind: Kind
) -> Iterator[pd.DataFrame]:
    """Paired differences to a baseline, of means."""
    for metric, name in HITS.items():
        beyond = cells.count(getattr(own, name)) - cells.count(getattr(other, name))
        rows = cells.rows(beyond, shares=False, pairs=False)
        yield rows.assign(metric=f"{metric}.vs_{kind}")


def _distance_rows(
    own: Measurements, languages: Sequence[str], targets: Sequence[str]
) -> pd.DataFrame:
    rows: list[tuple[int, str, str, str, float]] = []
    for layer, mean in enumerate(own.pair_distance.tolist()):
        rows.append((layer, "*", "*", "distance_pairs", mean))
        to_medoid = zip(languages, own.medoid_distance[layer].tolist(), strict=True)
        rows += [(layer, s, "*", "distance_medoid", value) for s, value in to_medoid]
        for target in targets:
            column = own.mean_distance[layer, :, languages.index(target)].tolist()
            to_target = zip(languages, column, strict=True)
            rows += [(layer, s, target, "distance_target", v) for s, v in to_target if s != target]
    return _bare(rows, own)


def _quality_rows(own: Measurements) -> Iterator[pd.DataFrame]:
    """One row a quality and layer that was measured."""
    assert own.quality is not None
    rows = [
        (layer, "*", "*", name, value)
        for name, line in zip(QUALITIES, own.quality.tolist(), strict=True)
        for layer, value in enumerate(line)
    ]
    yield _bare(rows, own).dropna(subset="value")


def _bare(rows: Sequence[tuple[int, str, str, str, float]], own: Measurements) -> pd.DataFrame:
    """Rows without an interval."""
    frame = pd.DataFrame(rows, columns=["layer", "source", "target", "metric", "value"])
    return frame.assign(ci_low=np.nan, ci_high=np.nan, n=own.top1.shape[-1])
