"""Regression on matrices and crossed effects against dense references."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import f as fisher
from scipy.stats import t as student

from mechsteer.errors import MechsteerError
from mechsteer.pairwise import crossed, mrm
from mechsteer.pairwise.caution import cautious
from mechsteer.pairwise.covariance import fitted, independent
from mechsteer.pairwise.permuted import fit
from mechsteer.pairwise.sample import Sample, samples
from tests.pairwise.planted import of_languages, of_places

N = 10


def planted(
    seed: int = 0, *, n: int = N, ordered: bool = False, missing: float = 0.0
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    xs = {"a": of_places(rng, n), "b": of_languages(rng, n), "c": of_places(rng, n)}
    xs["c"] = xs["c"] + 0.5 * xs["a"]
    y = 1.0 * xs["a"] - 0.5 * xs["b"] + of_languages(rng, n, ordered=ordered)
    gone = rng.random((n, n)) < missing
    y[gone if ordered else gone | gone.T] = np.nan
    return {"y": y}, xs


def only(ys: dict[str, np.ndarray], xs: dict[str, np.ndarray]) -> Sample:
    (sample,) = samples(ys, xs)
    return sample


def covariance(sample: Sample, ratios: list[float]) -> np.ndarray:
    """Dense, from the definition: shared languages, one pair of pairs after another."""
    s, t = sample.source, sample.target
    if sample.symmetric:
        shared = sum((p[:, None] == q).astype(float) for p in (s, t) for q in (s, t))
        return np.eye(len(s)) + ratios[0] * shared
    same = [(p[:, None] == p).astype(float) for p in (s, t)]
    return np.eye(len(s)) + ratios[0] * same[0] + ratios[1] * same[1]


def restricted(sample: Sample, ratios: list[float]) -> float:
    v, a, y = covariance(sample, ratios), sample.design, sample.y[:, 0]
    inverse = np.linalg.inv(v)
    inner = a.T @ inverse @ a
    left = y - a @ np.linalg.solve(inner, a.T @ inverse @ y)
    free = len(y) - a.shape[1]
    logs = np.linalg.slogdet(v)[1] + np.linalg.slogdet(inner)[1]
    return float(free * np.log(left @ inverse @ left / free) + logs)


CASES = [(False, 0.0), (False, 0.3), (True, 0.0), (True, 0.3)]


@pytest.mark.parametrize(("ordered", "missing"), CASES)
def test_variances_are_the_best_of_the_restricted_likelihood(ordered: bool, missing: float) -> None:
    sample = only(*planted(ordered=ordered, missing=missing))
    found, _ = fitted(sample, 0)
    best = minimize(
        lambda logs: restricted(sample, np.exp(logs).tolist()),
        [0.0] * (2 if ordered else 1),
        method="Nelder-Mead",
    )
    assert restricted(sample, list(found.ratios)) == pytest.approx(best.fun, abs=1e-3)


@pytest.mark.parametrize(("ordered", "missing"), CASES)
def test_products_with_the_covariance_are_those_of_the_dense_one(
    ordered: bool, missing: float
) -> None:
    sample = only(*planted(ordered=ordered, missing=missing))
    found, _ = fitted(sample, 0)
    v = covariance(sample, list(found.ratios))
    np.testing.assert_allclose(found.times(sample.x), v @ sample.x)
    np.testing.assert_allclose(found.solve(sample.x), np.linalg.solve(v, sample.x), atol=1e-10)


@pytest.mark.parametrize(("ordered", "missing"), CASES)
def test_coefficients_are_those_of_least_squares(ordered: bool, missing: float) -> None:
    ys, xs = planted(ordered=ordered, missing=missing)
    sample = only(ys, xs)
    ratios = list(fitted(sample, 0)[0].ratios)
    y = sample.y[:, 0]
    for test, v in ((mrm, np.eye(len(y))), (crossed, covariance(sample, ratios))):
        found = test(ys, xs, permutations=19)["y"]
        root = np.linalg.cholesky(np.linalg.inv(v)).T
        b, (rss,), *_ = np.linalg.lstsq(root @ sample.design, root @ y, rcond=None)
        np.testing.assert_allclose([e.coefficient for e in found.effects], b[1:], rtol=1e-8)
        inverse = np.linalg.inv(sample.design.T @ np.linalg.inv(v) @ sample.design)
        error = np.sqrt(np.diag(inverse) * rss / (len(y) - 4))
        np.testing.assert_allclose([e.t for e in found.effects], (b / error)[1:], rtol=1e-8)
        assert (found.n_pairs, found.symmetric) == (len(y), not ordered)


def scaled_residuals(sample: Sample, others: list[int], v: np.ndarray) -> np.ndarray:
    """Residuals on some columns with both parts brought to the errors' expected size, densely."""
    y, n = sample.y[:, 0], sample.n_pairs
    members = np.zeros((n, sample.n_languages))
    members[np.arange(n), sample.source] = members[np.arange(n), sample.target] = 1
    shared = members @ np.linalg.pinv(members)

    def maker(columns: list[int]) -> np.ndarray:
        a = sample.design[:, columns]
        return np.eye(n) - a @ np.linalg.pinv(a)

    makes, centres = maker(others), maker([0])
    made = np.zeros(n)
    for part in (shared, np.eye(n) - shared):
        have = np.trace(part @ makes @ v @ makes.T)
        made += np.sqrt(np.trace(part @ centres @ v @ centres.T) / have) * (part @ makes @ y)
    return made


def test_p_is_that_of_a_loop_over_permuted_residuals() -> None:
    ys, xs = planted()
    sample = only(ys, xs)
    v = covariance(sample, list(fitted(sample, 0)[0].ratios))
    found = mrm(ys, xs, permutations=39, seed=2)["y"]
    rng = np.random.default_rng(2)
    orders = [rng.permutation(N) for _ in range(39)]
    a, inverse = sample.design, np.linalg.inv(sample.design.T @ sample.design)
    for k, effect in enumerate(found.effects, 1):
        left = scaled_residuals(sample, [c for c in range(4) if c != k], v)
        grid = np.zeros((N, N))
        grid[sample.source, sample.target] = grid[sample.target, sample.source] = left
        beaten = 0
        for order in orders:
            moved = grid[np.ix_(order, order)][sample.source, sample.target]
            b = inverse @ a.T @ moved
            error = np.sqrt(inverse[k, k] * ((moved - a @ b) ** 2).sum() / (len(moved) - 4))
            beaten += abs(b[k] / error) >= abs(effect.t)
        assert effect.p == (1 + beaten) / 40


def test_all_layers_at_once_are_the_same_as_one_after_another() -> None:
    ys, xs = planted()
    other = planted(7)[0]["y"]
    other[0, 1] = other[1, 0] = np.nan  # this response knows another set of pairs
    many = {"a": other, "b": ys["y"], "c": ys["y"] ** 2}
    together = mrm(many, xs, permutations=39)
    assert list(together) == list(many)
    for name, y in many.items():
        alone, found = (
            r.table() for r in (mrm({name: y}, xs, permutations=39)[name], together[name])
        )
        np.testing.assert_allclose(found.iloc[:, 2:].astype(float), alone.iloc[:, 2:].astype(float))


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_planted_effects_are_found(ordered: bool, missing: float) -> None:
    ys, xs = planted(3, n=30, ordered=ordered, missing=missing)
    for test in (mrm, crossed):
        found = test(ys, xs, permutations=199)["y"]
        a, b, c = found.effects
        assert a.low < 1.0 < a.high
        assert b.low < -0.5 < b.high
        assert abs(c.standardised) < 0.25
        assert (a.p, b.p, found.p) == (0.005, 0.005, 0.005)
        table = found.table()
        assert (table["p_holm"] >= table["p"]).all()
        assert not table.isna().any(axis=None)
    assert dict(found.shares)["pairs"] == pytest.approx(0.5, abs=0.2)
    assert sum(dict(found.shares).values()) == pytest.approx(1)


def test_nothing_but_noise_leaves_no_effects_of_languages() -> None:
    _, xs = planted()
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(N, N))
    (found,) = crossed({"y": noise + noise.T}, xs, permutations=19).values()
    assert found.shares[0][1] < 0.25


@pytest.mark.parametrize("test", [mrm, crossed])
def test_what_cannot_be_fitted_is_refused_by_name(test) -> None:  # type: ignore[no-untyped-def]
    ys, xs = planted()
    with pytest.raises(MechsteerError, match="'twin' follows from the others"):
        test(ys, {**xs, "twin": 2 * xs["a"] - xs["b"]})
    with pytest.raises(MechsteerError, match="'flat' is the same"):
        test(ys, {**xs, "flat": np.ones((N, N))})
    with pytest.raises(MechsteerError, match="one response or more"):
        test({}, xs)
    with pytest.raises(MechsteerError, match="one predictor or more"):
        test(ys, {})
    few = {name: m[:5, :5] for name, m in xs.items()}
    with pytest.raises(MechsteerError, match=r"6 languages or more .* got 5"):
        test({"y": ys["y"][:5, :5]}, few)
    with pytest.raises(MechsteerError, match="names of languages"):
        test(ys, xs, languages=["a"])


def test_where_pairs_are_missing_p_is_not_below_that_of_as_many_numbers_as_languages() -> None:
    ys, xs = planted(2, n=14, missing=0.3)
    found = crossed(ys, xs, permutations=19)["y"]
    free = found.n_languages - 4
    for effect in found.effects:
        assert effect.p >= 2 * student.sf(abs(effect.t), free)
    sample = only(ys, xs)
    v = covariance(sample, list(fitted(sample, 0)[0].ratios))
    root, y = np.linalg.cholesky(np.linalg.inv(v)).T, sample.y[:, 0]
    left = [
        np.linalg.lstsq(root @ a, root @ y, rcond=None)[1].item()
        for a in (sample.design[:, :1], sample.design)
    ]
    f = (left[0] - left[1]) / 3 / (left[1] / (len(y) - 4))
    fits = cautious(
        fit(sample, fitted(sample, 0)[0], [independent(sample)], permutations=19, seed=0), sample
    )
    assert fits.f_all[0] == pytest.approx(f)
    assert fits.p_all[0] == max(found.p, fisher.sf(f, 3, free))
    whole = only(*planted(2, n=14))
    plain = fit(whole, independent(whole), [independent(whole)], permutations=19, seed=0)
    assert cautious(plain, whole) is plain


def test_half_a_predictor_serves_an_ordered_response() -> None:
    ys, xs = planted(ordered=True)
    half = {name: np.where(np.tri(N, k=-1, dtype=bool), m, np.nan) for name, m in xs.items()}
    assert mrm(ys, half, permutations=19) == mrm(ys, xs, permutations=19)
