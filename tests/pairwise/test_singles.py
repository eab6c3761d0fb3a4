"""Characteristics of languages against scipy's rank tests; what is missing stays missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kruskal, spearmanr

from mechsteer.errors import MechsteerError
from mechsteer.pairwise import benjamini_hochberg, explain_languages, holm

N = 30


def languages(seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    script = rng.choice(["Latn", "Cyrl", "Arab"], N)
    size = rng.lognormal(sigma=2, size=N)
    y = (script == "Latn") + 0.3 * rng.normal(size=N)
    return y, pd.DataFrame({"script": script, "size": size, "tied": np.round(size).clip(max=3)})


def test_statistics_are_those_of_spearman_and_kruskal() -> None:
    y, table = languages()
    (found,) = explain_languages({"y": y}, table, permutations=1999).values()
    by = {one.characteristic: one for one in found.found}
    for name in ("size", "tied"):
        reference = spearmanr(y, table[name])
        assert by[name].r == pytest.approx(reference.statistic)
        assert by[name].r2 == pytest.approx(reference.statistic**2)
        assert by[name].p == pytest.approx(reference.pvalue, abs=0.03)
        assert by[name].chance == pytest.approx(1 / (N - 1), abs=0.005)
    groups = [y[table["script"] == name] for name in set(table["script"])]
    reference = kruskal(*groups)
    assert by["script"].r2 == pytest.approx(reference.statistic / (N - 1))
    assert (by["script"].p, by["script"].r, by["script"].n_groups) == (0.0005, None, 3)
    assert by["script"].chance == pytest.approx(2 / (N - 1), abs=0.005)
    rows = found.table()
    assert rows["p_holm"].tolist() == holm(rows["p"].to_numpy()).tolist()
    assert rows["p_bh"].tolist() == benjamini_hochberg(rows["p"].to_numpy()).tolist()


def test_missing_values_are_left_out_not_filled() -> None:
    y, table = languages()
    gaps = table.assign(
        script=table["script"].where(np.arange(N) > 4), size=table["size"].astype("Float64")
    )
    gaps.loc[7, "size"] = pd.NA
    holes = np.where(np.arange(N) == 9, np.nan, y)
    (found,) = explain_languages({"y": holes}, gaps, permutations=99).values()
    assert [one.n_languages for one in found.found] == [N - 6, N - 2, N - 1]
    there = ~np.isin(np.arange(N), [7, 9])
    assert found.found[1].r == pytest.approx(spearmanr(y[there], table["size"][there]).statistic)


def test_p_is_that_of_a_loop() -> None:
    y, table = languages()
    (found,) = explain_languages({"y": y}, table[["size"]], permutations=150, seed=4).values()
    rng = np.random.default_rng(4)
    orders = [
        o for size in (100, 50) for o in rng.permuted(np.tile(np.arange(N), (size, 1)), axis=1)
    ]
    r = spearmanr(y, table["size"]).statistic
    beaten = sum(abs(spearmanr(y[o], table["size"]).statistic) >= abs(r) - 1e-9 for o in orders)
    assert found.found[0].p == (1 + beaten) / 151


def test_nothing_is_found_of_noise() -> None:
    p = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame({"n": rng.normal(size=12), "g": rng.choice(list("abc"), 12)})
        found = explain_languages({"y": rng.normal(size=12)}, table, permutations=19, seed=seed)
        p += [one.p for one in found["y"].found]
    assert np.mean(np.array(p) <= 0.05) <= 0.09
    assert 0.45 < np.mean(p) < 0.6


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["a"] * N, "parts"),
        ([str(n) for n in range(N)], "parts"),
        ([1.0, 2.0, 3.0, 4.0] + [np.nan] * (N - 4), "got 4 in 4"),
        ([np.inf, *range(N - 1)], "finite numbers"),
        ([None] * N, "got 0"),
    ],
)
def test_a_characteristic_that_cannot_be_told_is_named(column: list, words: str) -> None:
    y, table = languages()
    (found,) = explain_languages({"y": y}, table.assign(odd=column), permutations=19).values()
    assert words in found.left_out["odd"]
    assert len(found.found) == 3
    with pytest.raises(MechsteerError, match="no characteristic can be told"):
        explain_languages({"y": y}, pd.DataFrame({"odd": column}), permutations=19)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.ones(N), "that differ"),
        (np.arange(N - 1.0), "shape"),
        (np.full(N, np.inf), "infinity"),
        (np.full(N, np.nan), "got 0"),
    ],
)
def test_numbers_that_cannot_be_explained_are_refused(y: np.ndarray, words: str) -> None:
    with pytest.raises(MechsteerError, match=words):
        explain_languages({"y": y}, languages()[1])
    with pytest.raises(MechsteerError, match="got none"):
        explain_languages({}, languages()[1])
