from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from mechsteer import analysis
from mechsteer.errors import MechsteerError


def hits(n: int, cells: int, rate: float, seed: int) -> torch.Tensor:
    return torch.rand(n, cells, generator=torch.Generator().manual_seed(seed)) < rate


def test_means_are_exact_and_intervals_enclose_them() -> None:
    values = hits(50, 7, 0.4, 0)
    found = analysis.bootstrap_mean(values)
    assert torch.allclose(found.value, values.double().mean(0), atol=1e-12)
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()
    assert found.mean == pytest.approx(values.double().mean().item(), abs=1e-12)


def test_the_width_is_that_of_the_normal_approximation() -> None:
    values = hits(2000, 1, 0.3, 0)
    found = analysis.bootstrap_mean(values, resamples=4000)
    p = values.double().mean().item()
    expected = 2 * norm.ppf(0.975) * (p * (1 - p) / 2000) ** 0.5
    # the quantiles of 4,000 draws have a standard error of about 4 % of the width
    assert (found.high - found.low).item() == pytest.approx(expected, rel=0.15)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(200):
        found = analysis.bootstrap_mean(hits(80, 1, 0.5, seed), resamples=400, seed=seed)
        covered += int(found.low <= 0.5 <= found.high)
    # nominal 190 of 200, standard deviation 3; percentile intervals at n = 80 run slightly low
    assert 178 <= covered <= 199


def test_sentences_are_resampled_whole_so_shared_errors_do_not_average_out() -> None:
    one = hits(60, 1, 0.5, 0)
    many = one.expand(60, 100)
    alone, together = analysis.bootstrap_mean(one), analysis.bootstrap_mean(many)
    assert together.mean_high - together.mean_low == pytest.approx(
        (alone.high - alone.low).item(), abs=1e-12
    )


def test_a_paired_difference_of_equal_states_is_zero() -> None:
    values = hits(40, 3, 0.5, 0)
    found = analysis.bootstrap_difference(values, values)
    assert not found.low.any()
    assert not found.high.any()


def test_equal_seeds_give_equal_draws() -> None:
    values = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    first, again, other = (analysis.bootstrap_mean(values, seed=s) for s in (1, 1, 2))
    assert torch.equal(first.low, again.low)
    assert not torch.equal(first.low, other.low)


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_equals_the_exact_binomial_test(seed: int) -> None:
    after, before = hits(60, 4, 0.6, seed), hits(60, 4, 0.4, seed + 100)
    found = analysis.mcnemar(after, before)
    for cell in range(4):
        won = int((after & ~before)[:, cell].sum())
        lost = int((before & ~after)[:, cell].sum())
        expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
        assert found[cell] == pytest.approx(expected, abs=1e-10)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_equals_its_step_down_definition(values: list[float]) -> None:
    found = analysis.holm(torch.tensor(values, dtype=torch.float64)).tolist()
    order = sorted(range(len(values)), key=values.__getitem__)
    running = 0.0
    for step, i in enumerate(order):
        running = max(running, min(1.0, (len(values) - step) * values[i]))
        assert found[i] == pytest.approx(running, abs=1e-12)


@pytest.mark.parametrize(
    "values", [torch.rand(1, 3), torch.rand(4), torch.tensor([[0.1], [float("nan")]])]
)
def test_what_cannot_be_resampled_is_refused(values: torch.Tensor) -> None:
    with pytest.raises(MechsteerError):
        analysis.bootstrap_mean(values)


def test_too_few_resamples_for_the_confidence_are_refused() -> None:
    with pytest.raises(MechsteerError, match="resamples"):
        analysis.bootstrap_mean(torch.rand(9, 1), resamples=20, confidence=0.95)


def test_the_bootstrap_equals_a_loop_over_resampled_rows() -> None:
    values = torch.randn(25, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    generator = torch.Generator().manual_seed(11)
    # 1,500 resamples: more than one block
    draws = torch.cat([torch.randint(25, (m, 25), generator=generator) for m in (1000, 500)])
    means = torch.stack([values[ids].mean(0) for ids in draws])
    found = analysis.bootstrap_mean(values, resamples=1500, seed=11, confidence=0.9)
    # float64 sums of 25 values in another order
    assert torch.allclose(found.low, means.quantile(0.05, dim=0), rtol=0, atol=1e-13)
    assert torch.allclose(found.high, means.quantile(0.95, dim=0), rtol=0, atol=1e-13)
    expected = means.mean(1).quantile(torch.tensor([0.05, 0.95], dtype=torch.float64)).tolist()
    assert [found.mean_low, found.mean_high] == pytest.approx(expected, abs=1e-13)


def test_intervals_do_not_depend_on_the_cells_beside_them() -> None:
    values = hits(80, 6, 0.4, 0)
    together, alone = analysis.bootstrap_mean(values), analysis.bootstrap_mean(values[:, 2:3])
    assert (together.low[2], together.high[2]) == (alone.low[0], alone.high[0])


def test_a_paired_difference_mirrors_the_state_it_is_taken_from() -> None:
    before = hits(80, 5, 0.4, 1)
    state = analysis.bootstrap_mean(before)
    change = analysis.bootstrap_difference(torch.ones_like(before), before)
    # both states see the same draws: 1 - x turns the bounds round, to float64 rounding
    assert torch.allclose(change.high, 1 - state.low, rtol=0, atol=1e-12)
    assert torch.allclose(change.low, 1 - state.high, rtol=0, atol=1e-12)


def test_the_fewest_resamples_that_resolve_an_interval_are_accepted() -> None:
    for resamples, confidence in ((40, 0.95), (20, 0.9), (200, 0.99)):
        values = hits(9, 1, 0.5, 0)
        found = analysis.bootstrap_mean(values, resamples=resamples, confidence=confidence)
        assert found.low < found.high


@pytest.mark.parametrize("function", [analysis.bootstrap_difference, analysis.mcnemar])
def test_states_over_other_sentences_are_refused(function: object) -> None:
    with pytest.raises(MechsteerError, match="same sentences"):
        function(hits(80, 2, 0.5, 0), hits(79, 2, 0.5, 0))  # type: ignore[operator]


def test_mcnemar_says_one_where_nothing_changed_and_refuses_numbers() -> None:
    values = hits(30, 2, 0.5, 0)
    assert analysis.mcnemar(values, values).tolist() == [1.0, 1.0]
    with pytest.raises(MechsteerError, match="boolean hits"):
        analysis.mcnemar(values.float(), values.float())


@pytest.mark.parametrize("p", [[0.1, float("nan")], [-0.1, 0.2], [0.5, 1.1]])
def test_holm_refuses_what_is_no_probability(p: list[float]) -> None:
    with pytest.raises(MechsteerError, match="from 0 to 1"):
        analysis.holm(torch.tensor(p))


def test_ten_thousand_resamples_of_all_pairs_of_22_languages_take_seconds() -> None:
    values = hits(1012, 22 * 22, 0.4, 0)
    start = time.perf_counter()
    found = analysis.bootstrap_mean(values, resamples=10_000)
    assert time.perf_counter() - start < 10  # 0.8 s on one core
    assert (found.low < found.high).all()


def test_against_seeds_equals_its_definition() -> None:
    after = hits(300, 4, 0.5, 0)
    seeds = torch.stack([hits(300, 4, rate, 9) for rate in (0.3, 0.5, 0.45, 0.4, 0.6)])
    found = analysis.against_seeds(after, seeds, resamples=500, seed=3)
    means = seeds.double().mean(1).numpy()
    own = after.double().mean(0).numpy()
    expected = analysis.bootstrap_mean(
        after.double() - seeds.double().mean(0), resamples=500, seed=3
    )
    assert torch.equal(found.difference.low, expected.low)
    assert found.difference.value.tolist() == pytest.approx(own - means.mean(0), abs=1e-12)
    assert found.effect.tolist() == pytest.approx(
        (own - means.mean(0)) / means.std(0, ddof=1), abs=1e-9
    )
    assert found.rank.tolist() == [1 + sum(m[c] >= own[c] for m in means) for c in range(4)]


def test_a_tie_with_a_seed_counts_against_the_edit() -> None:
    after = hits(40, 2, 0.5, 0)
    found = analysis.against_seeds(after, torch.stack([after, after, ~after]))
    assert found.rank.tolist()[0] >= 3
    alike = analysis.against_seeds(after, torch.stack([after] * 3))
    assert alike.effect.tolist() == [0.0, 0.0]
    assert alike.rank.tolist() == [4, 4]
    assert not alike.difference.value.any()


def test_seeds_without_scatter_make_any_difference_infinite() -> None:
    none = torch.zeros(3, 40, 1)
    worse = analysis.against_seeds(torch.full((40, 1), -0.1), none)
    assert worse.effect.item() == -torch.inf
    assert worse.rank.item() == 4


@pytest.mark.parametrize(
    ("shape", "words"),
    [((1, 9, 2), "two seeds"), ((9, 2), "two seeds"), ((3, 8, 2), "same sentences")],
)
def test_controls_that_do_not_fit_are_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(MechsteerError, match=words):
        analysis.against_seeds(torch.rand(9, 2), torch.rand(shape))
