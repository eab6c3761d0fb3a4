"""Does less distance mean more retrieval? Table 2 of the paper, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FAR = 0.95  # of the intervals


def correlations(results: pd.DataFrame, *, edit: str, layer: int) -> pd.DataFrame:
    """Pearson's r over candidate languages, for each target as the query language.

    ``accuracy`` is top-1 from the target to a candidate language, ``distance`` 1 - cosine between
    the candidate's mean and the target's. Intervals are percentile bootstraps over the candidate
    languages, which are few: they are wide. r of a constant has no value.

    Returns:
        Columns language, pair, value, ci_low, ci_high, n.
    """
    at = results[(results["layer"] == layer) & (results["seed"] == -1)]
    targets = at[at["edit"] == edit]["language"].unique()
    rows: list[dict[str, Any]] = []
    for target in targets:
        before = _by_candidate(at[at["edit"] == "none"], target)
        after = _by_candidate(at[(at["edit"] == edit) & (at["language"] == target)], target)
        pairs = {
            "accuracy, distance: after": (after["accuracy"], after["distance"]),
            "accuracy, distance: before": (before["accuracy"], before["distance"]),
            "distance after, before": (after["distance"], before["distance"]),
            "gain, shrinkage": (
                after["accuracy"] - before["accuracy"],
                before["distance"] - after["distance"],
            ),
        }
        for pair, (x, y) in pairs.items():
            rows.append({"language": target, "pair": pair} | pearson(x.to_numpy(), y.to_numpy()))
    return pd.DataFrame(rows)


def _by_candidate(rows: pd.DataFrame, target: str) -> pd.DataFrame:
    """Accuracy and distance of each candidate language."""
    accuracy = rows[(rows["metric"] == "retrieval_top1") & (rows["source"] == target)]
    accuracy = accuracy[accuracy["target"] != "*"].set_index("target")["value"]
    distance = rows[(rows["metric"] == "distance_target") & (rows["target"] == target)]
    distance = distance.set_index("source")["value"]
    return pd.DataFrame({"accuracy": accuracy, "distance": distance}).dropna()


def pearson(
    x: NDArray[np.float64], y: NDArray[np.float64], *, resamples: int = 10_000, seed: int = 0
) -> dict[str, Any]:
    """R with its bootstrap interval; resamples in which a side is constant are left out.

    >>> pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))["value"]
    1.0
    """
    missing = {"value": np.nan, "ci_low": np.nan, "ci_high": np.nan, "n": len(x)}
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return missing
    drawn = np.random.default_rng(seed).integers(len(x), size=(resamples, len(x)))
    several = _rowwise(x[drawn], y[drawn])
    tail = (1 - FAR) / 2
    low, high = np.quantile(several[np.isfinite(several)], (tail, 1 - tail))
    value = float(_rowwise(x[None], y[None])[0])
    return {"value": value, "ci_low": float(low), "ci_high": float(high), "n": len(x)}


def _rowwise(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = (side - side.mean(1, keepdims=True) for side in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))
    return np.clip(r, -1, 1)
