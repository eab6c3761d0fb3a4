"""Rankings of sources: NDCG against scikit-learn and against all orders, planted rankings."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import ndcg_score

from mechsteer.errors import MechsteerError
from mechsteer.pairwise import ndcg, rank_sources
from mechsteer.pairwise.ndcg import graded
from tests.pairwise.planted import of_places

N = 9


@pytest.mark.parametrize("k", [1, 3, 20])
@pytest.mark.parametrize("kinds", [2, 3, 50])
def test_ndcg_is_that_of_scikit_learn_with_and_without_ties(k: int, kinds: int) -> None:
    rng = np.random.default_rng(kinds)
    for _ in range(10):
        gains, scores = rng.integers(1, 5, 7).astype(float), rng.integers(0, kinds, 7).astype(float)
        assert ndcg(gains, scores, k) == pytest.approx(ndcg_score([gains], [scores], k=k))


def test_equal_scores_are_worth_their_mean_over_all_orders() -> None:
    gains, scores = np.array([3.0, 0.0, 1.0, 7.0]), np.array([2.0, 2.0, 2.0, 1.0])
    best = 7 + 3 / np.log2(3)
    orders = [gains[list(order)] for order in permutations(range(3))]
    mean = np.mean([first + second / np.log2(3) for first, second, _ in orders])
    assert ndcg(gains, scores, 2) == pytest.approx(mean / best)
    assert ndcg(gains, gains, 2) == 1.0


def test_grades_are_those_of_ten_places_and_equal_values_share() -> None:
    found = graded(np.array([5.0, 5.0, *range(-20, 0)]))
    assert found[0] == found[1] == 2**9.5 - 1
    assert np.count_nonzero(found) == 10
    assert found[-1] == 2**8 - 1


@pytest.mark.parametrize(
    ("gains", "scores", "k"),
    [
        ([1.0, -1.0], [0.0, 1.0], 1),
        ([0.0, 0.0], [0.0, 1.0], 1),
        ([1.0, 0.0], [np.nan, 1.0], 1),
        ([1.0, 0.0], [np.inf, 1.0], 1),
        ([1.0, 0.0], [0.0], 1),
        ([1.0, 0.0], [0.0, 1.0], 0),
        ([1.0, 0.0], [0.0, 1.0], True),
    ],
)
def test_what_has_no_ndcg_is_refused(gains: list[float], scores: list[float], k: int) -> None:
    with pytest.raises(MechsteerError, match="expected"):
        ndcg(np.array(gains), np.array(scores), k)


def planted(seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    near = of_places(rng, N)
    return -near + 0.05 * rng.normal(size=(N, N)), {"near": near, "other": of_places(rng, N)}


def test_the_planted_distance_ranks_best_and_chance_is_exact() -> None:
    gains, distances = planted()
    found = rank_sources(gains, nearer=distances, higher={"truth": gains}, k=3)
    table = found.table().set_index("ranking")
    assert table.loc["truth", "ndcg"] == table.loc["all together", "ndcg"] == pytest.approx(1)
    assert table.loc["near", "ndcg"] > 0.9
    assert table.loc["near", "lead_low"] > 0
    assert table.loc["other", "lead_low"] < 0 < table.loc["other", "lead_high"]
    worth, discount = 2.0 ** np.arange(10, 2, -1) - 1, 1 / np.log2([2, 3, 4])
    chance = worth.mean() * discount.sum() / (worth[:3] @ discount)
    assert found.targets["random"].to_numpy() == pytest.approx(chance)
    assert table.loc["random", ["low", "high"]].to_numpy() == pytest.approx(chance)
    assert not table.isna().any(axis=None)


def test_the_interval_is_students_over_targets() -> None:
    gains, distances = planted()
    found = rank_sources(gains, nearer=distances)
    values = found.targets["other"]
    row = found.table().set_index("ranking").loc["other"]
    half = 2.306 * values.std() / 3  # t of 8 degrees of freedom
    assert [row["low"], row["high"]] == pytest.approx(
        [row["ndcg"] - half, row["ndcg"] + half], 1e-3
    )


def test_what_is_learnt_is_learnt_without_the_target() -> None:
    gains, distances = planted()
    found = rank_sources(gains, nearer=distances)
    for target in range(N):
        others = [place for place in range(N) if place != target]
        y, *columns = (m[np.ix_(others, others)] for m in (gains, *distances.values()))
        off = ~np.eye(N - 1, dtype=bool)
        centred = [m - np.where(off, m, 0).sum(0) / (N - 2) for m in (y, *columns)]
        worth = graded(gains[others, target])
        usual = np.where(off, centred[0], 0).sum(1)
        fit, *_ = np.linalg.lstsq(np.stack([c[off] for c in centred[1:]], 1), centred[0][off])
        scores = np.stack([m[others, target] for m in distances.values()], 1) @ fit
        row = found.targets.iloc[target]
        assert row["usual best"] == pytest.approx(ndcg(worth, usual, 3))
        assert row["all together"] == pytest.approx(ndcg(worth, scores, 3))


def test_unknown_pairs_are_no_candidates_and_targets_without_any_are_named() -> None:
    gains, distances = planted()
    gains[3, 0] = np.nan
    gains[:, 2] = 0.5  # all sources do equally
    gains[2:, 1] = np.nan
    names = [f"l{place}" for place in range(N)]
    found = rank_sources(gains, nearer=distances, languages=names)
    assert found.left_out == ("l1", "l2")
    assert found.targets.set_index("target")["sources"].loc["l0"] == N - 2
    assert len(found.targets) == N - 2


def test_half_a_distance_serves_ordered_gains() -> None:
    gains, distances = planted()
    half = {name: np.where(np.tri(N, k=-1, dtype=bool), m, np.nan) for name, m in distances.items()}
    whole = rank_sources(gains, nearer=distances).table()
    pd.testing.assert_frame_equal(rank_sources(gains, nearer=half).table(), whole)


def test_what_cannot_be_ranked_is_refused() -> None:
    gains, distances = planted()
    with pytest.raises(MechsteerError, match="'near' twice"):
        rank_sources(gains, nearer=distances, higher={"near": gains})
    with pytest.raises(MechsteerError, match="'random' twice"):
        rank_sources(gains, nearer={"random": gains})
    with pytest.raises(MechsteerError, match="one predictor or more"):
        rank_sources(gains)
    with pytest.raises(MechsteerError, match="3 targets or more"):
        rank_sources(np.ones((N, N)), nearer=distances)
    with pytest.raises(MechsteerError, match="whole number"):
        rank_sources(gains, nearer=distances, k=0)
    with pytest.raises(MechsteerError, match="same languages"):
        rank_sources(gains, nearer={"few": gains[:4, :4]})
