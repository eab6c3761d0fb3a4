"""From predictions under each condition to the tidy table: one row an observation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from mechsteer.crosslingual.transfers.counting import Draws, Resamples
from mechsteer.crosslingual.transfers.predicting import Predictions
from mechsteer.studies.conditions import BASE, Condition
from mechsteer.studies.results import COLUMNS

METRICS = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class Judged:
    """What predictions are judged by.

    Attributes:
        languages: in the order of the predictions.
        layers: rows of the residual stream, in that order.
        y: classes of the test sentences.
        n_classes: how many classes there are.
        resamples: of the sentences.
    """

    languages: tuple[str, ...]
    layers: tuple[int, ...]
    y: Int[np.ndarray, " sentence"]
    n_classes: int
    resamples: Resamples

    def draws(self, predictions: Predictions, number: int) -> dict[str, Draws]:
        """Each metric of every pair at one layer, in every draw."""
        here = predictions[number].numpy()
        return {
            "accuracy": self.resamples.accuracy(here, self.y),
            "macro_f1": self.resamples.macro_f1(here, self.y, self.n_classes),
        }


def tabulate(found: Mapping[Condition, Callable[[], Predictions]], tested: Judged) -> pd.DataFrame:
    """Rows of every condition: pairs, means over pairs, and paired differences to the base.

    ``accuracy`` and ``macro_f1`` of a source and a target; ``*`` are means over ordered pairs of
    different languages, and ``METRIC.within`` the mean of all languages tested in themselves.
    ``METRIC.delta`` is the paired difference to the base. Intervals are 95 % percentile bootstraps
    over groups of test sentences, the same draws everywhere; what the training sentences were is
    held.

    Args:
        found: how to read the predictions of each condition, the base among them.
        tested: what they are judged by.
    """
    base = found[BASE]()
    frames = []
    for condition, read in found.items():
        predictions = base if condition == BASE else read()
        for number, layer in enumerate(tested.layers):
            own = tested.draws(predictions, number)
            frames += [
                frame.assign(layer=layer, n=len(tested.y), **condition.columns())
                for frame in _of_layer(own, tested, base, number, condition)
            ]
    whole: pd.DataFrame = pd.concat(frames, ignore_index=True)[list(COLUMNS)]
    return whole


def _of_layer(
    own: Mapping[str, Draws],
    tested: Judged,
    base: Predictions,
    number: int,
    condition: Condition,
) -> Iterator[pd.DataFrame]:
    for metric, draws in own.items():
        yield _rows(draws, tested.languages, metric)
    if condition != BASE:
        for metric, before in tested.draws(base, number).items():
            yield _rows(own[metric] - before, tested.languages, f"{metric}.delta")


def _rows(draws: Draws, languages: Sequence[str], metric: str) -> pd.DataFrame:
    n = len(languages)
    different = ~np.eye(n, dtype=bool)
    over = np.where(different, draws, 0.0)
    within = draws[:, ~different].mean(1, keepdims=True)
    every = np.hstack(
        [
            over.sum((1, 2))[:, None] / (n * (n - 1)),
            within,
            over.sum(2) / (n - 1),
            over.sum(1) / (n - 1),
            draws.reshape(len(draws), -1),
        ]
    )
    stars, twice = ["*"] * n, [language for language in languages for _ in languages]
    source = ["*", "*", *languages, *stars, *twice]
    target = ["*", "*", *stars, *languages, *(list(languages) * n)]
    metrics = [metric, f"{metric}.within", *[metric] * (2 * n + n * n)]
    return pd.DataFrame({"source": source, "target": target, "metric": metrics} | _bounds(every))


def _bounds(draws: Float[np.ndarray, "draw cell"]) -> dict[str, np.ndarray]:
    low, high = np.quantile(draws[1:], (0.025, 0.975), axis=0)
    return {"value": draws[0], "ci_low": low, "ci_high": high}
