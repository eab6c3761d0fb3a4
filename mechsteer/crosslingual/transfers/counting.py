"""From predictions to accuracy and macro-F1 of every pair of languages, sentences resampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

Draws = Float[np.ndarray, "draw source target"]


@dataclass(frozen=True)
class Resamples:
    """Groups of test sentences, drawn with replacement, the same for every cell.

    The first draw is the sentences as they are, so that a value and its resamples are one
    computation.

    Attributes:
        counts: how often each sentence is in each draw.
    """

    counts: Float[np.ndarray, "draw sentence"]

    @classmethod
    def of(cls, groups: Sequence[int], resamples: int, seed: int) -> Resamples:
        """As many groups as there are, drawn each time."""
        _, own = np.unique(np.asarray(groups), return_inverse=True)
        n = int(own.max()) + 1
        random = np.random.default_rng(seed)
        drawn = random.multinomial(n, np.full(n, 1 / n), size=resamples)
        every = np.vstack([np.ones((1, n), dtype=drawn.dtype), drawn])
        return cls(every[:, own].astype(np.float64))

    def accuracy(
        self,
        predictions: Int[np.ndarray, "source target sentence"],
        y: Int[np.ndarray, " sentence"],
    ) -> Draws:
        """Share of sentences whose class is right, in every draw."""
        hits = (predictions == y).astype(np.float64)
        size = self.counts.sum(1)[:, None, None]
        found: Draws = np.einsum("ds,xts->dxt", self.counts, hits, optimize=True) / size
        return found

    def macro_f1(
        self,
        predictions: Int[np.ndarray, "source target sentence"],
        y: Int[np.ndarray, " sentence"],
        n_classes: int,
    ) -> Draws:
        """Mean over classes of ``2 TP / (predicted + true)``, in every draw.

        Over the classes that a draw has among its labels or its predictions, as
        ``sklearn.metrics.f1_score(average="macro")`` does.
        """
        found = [self._f1_of_source(rows, y, n_classes) for rows in predictions]
        return np.stack(found, axis=1)

    def _f1_of_source(
        self, predictions: Int[np.ndarray, "target sentence"], y: np.ndarray, n_classes: int
    ) -> Float[np.ndarray, "draw target"]:
        total = np.zeros((len(self.counts), len(predictions)))
        there = np.zeros_like(total)
        for label in range(n_classes):
            said = predictions == label
            true = self.counts @ (y == label)
            hits = self.counts @ (said & (y == label)).T.astype(np.float64)
            either = self.counts @ said.T.astype(np.float64) + true[:, None]
            total += np.divide(2 * hits, either, out=np.zeros_like(hits), where=either > 0)
            there += either > 0
        return total / there
