"""One neuron as a detector: bins and curves against scikit-learn and plain counts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from mechsteer.analysis.detection import activation_histogram, precision_recall
from mechsteer.errors import MechsteerError

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(size=300)
POSITIVE = RANDOM.random(300) < 0.3


def test_the_curve_runs_from_the_highest_threshold_to_the_lowest() -> None:
    precision, recall, threshold = precision_recall_curve(POSITIVE, VALUES)
    whole = precision_recall(VALUES, POSITIVE, points=10_000)
    assert whole["threshold"].tolist() == threshold[::-1].tolist()
    assert whole["precision"].tolist() == precision[:-1][::-1].tolist()
    assert whole["recall"].tolist() == recall[:-1][::-1].tolist()
    few = precision_recall(VALUES, POSITIVE, points=7)
    assert len(few) == 7
    assert few["threshold"].iloc[[0, -1]].tolist() == [VALUES.max(), VALUES.min()]
    assert few["recall"].iloc[-1] == 1


def test_a_histogram_counts_each_class_in_bins_of_equal_width() -> None:
    table = activation_histogram(VALUES, POSITIVE, bins=8)
    assert len(table) == 8
    assert np.allclose(np.diff(table["low"]), np.diff(table["low"])[0])
    for name, own in (("positives", VALUES[POSITIVE]), ("negatives", VALUES[~POSITIVE])):
        for row in table.iloc[:-1].itertuples():  # the last bin holds its upper edge too
            share = ((own >= row.low) & (own < row.high)).mean()
            assert getattr(row, name) == pytest.approx(share, abs=1e-12)
        assert table[name].sum() == pytest.approx(1)


@pytest.mark.parametrize("function", [activation_histogram, precision_recall])
def test_one_class_alone_or_no_number_is_refused(function) -> None:  # type: ignore[no-untyped-def]
    for positive in (np.ones(300, bool), np.zeros(300, bool)):
        with pytest.raises(MechsteerError, match="of the language and"):
            function(VALUES, positive)
    with pytest.raises(MechsteerError, match="finite activation"):
        function(np.where(np.arange(300) == 4, np.nan, VALUES), POSITIVE)
    with pytest.raises(MechsteerError, match="one label"):
        function(VALUES, POSITIVE[:-1])
