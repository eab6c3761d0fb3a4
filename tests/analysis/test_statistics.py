import numpy as np
import pytest
import torch
from scipy.stats import binomtest, norm

from mechsteer.analysis import bootstrap_difference, bootstrap_mean, holm, mcnemar
from mechsteer.errors import MechsteerError


def hits(n=80, cells=5, *, seed=0, rate=0.4):
    return torch.rand(n, cells, generator=torch.Generator().manual_seed(seed)) < rate


def test_the_bootstrap_equals_a_loop_over_resampled_rows():
    values = torch.randn(25, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    generator = torch.Generator().manual_seed(11)
    draws = torch.randint(25, (200, 25), generator=generator)
    means = np.array([values.numpy()[ids].mean(0) for ids in draws.numpy()])
    result = bootstrap_mean(values, resamples=200, seed=11, confidence=0.9)
    # Float64 sums of 25 values in another order.
    for bound, quantile in ((result.low, 0.05), (result.high, 0.95)):
        expected = np.quantile(means, quantile, axis=0)
        np.testing.assert_allclose(bound.numpy(), expected, rtol=0, atol=1e-13)
    low, high = np.quantile(means.mean(1), (0.05, 0.95))
    assert (result.mean_low, result.mean_high) == pytest.approx((low, high), abs=1e-13)
    np.testing.assert_allclose(result.value.numpy(), values.numpy().mean(0), rtol=0, atol=1e-14)
    assert result.mean == pytest.approx(values.mean().item(), abs=1e-14)


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    first, again, other = (bootstrap_mean(hits(), seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.low, again.low)
    assert torch.equal(first.high, again.high)
    assert not torch.equal(first.low, other.low)


def test_intervals_do_not_depend_on_the_cells_beside_them():
    values = hits(cells=6)
    together, alone = bootstrap_mean(values), bootstrap_mean(values[:, 2:3])
    assert together.low[2] == alone.low[0]
    assert together.high[2] == alone.high[0]


def test_sentences_shared_by_all_cells_do_not_narrow_the_interval_of_the_mean():
    one = hits(cells=1)
    copies = bootstrap_mean(one.expand(-1, 50))
    width = copies.mean_high - copies.mean_low
    assert width == pytest.approx(float(copies.high[0] - copies.low[0]), abs=1e-12)
    independent = bootstrap_mean(hits(cells=50))
    assert independent.mean_high - independent.mean_low < 0.3 * width


def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says():
    generator = torch.Generator().manual_seed(5)
    # 1000 independent experiments are the cells of one matrix of 60 sentences.
    values = torch.randn(60, 1000, generator=generator) + 2
    result = bootstrap_mean(values, resamples=1000, seed=6)
    covered = ((result.low < 2) & (result.high > 2)).double().mean().item()
    # Percentile intervals of 60 normals cover about 0.94; 1000 experiments deviate by 0.007.
    assert 0.91 < covered < 0.97


def test_the_interval_of_normal_values_has_the_width_of_theory():
    values = torch.randn(400, 1, generator=torch.Generator().manual_seed(7))
    result = bootstrap_mean(values, resamples=4000)
    expected = 2 * norm.ppf(0.975) * values.std().item() / 20
    # The 2.5 % quantile of 4000 draws deviates by about 4 % of the standard error: 4 % of the
    # width for both ends at three deviations.
    assert float(result.high - result.low) == pytest.approx(expected, rel=0.06)


def test_the_paired_difference_uses_the_same_sentences_for_both_states():
    before = hits(seed=1)
    assert bootstrap_difference(before, before).mean_high == 0
    changed = bootstrap_difference(torch.ones_like(before), before)
    same = bootstrap_mean(before)
    # 1 - low of the state is the high of the difference; float64 rounding.
    torch.testing.assert_close(changed.high, 1 - same.low, rtol=0, atol=1e-12)
    torch.testing.assert_close(changed.low, 1 - same.high, rtol=0, atol=1e-12)


def test_bounds_of_constant_hits_are_exact():
    result = bootstrap_mean(torch.ones(37, 2, dtype=torch.bool))
    assert result.low.tolist() == result.value.tolist() == result.high.tolist() == [1.0, 1.0]


def test_more_resamples_than_one_block_are_drawn_in_full():
    values = torch.randn(9, 1, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    blocks = [torch.randint(9, (size, 9), generator=generator) for size in (1000, 1000, 500)]
    means = values[torch.cat(blocks)].mean(1)
    result = bootstrap_mean(values, resamples=2500)
    expected = torch.quantile(means, 0.025, dim=0)
    torch.testing.assert_close(result.low, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.ones(1, 3), "two sentences or more"),
        (torch.ones(5), "two sentences or more"),
        (torch.ones(5, 0), "two sentences or more"),
        (torch.tensor([[0.0, 1.0], [1.0, torch.nan]]), "row 1, cell 1"),
        (torch.tensor([[0.0, torch.inf], [1.0, 1.0]]), "row 0, cell 1"),
    ],
)
def test_the_bootstrap_refuses_what_has_no_interval(values, message):
    with pytest.raises(MechsteerError, match=message):
        bootstrap_mean(values)


@pytest.mark.parametrize(("resamples", "confidence"), [(39, 0.95), (1000, 1.0), (1000, 0.0)])
def test_the_bootstrap_refuses_intervals_it_cannot_resolve(resamples, confidence):
    with pytest.raises(MechsteerError, match="resamples"):
        bootstrap_mean(hits(), resamples=resamples, confidence=confidence)


@pytest.mark.parametrize(("resamples", "confidence"), [(40, 0.95), (20, 0.9), (200, 0.99)])
def test_the_fewest_resamples_that_resolve_an_interval_are_accepted(resamples, confidence):
    assert bootstrap_mean(hits(), resamples=resamples, confidence=confidence).mean > 0


@pytest.mark.parametrize("function", [bootstrap_difference, mcnemar])
def test_states_over_other_sentences_are_refused(function):
    with pytest.raises(MechsteerError, match="same sentences"):
        function(hits(80), hits(79))


def test_mcnemar_equals_scipys_exact_binomial_test_in_every_cell():
    before, after = hits(cells=20, seed=1), hits(cells=20, seed=2, rate=0.55)
    before[:, 0] = after[:, 0]
    p = mcnemar(after, before)
    for cell in range(20):
        won = int((after[:, cell] & ~before[:, cell]).sum())
        lost = int((before[:, cell] & ~after[:, cell]).sum())
        expected = binomtest(won, won + lost, 0.5).pvalue if won + lost else 1.0
        # Two float64 evaluations of the same binomial tail.
        assert p[cell].item() == pytest.approx(expected, rel=1e-10)
    assert p[0] == 1


def test_mcnemar_refuses_numbers_that_are_not_hits():
    with pytest.raises(MechsteerError, match="boolean hits"):
        mcnemar(hits().float(), hits().float())


def test_holm_equals_the_step_down_procedure():
    p = torch.rand(30, generator=torch.Generator().manual_seed(9), dtype=torch.float64) ** 4
    adjusted = holm(p)
    for alpha in (0.01, 0.05, 0.2, 0.7):
        rejected = set()
        for step, index in enumerate(p.argsort().tolist()):
            if p[index] > alpha / (30 - step):
                break
            rejected.add(index)
        assert {i for i, value in enumerate(adjusted.tolist()) if value <= alpha} == rejected


def test_holm_keeps_order_ties_and_the_ceiling_of_one():
    p = torch.tensor([0.9, 0.02, 0.02, 0.9], dtype=torch.float64)
    # By hand: 4 x 0.02, carried to its equal; 2 x 0.9 cut at 1.
    torch.testing.assert_close(holm(p), torch.tensor([1, 0.08, 0.08, 1], dtype=torch.float64))


@pytest.mark.parametrize("p", [[0.1, torch.nan], [-0.1, 0.2], [0.5, 1.1]])
def test_holm_refuses_what_is_no_probability(p):
    with pytest.raises(MechsteerError, match="from 0 to 1"):
        holm(torch.tensor(p))
