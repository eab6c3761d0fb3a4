"""Intervals of single pairs against their definition, and how often they cover the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom, binomtest

from mechsteer import analysis

N = 1012  # sentences of FLORES devtest


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("n", [1, 7, N])
def test_the_interval_is_that_of_the_exact_test(n: int, confidence: float) -> None:
    hits = torch.tensor(sorted({0, 1, n // 3, n - 1, n}))
    low, high = analysis.proportion_interval(hits, n, confidence=confidence)
    for k, *ends in zip(hits.tolist(), low.tolist(), high.tolist(), strict=True):
        expected = binomtest(k, n).proportion_ci(confidence, method="exact")
        assert ends == pytest.approx([expected.low, expected.high], abs=1e-12)


@pytest.mark.parametrize("rate", [1 / N, 0.02, 0.5, 0.999])
def test_it_covers_every_rate_as_often_as_it_says(rate: float) -> None:
    low, high = (end.numpy() for end in analysis.proportion_interval(torch.arange(N + 1), N))
    drawn = np.random.default_rng(0).binomial(N, rate, 4000)
    assert np.mean((low[drawn] <= rate) & (rate <= high[drawn])) >= 0.93
    inside = (low <= rate) & (rate <= high)
    assert binom.pmf(np.arange(N + 1), N, rate)[inside].sum() >= 0.95


def test_no_hits_and_all_hits_have_intervals_within_zero_and_one() -> None:
    low, high = analysis.proportion_interval(torch.tensor([0, N]), N)
    assert low[0] == 0 < high[0] < 4 / N
    assert 1 - 4 / N < low[1] < high[1] == 1
