"""Importance, unseen languages, leaving out and correcting, against loops."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from mechsteer.errors import MechsteerError
from mechsteer.pairwise import benjamini_hochberg, holm, importance, predict_unseen
from mechsteer.pairwise.jackknife import jackknife_errors
from tests.pairwise.test_regression import only, planted

CASES = [(False, 0.0), (False, 0.2), (True, 0.0), (True, 0.2)]


def r2(a: np.ndarray, y: np.ndarray) -> float:
    a = np.column_stack([np.ones(len(y)), a])
    left = y - a @ np.linalg.lstsq(a, y, rcond=None)[0]
    return float(1 - (left @ left) / ((y - y.mean()) ** 2).sum())


@pytest.mark.parametrize(("ordered", "missing"), CASES)
def test_shares_are_mean_gains_over_all_orders(ordered: bool, missing: float) -> None:
    ys, xs = planted(ordered=ordered, missing=missing)
    sample = only(ys, xs)
    x, y = sample.x, sample.y[:, 0]
    gains: dict[int, list[float]] = {k: [] for k in range(3)}
    for order in permutations(range(3)):
        for place, k in enumerate(order):
            gains[k].append(r2(x[:, order[: place + 1]], y) - r2(x[:, order[:place]], y))
    found = importance(ys, xs)["y"]
    np.testing.assert_allclose(found.share, [np.mean(gain) for gain in gains.values()])
    assert sum(found.share) == pytest.approx(found.r2)
    np.testing.assert_allclose(found.alone, [r2(x[:, [k]], y) for k in range(3)])
    np.testing.assert_allclose(found.last, [found.r2 - r2(np.delete(x, k, 1), y) for k in range(3)])
    assert all(
        0 <= a <= b <= c <= 1 for a, b, c in zip(found.low, found.share, found.high, strict=True)
    )
    assert not found.table().isna().any(axis=None)


def test_intervals_leave_out_languages() -> None:
    ys, xs = planted()
    left_out = []
    for gone in range(10):
        kept = [i for i in range(10) if i != gone]
        cut = [{k: m[np.ix_(kept, kept)] for k, m in group.items()} for group in (ys, xs)]
        left_out.append(importance(*cut)["y"].share)
    errors = jackknife_errors(np.array(left_out))
    found = importance(ys, xs)["y"]
    np.testing.assert_allclose(np.array(found.high) - found.share, 2.2621571628 * errors)


@pytest.mark.parametrize(("ordered", "missing"), CASES)
def test_pairs_of_unseen_languages_are_predicted_from_all_others(
    ordered: bool, missing: float
) -> None:
    ys, xs = planted(ordered=ordered, missing=missing)
    sample = only(ys, xs)
    a, y = sample.design, sample.y[:, 0]
    errors, about = 0.0, 0.0
    for i, (s, t) in enumerate(zip(sample.source, sample.target, strict=True)):
        left = ~np.isin(sample.source, (s, t)) & ~np.isin(sample.target, (s, t))
        b = np.linalg.lstsq(a[left], y[left], rcond=None)[0]
        errors += (y[i] - a[i] @ b) ** 2
        about += (y[i] - y[left].mean()) ** 2
    found = predict_unseen(ys, xs)["y"]
    assert found.r2 == pytest.approx(1 - errors / about)
    assert found.r2_seen == pytest.approx(r2(sample.x, y))


def test_too_many_predictors_are_refused() -> None:
    ys, xs = planted()
    with pytest.raises(MechsteerError, match="up to 12 predictors"):
        importance(ys, {str(i): xs["a"] for i in range(13)})


def test_errors_of_a_mean_are_the_textbook_ones() -> None:
    x = np.random.default_rng(0).normal(size=30)
    left_out = (x.sum() - x) / 29
    assert jackknife_errors(left_out[:, None]).item() == pytest.approx(x.std(ddof=1) / np.sqrt(30))


def test_corrections_are_those_by_hand() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.02, 0.04, 0.04, 0.02])
    for bad in ([], [np.nan], [1.5], [-0.1]):
        for correct in (holm, benjamini_hochberg):
            with pytest.raises(MechsteerError, match="p-values"):
                correct(np.array(bad))
