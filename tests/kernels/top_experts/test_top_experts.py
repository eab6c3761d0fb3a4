from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from mechsteer.kernels import TopExperts, effect_size, score, top_experts
from mechsteer.kernels.top_experts.bounds import SLACK

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
KINDS = ("wide", "relu", "grid", "signed zeros", "subnormal", "extreme", "heavy", "constant")
PRUNING = ("cpu", "numpy")


def activations(kind: str, n: int, m: int, dtype: torch.dtype) -> Tensor:
    """[sentence, neuron]; odd columns favour the first third of the sentences."""
    noise = torch.randn(n, m, generator=torch.Generator().manual_seed(n + m))
    noise[: n // 3, 1::2] += torch.linspace(0, 3, m)[1::2]
    largest = min(torch.finfo(dtype).max, 3.4e38)
    made = {
        "wide": noise,
        "relu": noise.relu(),
        "grid": (noise * 2).round() / 2,
        "signed zeros": torch.where(noise > 0.5, noise, noise.sign() * 0.0),
        "subnormal": (noise * 8).round() * 2.0 ** (-24 if dtype == torch.float16 else -133),
        "extreme": noise.sign() * (noise.abs() > 1) * largest,
        "heavy": (noise * 3).exp().clamp(max=6e4),
        "constant": torch.full_like(noise, -0.75),
    }
    return made[kind].to(dtype)


def first(n: int, share: float = 1 / 3) -> Tensor:
    """The first sentences are the positives."""
    return torch.arange(n) < max(1, min(n - 1, round(share * n)))


def brute_force(x: Tensor, positive: Tensor, k: int, backend: str) -> TopExperts:
    """Score everything, then sort."""
    found = score(x, positive.long(), backend=backend)
    ap, moments = found.ap[1], (found.mean, found.std, found.rest_mean, found.rest_std)
    d = effect_size(*(table[1] for table in moments))
    order = torch.from_numpy(np.lexsort((-d.numpy(), -ap.numpy()))[:k])
    tied = int((ap == ap[order[-1]]).sum()) if k else 0
    return TopExperts(order, ap[order], d[order], tied, x.shape[1])


def assert_same(found: TopExperts, expected: TopExperts) -> None:
    assert found.index.tolist() == expected.index.tolist()
    assert torch.equal(found.ap.cpu(), expected.ap)
    assert torch.equal(found.effect_size.cpu(), expected.effect_size)
    assert found.tied_at_cut == expected.tied_at_cut
    assert found.n_scored <= expected.n_scored


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [0, 1, 7, 40])
@pytest.mark.parametrize("pruning", PRUNING)
def test_equals_scoring_everything_and_sorting(
    pruning: str, k: int, kind: str, dtype: torch.dtype
) -> None:
    x, positive = activations(kind, 90, 40, dtype), first(90)
    assert_same(top_experts(x, positive, k, backend=pruning), brute_force(x, positive, k, pruning))


@pytest.mark.parametrize("size", [1, 89])
@pytest.mark.parametrize("pruning", PRUNING)
def test_one_positive_or_one_negative_is_enough(pruning: str, size: int) -> None:
    x, positive = activations("grid", 90, 60, torch.bfloat16), torch.arange(90) < size
    found = top_experts(x, positive, 9, backend=pruning)
    assert_same(found, brute_force(x, positive, 9, pruning))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(PRUNING))
def test_equals_brute_force_under_heavy_ties(data: st.DataObject, pruning: str) -> None:
    n, m = data.draw(st.integers(2, 14)), data.draw(st.integers(1, 12))
    values = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 2**-23, 2.0, -3.0, 1e-45, 1e38, -1e38])
    x = torch.from_numpy(data.draw(hnp.arrays(np.float32, (n, m), elements=values)))
    size = data.draw(st.integers(1, n - 1))
    positive = torch.from_numpy(np.array(data.draw(st.permutations(range(n)))) < size)
    k = data.draw(st.integers(0, m))
    # Sums of 1e38 and -1e38 depend on their order, so both sides take them in the same one.
    assert_same(top_experts(x, positive, k, backend=pruning), brute_force(x, positive, k, pruning))


@pytest.mark.parametrize("pruning", PRUNING)
def test_saturated_columns_are_ordered_by_effect_size_then_column(pruning: str) -> None:
    x, positive = torch.randn(60, 500, generator=torch.Generator().manual_seed(0)), first(60)
    x[:20, 100:400] = 50 + x[:20, 100:400].relu()
    x[:, 250] = x[:, 120]  # the same effect size: the lower column first
    found = top_experts(x, positive, 50, backend=pruning)
    assert found.tied_at_cut == 300
    assert found.n_scored < 350
    assert (found.effect_size.diff() <= 0).all()
    order = top_experts(x, positive, 500, backend=pruning).index.tolist()
    assert order.index(250) == order.index(120) + 1


@pytest.mark.parametrize("pruning", PRUNING)
def test_columns_that_all_tie_are_all_scored(pruning: str) -> None:
    x, positive = torch.ones(30, 200), first(30)
    found = top_experts(x, positive, 3, backend=pruning)
    assert found.index.tolist() == [0, 1, 2]
    assert found.tied_at_cut == found.n_scored == 200
    assert found.ap.tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("pruning", PRUNING)
def test_differences_of_one_rounding_step_are_seen(pruning: str) -> None:
    x, positive = torch.ones(40, 8), first(40)
    x[3, 5] = 1 + 2.0**-23
    x[3, 2] = 1 - 2.0**-24
    found = top_experts(x, positive, 8, backend=pruning)
    assert_same(found, brute_force(x, positive, 8, "reference"))
    assert found.index[0] == 5 and found.index[-1] == 2


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("pruning", PRUNING)
def test_few_of_many_neurons_are_scored(pruning: str, dtype: torch.dtype) -> None:
    """Effect sizes as measured on real models: heavy-tailed, most small."""
    generator = np.random.default_rng(0)
    strength = np.abs(generator.standard_t(4, 3000)) * 0.35
    rows = torch.from_numpy(generator.standard_normal((3000, 480)).astype(np.float32))
    rows[:, :40] += torch.from_numpy(strength)[:, None].float()
    found = top_experts(rows.to(dtype).T, torch.arange(480) < 40, 30, backend=pruning)
    assert 30 <= found.n_scored < 0.05 * 3000
    assert_same(found, brute_force(rows.to(dtype).T, torch.arange(480) < 40, 30, "cpu"))


@pytest.mark.parametrize("pruning", PRUNING)
def test_strides_do_not_matter(pruning: str) -> None:
    x, positive = activations("relu", 50, 300, torch.bfloat16), first(50)
    expected = brute_force(x, positive, 12, "cpu")
    wide = torch.zeros(100, 600, dtype=x.dtype)
    wide[::2, ::2] = x
    for same in (x.T.contiguous().T, wide[::2, ::2]):
        assert_same(top_experts(same, positive, 12, backend=pruning), expected)


def test_pieces_and_threads_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x, positive = torch.ones(30, 100), first(30)
    x[:10, 50:] = activations("grid", 10, 50, torch.float32)
    expected = brute_force(x, positive, 60, "reference")
    module = sys.modules["mechsteer.kernels.top_experts.operation"]
    monkeypatch.setattr(module, "_STAGING_BYTES", 1000)
    assert_same(top_experts(x, positive, 60), expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("searching", [*PRUNING, "reference"])
@pytest.mark.parametrize("k", [0, 2])
def test_activations_that_are_not_finite_are_refused_in_any_column(
    searching: str, k: int, dtype: torch.dtype, value: float
) -> None:
    """Also where no bound would have let it through: a negative at the bottom of a bad neuron."""
    x, positive = activations("wide", 30, 400, dtype), first(30)
    x[:10, :9] += 20
    x[:10, 333] -= 20
    x[29, 333] = value
    with pytest.raises(ValueError, match=r"column 333 \(sentence 29\)"):
        top_experts(x, positive, k, backend=searching)


@pytest.mark.parametrize(
    ("positive", "k", "message"),
    [
        (torch.zeros(6).bool(), 1, "got 0 positives among 6"),
        (torch.ones(6).bool(), 1, "got 6 positives among 6"),
        (torch.ones(5).bool(), 1, "one boolean for each of the 6 sentences"),
        (torch.ones(6), 1, "one boolean for each of the 6 sentences, got torch.float32"),
        (torch.arange(6) < 2, 5, r"k must be an integer in 0\.\.4, the number of columns, got 5"),
        (torch.arange(6) < 2, -1, "got -1"),
        (torch.arange(6) < 2, 0.5, "got 0.5"),
    ],
)
def test_bad_arguments_are_refused(positive: Tensor, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        top_experts(torch.zeros(6, 4), positive, k)


@pytest.mark.parametrize("x", [torch.zeros(6), torch.zeros(6, 2).long(), torch.zeros(6, 2).int()])
def test_activations_of_another_type_or_shape_are_refused(x: Tensor) -> None:
    with pytest.raises(ValueError, match="expected activations"):
        top_experts(x, torch.arange(6) < 2, 1)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [0, 1, 2, 2, 2, 2], [3, 3, 3, 3, 2, 2]])
def test_labels_of_which_the_positives_are_no_class_are_refused(labels: list[int]) -> None:
    positive = torch.tensor([True, True, True, False, False, False])
    with pytest.raises(ValueError, match="the positives are one class"):
        top_experts(torch.zeros(6, 2), positive, 1, labels=torch.tensor(labels))


def test_no_columns_have_no_experts() -> None:
    found = top_experts(torch.zeros(4, 0), torch.arange(4) < 2, 0)
    assert len(found.index) == found.tied_at_cut == found.n_scored == 0


@pytest.mark.triton
@pytest.mark.parametrize("form", ["histogram", "thresholds"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_triton_bounds_hold(place: torch.device, kind: str, dtype: torch.dtype, form: str) -> None:
    from mechsteer.kernels.top_experts.backend_triton import bound

    x, positive = activations(kind, 40, 3, dtype).to(place), first(40).to(place)
    lo, hi = torch.empty(2, 3, device=place)
    assert bound(lo, hi, x.T, positive, form=form) == -1
    ap = score(x.cpu(), positive.cpu().long(), backend="reference").ap[1]
    assert (lo.cpu() * (1 - SLACK) <= ap).all()
    assert (hi.cpu() * (1 + SLACK) >= ap).all()
    if kind in ("wide", "relu"):
        assert (hi - lo).mean() < 0.25, "bounds that say something"


@pytest.mark.triton
@pytest.mark.parametrize("form", ["histogram", "thresholds"])
def test_triton_bounds_hold_over_several_tiles(place: torch.device, form: str) -> None:
    from mechsteer.kernels.top_experts.backend_triton import bound

    x, positive = activations("wide", 2100, 2, torch.bfloat16), first(2100, 1 / 7)
    lo, hi = torch.empty(2, 2, device=place)
    strided = x.to(place)  # sentences first: every stride is another one
    assert bound(lo, hi, strided.T, positive.to(place), form=form) == -1
    ap = score(x, positive.long(), backend="cpu").ap[1]
    assert (lo.cpu() * (1 - SLACK) <= ap).all() and (hi.cpu() * (1 + SLACK) >= ap).all()
    assert (hi - lo).max() < 0.2


@pytest.mark.triton
@pytest.mark.parametrize("kind", ["relu", "grid", "constant"])
def test_triton_finds_the_same_experts(place: torch.device, kind: str) -> None:
    x, positive = activations(kind, 48, 24, torch.bfloat16), first(48)
    for k in (0, 5, 24):
        found = top_experts(x.to(place), positive.to(place), k, backend="triton")
        assert_same(found, brute_force(x, positive, k, "cpu"))


@pytest.mark.triton
@pytest.mark.parametrize("form", ["histogram", "thresholds"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_triton_refuses_activations_that_are_not_finite(
    place: torch.device, dtype: torch.dtype, value: float, form: str
) -> None:
    from mechsteer.kernels.top_experts.backend_triton import bound

    x, positive = activations("wide", 20, 4, dtype).to(place), first(20).to(place)
    x[19, 2] = value
    lo, hi = torch.empty(2, 4, device=place)
    assert bound(lo, hi, x.T, positive, form=form) == 2
    with pytest.raises(ValueError, match=r"column 2 \(sentence 19\)"):
        top_experts(x, positive, 1, backend="triton")
