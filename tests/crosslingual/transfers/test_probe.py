"""The probe is scikit-learn's, whatever the shape of the embeddings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mechsteer.crosslingual.transfers.probe import GRID, Learning, fit_probe
from mechsteer.errors import MechsteerError


def data(n: int, d: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = random.normal(size=(classes, d))[y] + random.normal(size=(n, d))
    return x * np.geomspace(0.1, 10, d) + 5, y


@pytest.mark.parametrize(("n", "d"), [(60, 8), (20, 50)], ids=["long", "wide"])
@pytest.mark.parametrize("classes", [2, 4])
def test_it_is_the_fit_of_scikit_learn_on_standardised_dimensions(
    n: int, d: int, classes: int
) -> None:
    x, y = data(n, d, classes)
    fresh, _ = data(50, d, classes, seed=1)
    probe = fit_probe(torch.from_numpy(x), y, range(n), Learning(0.5))
    known = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=5000, tol=1e-9))
    known.fit(x, y)
    scores = fresh @ probe.weight + probe.bias
    odds = np.exp(scores - scores.max(1, keepdims=True))
    expected = known.predict_proba(fresh)
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), expected, atol=2e-3)
    assert (probe.predict(torch.from_numpy(fresh)) == known.predict(fresh)).mean() > 0.97


def test_constant_dimensions_say_nothing() -> None:
    x, y = data(60, 8, 3)
    still = np.hstack([x, np.full((60, 2), 7.0)])
    one = fit_probe(torch.from_numpy(x), y, range(60), Learning())
    other = fit_probe(torch.from_numpy(still), y, range(60), Learning())
    np.testing.assert_allclose(other.weight[:8], one.weight, atol=1e-3)
    assert np.abs(other.weight[8:]).max() == 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_penalty_is_chosen_in_folds_that_keep_groups_together(seed: int) -> None:
    x, y = data(60, 30, 2, seed)
    random = np.random.default_rng(seed)
    twins = np.repeat(x[:30] + 3 * random.normal(size=(30, 30)), 2, axis=0)  # each twice, a group
    labels, groups = np.repeat(y[:30], 2), np.arange(60) // 2
    grid = {"C": list(GRID)}
    search = GridSearchCV(LogisticRegression(max_iter=2000), grid, cv=GroupKFold(5))
    search.fit(StandardScaler().fit_transform(twins), labels, groups=groups)
    best = search.best_params_["C"]
    found = fit_probe(torch.from_numpy(twins), labels, groups.tolist(), Learning(choose=True))
    expected = fit_probe(torch.from_numpy(twins), labels, groups.tolist(), Learning(best))
    np.testing.assert_allclose(found.weight, expected.weight, atol=1e-9)


def test_what_is_not_finite_is_refused() -> None:
    x, y = data(20, 4, 2)
    x[3, 1] = np.nan
    with pytest.raises(MechsteerError, match="finite embeddings"):
        fit_probe(torch.from_numpy(x), y, range(20), Learning())
