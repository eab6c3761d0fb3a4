from __future__ import annotations

import logging
import sys
from itertools import combinations, permutations, product

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from mechsteer.kernels import PermutationTest, permutation_test, plan_permutations, score_labelings
from mechsteer.kernels.common.grouping import group
from mechsteer.kernels.permutation.relabelings import parallel_positions, relabelings

SCORERS = ("cpu", "numpy")


def parallel(n_ids: int, n_classes: int) -> tuple[Tensor, Tensor]:
    """Labels and ids of a parallel corpus, in an order that is neither by label nor by id."""
    order = torch.randperm(n_ids * n_classes, generator=torch.Generator().manual_seed(n_ids))
    return order % n_classes, order // n_classes + 40


def noise(n: int, m: int, seed: int = 0) -> Tensor:
    return torch.randn(n, m, generator=torch.Generator().manual_seed(seed))


def exact_p(x: Tensor, labelings: list[Tensor], observed: Tensor, statistic: str) -> Tensor:
    """The share of all labelings whose score reaches the observed one."""
    found = score_labelings(x, torch.stack(labelings), backend="reference")
    own = score_labelings(x, observed[None], backend="reference")
    null, seen = getattr(found, statistic), getattr(own, statistic)
    return (null >= seen - 1e-6).double().mean(0)


def assert_limit(p: Tensor, exact: Tensor, draws: int) -> None:
    # Binomial: four standard deviations, and 1 / (1 + draws) for the observed labeling itself.
    width = 4 * (exact * (1 - exact) / draws).sqrt() + 1 / (1 + draws)
    assert ((p - exact).abs() <= width).all(), (p, exact)


@pytest.mark.parametrize("statistic", ["ap", "auroc"])
@pytest.mark.parametrize(("n_ids", "n_classes"), [(3, 2), (2, 3), (4, 3)])
def test_within_ids_the_limit_is_exact_enumeration(
    n_ids: int, n_classes: int, statistic: str
) -> None:
    labels, ids = parallel(n_ids, n_classes)
    x = (noise(len(labels), 6) * 2).round()
    places = [torch.nonzero(ids == name).flatten() for name in ids.unique()]
    for target in range(n_classes):
        every = []
        for chosen in product(range(n_classes), repeat=n_ids):
            positive = torch.zeros(len(labels), dtype=torch.bool)
            for place, at in zip(places, chosen, strict=True):
                positive[place[at]] = True
            every.append(positive)
        found = permutation_test(
            x, labels, targets=[target], sentence_ids=ids, draws=6000, statistic=statistic
        )
        assert_limit(found.p[0], exact_p(x, every, labels == target, statistic), 6000)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("statistic", ["ap", "auroc"])
def test_freely_the_limit_is_exact_enumeration(statistic: str, pooled: bool) -> None:
    labels = torch.tensor([1, 0, 0, 1, 0, 0, 0])
    x = torch.cat([noise(7, 5), (noise(7, 5) * 1.5).round(), torch.ones(7, 1)], 1)
    every = [torch.isin(torch.arange(7), torch.tensor(two)) for two in combinations(range(7), 2)]
    found = permutation_test(x, labels, targets=[1], draws=6000, statistic=statistic, pooled=pooled)
    assert_limit(found.p[0], exact_p(x, every, labels == 1, statistic), 6000)


def test_within_ids_every_id_keeps_one_sentence_of_each_class() -> None:
    labels, ids = parallel(9, 4)
    places = parallel_positions(ids, group(labels, n_sentences=36))
    drawn = list(relabelings(labels, places, draws=50, seed=0))
    for labeling in drawn:
        for name in ids.unique():
            assert labeling[ids == name].sort().values.tolist() == [0, 1, 2, 3]
    assert len({tuple(labeling.tolist()) for labeling in drawn}) == 50


def test_relabelings_are_uniform() -> None:
    labels, ids = parallel(1, 3)
    places = parallel_positions(ids, group(labels, n_sentences=3))
    for scheme in (places, None):
        drawn = [tuple(one.tolist()) for one in relabelings(labels, scheme, draws=6000, seed=1)]
        counts = [drawn.count(one) for one in permutations(range(3))]
        # Six equally likely outcomes: five standard deviations of 29.
        assert sum(counts) == 6000
        assert max(abs(count - 1000) for count in counts) < 145


@pytest.mark.parametrize(
    "options",
    [
        {"statistic": "ap"},
        {"statistic": "ap", "pooled": True},
        {"statistic": "auroc"},
        {"statistic": "auroc", "alternative": "two-sided"},
        {"statistic": "ap", "parallel": True},
        {"statistic": "auroc", "parallel": True},
    ],
    ids=str,
)
def test_p_is_uniform_under_the_null(options: dict[str, object]) -> None:
    """Sentence effects as large as the noise: within ids they do not disturb."""
    labels, ids = parallel(20, 4)
    x = noise(80, 600)
    kept = {name: value for name, value in options.items() if name != "parallel"}
    if "parallel" in options:
        kept["sentence_ids"] = ids
        x += noise(100, 600, seed=1)[ids]
    p = permutation_test(x, labels, targets=[2], draws=1999, **kept).p[0]
    assert kstest(p.numpy(), "uniform").pvalue > 0.01
    # Valid at every level: P(p <= a) <= a, four binomial standard deviations.
    for level in (0.01, 0.05, 0.2):
        assert float((p <= level).double().mean()) <= level + 4 * (level / 600) ** 0.5


def test_planted_experts_are_found_and_false_discoveries_are_few() -> None:
    labels, ids = parallel(60, 3)
    x = noise(180, 500) + noise(200, 500, seed=1)[ids]
    x[:, :100] += 2.0 * (labels == 1)[:, None]
    found = permutation_test(x, labels, targets=[1], sentence_ids=ids, draws=999, fdr=0.1)
    significant = found.significant[0]
    assert significant[:100].sum() >= 98
    false, all_found = int(significant[100:].sum()), int(significant.sum())
    # The expected share is at most 0.1 x 400 / 500; twice that is four deviations of 9 discoveries.
    assert 0 < false / all_found < 0.2
    assert found.observed[0, :100].min() > found.observed[0, 100:].median()


def test_q_is_the_step_up_procedure() -> None:
    labels, _ = parallel(20, 2)
    x = noise(40, 60) + torch.linspace(0, 1, 60) * labels[:, None]
    found = permutation_test(x, labels, draws=199, fdr=0.2)
    for p, q, significant in zip(found.p, found.q, found.significant, strict=True):
        ordered = p.sort().values
        passing = ordered <= 0.2 * torch.arange(1, 61) / 60
        cut = float(ordered[passing].max()) if passing.any() else 0.0
        assert torch.equal(significant, p <= cut)
        step_up = [min(60 * float(ordered[j]) / (j + 1) for j in range(i, 60)) for i in range(60)]
        assert q.sort().values.tolist() == pytest.approx(step_up, abs=1e-12)
    assert found.significant[1].any()


def same(found: PermutationTest, other: PermutationTest) -> bool:
    names = ("observed", "p", "q", "significant")
    return all(torch.equal(getattr(found, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize("scheme", ["free", "pooled", "parallel"])
def test_blocks_threads_and_other_targets_do_not_matter(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, ids = parallel(12, 3)
    x = (noise(36, 23) * 3).round()
    options = {"free": {}, "pooled": {"pooled": True}, "parallel": {"sentence_ids": ids}}[scheme]
    expected = permutation_test(x, labels, draws=50, seed=7, **options)
    assert same(permutation_test(x, labels, draws=50, seed=7, **options), expected)
    assert not same(permutation_test(x, labels, draws=50, seed=8, **options), expected)
    alone = permutation_test(x, labels, draws=50, seed=7, targets=[1], **options)
    assert torch.equal(alone.p[0], expected.p[1])
    module = sys.modules["mechsteer.kernels.permutation.operation"]
    monkeypatch.setattr(module, "LABEL_SETS", 7)
    monkeypatch.setattr(module, "NEURONS", 5)
    monkeypatch.setattr("mechsteer.kernels.permutation.tie_patterns._CHUNK_ELEMENTS", 100)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert same(permutation_test(x, labels, draws=50, seed=7, **options), expected)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_every_backend_and_stride_gives_the_same(dtype: torch.dtype) -> None:
    labels, ids = parallel(10, 3)
    x = (noise(30, 9) * 2).to(dtype)
    expected = permutation_test(x, labels, sentence_ids=ids, draws=40, backend="reference")
    for backend in SCORERS:
        for strided in (x, x.T.contiguous().T):
            found = permutation_test(strided, labels, sentence_ids=ids, draws=40, backend=backend)
            assert torch.equal(found.p, expected.p)
            torch.testing.assert_close(found.observed, expected.observed, rtol=0, atol=1.2e-7)


def test_pooling_shares_a_null_between_equal_tie_patterns_only() -> None:
    labels = torch.arange(24) % 3
    untied, tied = torch.arange(24.0), torch.arange(24.0).clamp(max=15)
    shuffled = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    # -0.0 ties with 0.0; a run of ties at the bottom is another pattern than one at the top.
    bottom = torch.where(tied == 15, torch.where(torch.arange(24) % 2 > 0, 0.0, -0.0), -tied - 16)
    x = torch.stack([untied, tied, untied[shuffled], tied.exp()[shuffled], -tied, bottom], 1)
    pooled = permutation_test(x, labels, draws=300, pooled=True)
    assert pooled.plan.n_nulls == 3
    each = permutation_test(x, labels, draws=300)
    assert each.plan.n_nulls == 6
    # The neuron that stands for a pattern sees the same draws either way.
    assert torch.equal(pooled.p[:, [0, 1, 4]], each.p[:, [0, 1, 4]])
    assert not torch.equal(pooled.p, each.p)


def test_duplicates_do_not_multiply_the_draws() -> None:
    labels = torch.arange(30) % 2
    x = noise(30, 1) + labels[:, None]
    alone = permutation_test(x, labels, draws=99, pooled=True)
    crowd = permutation_test(x.repeat(1, 50), labels, draws=99, pooled=True)
    assert torch.equal(crowd.p, alone.p.repeat(1, 50))
    assert crowd.p.min() >= crowd.resolution == 0.01


@pytest.mark.parametrize("pooled", [False, True])
def test_constant_columns_have_p_one(pooled: bool) -> None:
    found = permutation_test(torch.ones(12, 3), torch.arange(12) % 3, draws=20, pooled=pooled)
    assert (found.p == 1).all() and (found.q == 1).all() and not found.significant.any()


def test_a_two_sided_test_finds_neurons_that_fall_silent() -> None:
    labels = torch.arange(60) % 2
    x = noise(60, 2) - 3 * labels[:, None]
    options = {"targets": [1], "statistic": "auroc", "draws": 199}
    assert (permutation_test(x, labels, **options).p > 0.9).all()
    assert (permutation_test(x, labels, alternative="two-sided", **options).p < 0.01).all()


def test_no_columns_give_empty_tables() -> None:
    found = permutation_test(torch.zeros(6, 0), torch.arange(6) % 2, draws=3)
    assert found.p.shape == found.q.shape == found.significant.shape == (2, 0)


def test_the_plan_is_logged_first_and_progress_ends_at_the_total(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[tuple[int, int]] = []
    with caplog.at_level(logging.INFO, logger="mechsteer.kernels"):
        found = permutation_test(
            noise(8, 5),
            torch.arange(8) % 2,
            draws=30,
            progress=lambda done, total: calls.append((done, total)),
        )
    assert caplog.messages == [str(found.plan)]
    assert calls[-1] == (150, 150)
    assert found.resolution == 1 / 31


@pytest.mark.parametrize("draws", [1, 18, 19, 20, 99, 1000])
def test_the_plan_knows_how_many_must_be_significant_together(draws: int) -> None:
    plan = plan_permutations(100, 700, draws=draws, fdr=0.05)
    n, least = plan.n_tests, plan.fewest_significant
    thresholds = 0.05 * np.arange(1, n + 1) / n
    passing = np.flatnonzero(plan.resolution <= thresholds * (1 + 1e-12))
    assert least == passing[0] + 1 if len(passing) else least > n
    assert ("out of reach" in str(plan)) == (not len(passing))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("pooled", [False, True])
def test_activations_that_are_not_finite_are_refused_by_column(value: float, pooled: bool) -> None:
    x = noise(12, 300)
    x[5, 290] = value
    with pytest.raises(ValueError, match=r"column 290 \(sentence 5\)"):
        permutation_test(x, torch.arange(12) % 2, draws=3, pooled=pooled)


LABELS = torch.arange(6) % 2
IDS = torch.arange(6) // 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 0}, "at least one draw, got draws=0"),
        ({"targets": [2]}, r"distinct targets from 0 to 1, at least one, got \[2\]"),
        ({"targets": [1, 1]}, r"distinct targets .* got \[1, 1\]"),
        ({"targets": []}, r"at least one, got \[\]"),
        ({"statistic": "f1"}, "statistic must be 'ap' or 'auroc', got 'f1'"),
        ({"alternative": "less"}, "alternative must be"),
        ({"alternative": "two-sided"}, "two-sided test needs statistic='auroc'"),
        ({"fdr": 0.0}, "fdr must be between 0 and 1, got 0.0"),
        ({"sentence_ids": IDS, "pooled": True}, "pooled=True needs free permutations"),
        ({"sentence_ids": IDS[:5]}, "one id for each of the 6 sentences"),
        ({"sentence_ids": IDS.float()}, "integer sentence ids, got torch.float32"),
        ({"sentence_ids": torch.tensor([0, 0, 1, 1, 2, 3])}, "id 2 has 0 sentences of class 1"),
        ({"sentence_ids": torch.tensor([0, 0, 1, 1, 0, 0])}, "id 0 has 2 sentences of class 0"),
        ({"labels": LABELS[:5]}, "expected one label for each"),
        ({"labels": LABELS * 2}, "class 1 of 3 has no sentence"),
        ({"x": torch.zeros(6, 2).double()}, "expected activations"),
        ({"backend": "abacus"}, "backend must be one of"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(options: dict[str, object], message: str) -> None:
    arguments = {"x": noise(6, 2), "labels": LABELS, "draws": 3} | options
    with pytest.raises(ValueError, match=message):
        permutation_test(arguments.pop("x"), arguments.pop("labels"), **arguments)
