"""Which source languages to take for a target that nobody has measured: rankings, judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import t as student

from mechsteer.errors import MechsteerError
from mechsteer.pairwise.jackknife import CONFIDENCE
from mechsteer.pairwise.ndcg import checked_k, graded, ndcg
from mechsteer.pairwise.sample import Matrix, matrices_of

TOGETHER, USUAL, RANDOM = "all together", "usual best", "random"
LEAST_SOURCES, LEAST_TARGETS = 3, 3
Scores = dict[str, Matrix]


@dataclass(frozen=True)
class Ranking:
    """How well sources are ranked for targets, by several ways of ranking.

    Attributes:
        k: Places that count.
        targets: One row a target: ``target``, ``sources`` (how many were ranked), and the NDCG@k of
            each ranking.
        left_out: Targets with fewer than three sources of which everything is known, or whose
            sources all do equally.
    """

    k: int
    targets: pd.DataFrame
    left_out: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """One row a ranking: mean NDCG@k, and its lead over random, with 95 % intervals.

        Intervals are Student's over targets, which share their sources: how sure the mean is for
        other targets with these sources.
        """
        own = self.targets.drop(columns=["target", "sources"])
        rows = []
        for name, values in own.items():
            mean, width = _mean(values)
            lead, beside = _mean(values - own[RANDOM])
            rows.append((name, mean, max(0.0, mean - width), min(1.0, mean + width),
                         lead, lead - beside, lead + beside))  # fmt: skip
        columns = ["ranking", "ndcg", "low", "high", "lead", "lead_low", "lead_high"]
        return pd.DataFrame(rows, columns=columns).assign(k=self.k, n_targets=len(own))


def rank_sources(
    gains: np.ndarray,
    *,
    nearer: Mapping[str, np.ndarray] | None = None,
    higher: Mapping[str, np.ndarray] | None = None,
    k: int = 3,
    languages: Sequence[str] | None = None,
) -> Ranking:
    """Rank the sources of each target by each predictor, by all together, and by chance.

    A source is worth its grade among the target's sources (``mechsteer.pairwise.ndcg.graded``). Two
    rankings learn from the pairs that do not have the target: ``all together`` is the least-squares
    fit of gains on all predictors, both centred within targets; ``usual best`` is a source's mean
    gain beyond its targets' means. ``random`` is exact: its mean over all orders.

    Args:
        gains: What is worth having, [source, target]; NaN unknown, the diagonal ignored.
        nearer: Predictors of which small values come first: distances, likewise.
        higher: Predictors of which large values come first: alignment, say.
        k: Places that count.
        languages: Their names; numbers by default.

    Raises:
        MechsteerError: No predictor or one name twice, k below 1, matrices of different shapes or
            with infinities, fewer than three targets that have three sources or more.

    Source: Lin et al. 2019 (LangRank).
    """
    near, high = dict(nearer or {}), dict(higher or {})
    if twice := sorted(({*near} & {*high}) | ({*near, *high} & {TOGETHER, USUAL, RANDOM})):
        raise MechsteerError(f"expected one ranking of each name, got {twice[0]!r} twice")
    worth_of, found = matrices_of({"gains": gains}, {**near, **high}, languages)
    truth = worth_of["gains"]
    scores = {name: -m if name in near else m for name, m in found.items()}
    names = [str(n) for n in (languages or range(len(truth)))]
    known = np.isfinite(truth) & np.all([np.isfinite(m) for m in scores.values()], axis=0)
    rows, left_out = [], []
    for target, name in enumerate(names):
        sources = np.flatnonzero(known[:, target])
        if len(sources) < LEAST_SOURCES or np.ptp(truth[sources, target]) == 0:
            left_out.append(name)
            continue
        worth = graded(truth[sources, target])
        ranked = _rankings(truth, scores, known, target)
        judged = {way: ndcg(worth, s[sources], checked_k(k)) for way, s in ranked.items()}
        rows.append({"target": name, "sources": len(sources)} | judged)
    if len(rows) < LEAST_TARGETS:
        raise MechsteerError(
            f"expected {LEAST_TARGETS} targets or more with {LEAST_SOURCES} sources that differ "
            f"and of which all is known, got {len(rows)}"
        )
    return Ranking(checked_k(k), pd.DataFrame(rows), tuple(left_out))


def _rankings(
    truth: Matrix, scores: Scores, known: Bool[np.ndarray, "language language"], target: int
) -> dict[str, Float[np.ndarray, " language"]]:
    """Scores of every source for a target, that learn nothing from the target's own pairs."""
    others = known.copy()
    others[target] = others[:, target] = False
    y = _centred(truth, others)
    columns = [_centred(matrix, others)[others] for matrix in scores.values()]
    fit = np.linalg.lstsq(np.column_stack(columns), y[others], rcond=1e-10)[0]
    together = np.stack([m[:, target] for m in scores.values()], axis=1) @ fit
    counts = np.maximum(others.sum(1), 1)
    usual = np.where(others, y, 0.0).sum(1) / counts
    return {
        **{name: matrix[:, target] for name, matrix in scores.items()},
        TOGETHER: _rounded(together),
        USUAL: _rounded(usual),
        RANDOM: np.zeros(len(truth)),
    }


def _centred(matrix: Matrix, there: Bool[np.ndarray, "language language"]) -> Matrix:
    """Without each target's mean over what is there."""
    counts = np.maximum(there.sum(0), 1)
    centred: Matrix = matrix - np.where(there, matrix, 0.0).sum(0) / counts
    return centred


def _rounded(scores: Float[np.ndarray, " language"]) -> Float[np.ndarray, " language"]:
    """Scores without what rounding makes of equal ones."""
    scale = np.abs(scores[np.isfinite(scores)]).max(initial=0.0) or 1.0
    rounded: Float[np.ndarray, " language"] = np.round(scores / scale, 9)
    return rounded


def _mean(values: pd.Series) -> tuple[float, float]:
    n = len(values)
    width = student.ppf((1 + CONFIDENCE) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return float(values.mean()), float(width)
