"""One neuron as a detector of one language: its activations, and precision against recall."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from mechsteer.errors import MechsteerError

Values = Float[np.ndarray, " sentence"]
Flags = Bool[np.ndarray, " sentence"]


def activation_histogram(values: Values, positive: Flags, *, bins: int = 32) -> pd.DataFrame:
    """Shares of the positives and of the negatives in bins of equal width over all values.

    Columns low, high, positives, negatives; each share is of its own class and sums to 1.

    Raises:
        MechsteerError: no positives, no negatives, NaN or infinity.
    """
    _check(values, positive)
    edges = np.histogram_bin_edges(values.astype(float), bins)
    shares = {
        name: np.histogram(values[here], edges)[0] / here.sum()
        for name, here in (("positives", positive), ("negatives", ~positive))
    }
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:]} | shares)


def precision_recall(values: Values, positive: Flags, *, points: int = 120) -> pd.DataFrame:
    """Precision and recall at every distinct threshold, or at about ``points`` of them.

    Columns recall, precision, threshold, from the highest threshold down; scikit-learn's points.

    Raises:
        MechsteerError: no positives, no negatives, NaN or infinity.
    """
    from sklearn.metrics import precision_recall_curve

    _check(values, positive)
    precision, recall, threshold = precision_recall_curve(positive, values)
    whole = {"recall": recall[:-1], "precision": precision[:-1], "threshold": threshold}
    curve = pd.DataFrame(whole).iloc[::-1]
    chosen = np.unique(np.linspace(0, len(curve) - 1, points).round().astype(int))
    return curve.iloc[chosen].reset_index(drop=True)


def _check(values: Values, positive: Flags) -> None:
    if values.shape != positive.shape or not np.isfinite(values).all():
        raise MechsteerError("expected one finite activation and one label for each sentence")
    if positive.all() or not positive.any():
        raise MechsteerError("expected sentences of the language and sentences of others")
