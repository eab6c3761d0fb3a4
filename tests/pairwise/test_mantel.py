"""Mantel's test against loops that say what it does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, rankdata, spearmanr

from mechsteer.errors import MechsteerError
from mechsteer.pairwise import mantel, partial_mantel
from tests.pairwise.planted import of_languages, of_places

N = 9
UPPER = np.triu_indices(N, 1)


def two(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = of_places(rng, N)
    return 0.3 * x + of_languages(rng, N), x


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_r_and_p_are_those_of_a_loop(method: str) -> None:
    y, x = two()
    found = mantel(y, x, method=method, permutations=99, seed=3)
    rank = rankdata if method == "spearman" else np.asarray
    r = np.corrcoef(rank(y[UPPER]), rank(x[UPPER]))[0, 1]
    rng = np.random.default_rng(3)
    orders = [rng.permutation(N) for _ in range(99)]
    nulls = [np.corrcoef(rank(y[np.ix_(o, o)][UPPER]), rank(x[UPPER]))[0, 1] for o in orders]
    assert found.r == pytest.approx(r)
    assert found.p == (1 + sum(abs(null) >= abs(r) for null in nulls)) / 100
    reference = (spearmanr if method == "spearman" else pearsonr)(y[UPPER], x[UPPER])
    assert found.r == pytest.approx(reference.statistic)


def test_the_partial_r_is_that_of_residuals() -> None:
    y, x = two()
    z = of_places(np.random.default_rng(5), N)
    held = np.column_stack([np.ones(len(UPPER[0])), z[UPPER]])
    left = [m[UPPER] - held @ np.linalg.lstsq(held, m[UPPER], rcond=None)[0] for m in (y, x)]
    found = partial_mantel(y, x, {"z": z}, permutations=19)
    assert found.r == pytest.approx(np.corrcoef(*left)[0, 1])
    assert found.controls == ("z",)


def test_one_side_of_the_diagonal_is_enough_and_the_diagonal_is_nothing() -> None:
    y, x = two()
    whole = mantel(y, x, permutations=39)
    half = np.where(np.tri(N, k=-1, dtype=bool), y, np.nan)
    assert mantel(half, x, permutations=39) == whole
    np.fill_diagonal(y, 1e9)
    assert mantel(y, x, permutations=39) == whole


def test_asymmetric_matrices_count_both_orders() -> None:
    y, x = two()
    y = y + np.triu(np.ones_like(y))
    found = mantel(y, x, permutations=19)
    assert not found.symmetric
    assert found.n_pairs == N * (N - 1)
    ordered = ~np.eye(N, dtype=bool)
    assert found.r == pytest.approx(np.corrcoef(y[ordered], x[ordered])[0, 1])


def test_unknown_pairs_are_left_out_and_counted() -> None:
    y, x = two()
    y[0, 1] = y[1, 0] = np.nan
    x[2] = x[:, 2] = np.nan  # a language of which nothing is known
    found = mantel(y, x, permutations=19)
    known = np.isfinite(y[UPPER]) & np.isfinite(x[UPPER])
    assert (found.n_pairs, found.n_languages) == (int(known.sum()), N - 1)
    assert found.r == pytest.approx(np.corrcoef(y[UPPER][known], x[UPPER][known])[0, 1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m[:4, :4], "same languages"),
        (lambda m: np.full_like(m, 2.0), "is the same for all"),
        (lambda m: np.where(np.eye(N) > 0, m, np.inf), "infinity"),
        (lambda m: np.full_like(m, np.nan), "languages or more"),
        (lambda m: m[0], "language, language"),
        (lambda m: m.astype(str)[:, :2], "language, language"),
    ],
)
def test_what_cannot_be_tested_is_refused(change, words: str) -> None:  # type: ignore[no-untyped-def]
    y, x = two()
    with pytest.raises(MechsteerError, match=words):
        mantel(y, change(x))


@pytest.mark.parametrize("bad", [0, 18, -1, True])
def test_too_few_permutations_are_refused(bad: int) -> None:
    with pytest.raises(MechsteerError, match="permutations"):
        mantel(*two(), permutations=bad)


def test_another_method_is_refused() -> None:
    with pytest.raises(MechsteerError, match="pearson or spearman"):
        mantel(*two(), method="kendall")  # type: ignore[arg-type]
