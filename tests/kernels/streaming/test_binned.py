from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from mechsteer.kernels import BinnedResult, BinnedScores, linear_edges, quantile_edges
from mechsteer.kernels.scoring import backend_reference as reference

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
ROUNDING = 1e-13  # of float64 sums, as the documentation states


def counted(x: Tensor, labels: Tensor, edges: Tensor, n_classes: int) -> BinnedScores:
    made = BinnedScores(edges, n_neurons=x.shape[1], n_classes=n_classes)
    made.update(x, labels)
    return made


def exact(x: Tensor, labels: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """AP and AUROC by their definitions, float64, ``[class, neuron]``."""
    pairs = [
        [
            (reference.average_precision(v, labels == c), reference.auroc(v, labels == c))
            for v in x.T
        ]
        for c in range(n_classes)
    ]
    ap, auroc = torch.tensor(pairs, dtype=torch.float64).unbind(2)
    return ap, auroc


def assert_contains(found: BinnedResult, x: Tensor, labels: Tensor, n_classes: int) -> None:
    for bounds, truth in zip((found.ap, found.auroc), exact(x, labels, n_classes), strict=True):
        assert (bounds.low - ROUNDING <= truth).all() and (truth <= bounds.high + ROUNDING).all()
        assert ((bounds.estimate - truth).abs() <= bounds.error + ROUNDING).all()


VALUES = st.sampled_from([-3.0, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 2.0, 100.0])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_bounds_always_contain_the_exact_scores(data: st.DataObject) -> None:
    n, n_classes = data.draw(st.integers(3, 30)), data.draw(st.integers(2, 3))
    dtype = data.draw(st.sampled_from(DTYPES))
    x = torch.tensor(data.draw(st.lists(VALUES, min_size=2 * n, max_size=2 * n)), dtype=dtype)
    x, labels = x.view(n, 2), torch.arange(n) % n_classes
    n_bins = data.draw(st.integers(1, 9))
    drawn = data.draw(st.lists(VALUES, min_size=n_bins - 1, max_size=n_bins - 1))
    sample = data.draw(st.integers(1, n))
    for edges in (
        torch.tensor(sorted(drawn)),
        linear_edges(-1.0, 1.0, n_bins),
        quantile_edges(x[:sample], n_bins),
    ):
        assert_contains(counted(x, labels, edges, n_classes).result(), x, labels, n_classes)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["wide", "relu", "subnormal", "extreme", "constant"])
def test_bounds_contain_the_exact_scores_of_many_sentences(kind: str, dtype: torch.dtype) -> None:
    noise = torch.randn(601, 4, generator=torch.Generator().manual_seed(0))
    tiny = 2.0 ** (-24 if dtype == torch.float16 else -133)
    x = {
        "wide": noise,
        "relu": noise.relu(),
        "subnormal": (noise * 8).round() * tiny,
        "extreme": noise.sign() * (noise.abs() > 1) * min(torch.finfo(dtype).max, 3.4e38),
        "constant": torch.full_like(noise, -0.75),
    }[kind].to(dtype)
    labels = torch.arange(601) % 5
    for edges in (quantile_edges(x[labels == 0], 16), linear_edges(-2, 2, 16)):
        assert_contains(counted(x, labels, edges, 5).result(), x, labels, 5)


def test_bounds_are_the_best_and_the_worst_order_of_a_bin() -> None:
    """One positive below ten others and beside three negatives: either end can be."""
    x = torch.tensor([2.0] * 10 + [0.5] * 4)[:, None]
    labels = torch.tensor([0] * 11 + [1] * 3)
    found = counted(x, labels, torch.tensor([0.0, 1.0]), 2).result().ap
    assert found.high[0, 0].item() == pytest.approx(1.0)
    assert found.low[0, 0].item() == pytest.approx((10 + 11 / 14) / 11, abs=1e-4)
    x[10] = 0.4
    assert found.low[0, 0] <= exact(x, labels, 2)[0][0, 0]


def test_the_gap_shrinks_with_the_bins() -> None:
    x = torch.randn(2000, 6, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(2000) % 4
    results = [
        counted(x, labels, quantile_edges(x, n_bins), 4).result() for n_bins in (1, 4, 16, 64, 256)
    ]
    for bounds in ([r.ap for r in results], [r.auroc for r in results]):
        errors = torch.stack([b.error for b in bounds])
        assert (errors[1:] < errors[:-1] / 1.9).all()
        assert errors[-1].max() < 0.02


def test_splitting_a_bin_never_widens_the_bounds() -> None:
    x = torch.randn(300, 6, generator=torch.Generator().manual_seed(2)).round(decimals=1)
    labels = torch.arange(300) % 3
    fine = linear_edges(-2, 2, 32)
    coarse = counted(x, labels, fine[::2], 3).result()
    split = counted(x, labels, fine, 3).result()
    for wide, narrow in ((coarse.ap, split.ap), (coarse.auroc, split.auroc)):
        assert (narrow.low >= wide.low - ROUNDING).all()
        assert (narrow.high <= wide.high + ROUNDING).all()


def test_one_bin_gives_the_trivial_bounds() -> None:
    x, labels = torch.randn(12, 3), torch.tensor([0] * 4 + [1] * 8)
    found = counted(x, labels, torch.empty(0), 2).result()
    assert torch.equal(found.ap.high, torch.ones(2, 3).double())
    worst = np.mean([i / (i + 8) for i in (1, 2, 3, 4)])  # all negatives first
    assert worst - 5e-3 < found.ap.low[0].min() <= found.ap.low[0].max() <= worst
    assert torch.equal(found.auroc.low, torch.zeros(2, 3).double())
    assert torch.equal(found.auroc.high, torch.ones(2, 3).double())


def test_a_value_that_fills_bins_of_its_own_is_scored_exactly() -> None:
    x, labels = torch.full((40, 2), -0.75), torch.arange(40) % 4
    found = counted(x, labels, quantile_edges(x, 4), 4).result()
    for bounds, truth in ((found.ap, 0.25), (found.auroc, 0.5)):
        torch.testing.assert_close(bounds.low, torch.full((4, 2), truth).double())
        torch.testing.assert_close(bounds.high, torch.full((4, 2), truth).double())


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_however_sentences_are_split_ordered_and_merged_all_bits_are_the_same(
    data: st.DataObject,
) -> None:
    n = data.draw(st.integers(3, 30))
    x = torch.tensor(data.draw(st.lists(VALUES, min_size=2 * n, max_size=2 * n))).view(n, 2)
    labels, edges = torch.arange(n) % 3, quantile_edges(x[:5], 6)
    order = torch.tensor(data.draw(st.permutations(range(n))))
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=3)))
    batches = [torch.tensor_split(part[order], cuts) for part in (x, labels)]
    shards = [counted(*batch, edges, 3) for batch in zip(*batches, strict=True)]
    for shard in shards[1:]:
        shards[0].merge(shard)
    whole = counted(x, labels, edges, 3)
    assert torch.equal(shards[0].state()["counts"], whole.state()["counts"])
    assert torch.equal(shards[0].result().ap.low, whole.result().ap.low)
    assert shards[0].n_sentences == n


def test_edges_of_all_neurons_and_of_each_count_alike() -> None:
    x, labels = torch.randn(70, 5), torch.arange(70) % 3
    edges = linear_edges(-1, 1, 7)
    shared = counted(x, labels, edges, 3)
    own = counted(x.T.contiguous().T, labels, edges.repeat(5, 1), 3)
    assert torch.equal(shared.state()["counts"], own.state()["counts"])
    assert shared.nbytes == BinnedScores.memory(5, 7, 3, shared_edges=True)
    assert own.nbytes == BinnedScores.memory(5, 7, 3)


def test_neurons_are_counted_in_pieces_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = torch.randn(70, 9), torch.arange(70) % 3
    edges = quantile_edges(x, 8)
    whole = counted(x, labels, edges, 3)
    monkeypatch.setattr("mechsteer.kernels.streaming.binned_scores._CHUNK_ELEMENTS", 150)
    pieces = counted(x, labels, edges, 3)
    assert torch.equal(pieces.state()["counts"], whole.state()["counts"])
    assert torch.equal(pieces.result().ap.low, whole.result().ap.low)


def test_an_edge_belongs_to_the_bin_above() -> None:
    x = torch.tensor([[-0.0], [0.0], [-1e-30], [1.0]])
    counts = counted(x, torch.arange(4), torch.tensor([0.0, 1.0]), 4).state()["counts"]
    assert counts[0].tolist() == [[0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]


def test_quantiles_put_as_many_of_the_sample_in_each_bin() -> None:
    sample = torch.randn(64, 3)
    counts = counted(sample, torch.arange(64) % 2, quantile_edges(sample, 8), 2).state()["counts"]
    assert (counts.sum(2) == 8).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_batch_that_is_not_finite_is_refused_by_column_and_leaves_no_trace(
    dtype: torch.dtype, value: float
) -> None:
    x = torch.zeros(5, 4, dtype=dtype)
    x[3, 2] = value
    found = BinnedScores(linear_edges(0, 1, 4), n_neurons=4, n_classes=2)
    with pytest.raises(ValueError, match=r"column 2 \(sentence 3\)"):
        found.update(x, torch.arange(5) % 2)
    assert not found.state()["counts"].any()
    with pytest.raises(ValueError, match=r"column 2 \(sentence 3\)"):
        quantile_edges(x, 4)


def test_a_batch_without_sentences_changes_nothing_and_has_no_result() -> None:
    found = BinnedScores(linear_edges(0, 1, 4), n_neurons=4, n_classes=2)
    found.update(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match="class 0 of 2 has no sentence yet"):
        found.result()


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (torch.tensor([1.0, 0.0]), "ascending"),
        (torch.tensor([0.0, float("nan")]), "finite"),
        (torch.tensor([0, 1]), "floating point"),
        (torch.zeros(3, 2), "edges of 4 neurons, got 3"),
        (torch.tensor(0.0), "of shape"),
    ],
)
def test_edges_that_do_not_fit_are_refused(edges: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BinnedScores(edges, n_neurons=4, n_classes=2)


def test_bins_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        linear_edges(1, 1, 4)
    with pytest.raises(ValueError, match="at least one bin"):
        linear_edges(0, 1, 0)
    with pytest.raises(ValueError, match="a sample of 0 and 4"):
        quantile_edges(torch.zeros(0, 2), 4)
    with pytest.raises(ValueError, match="two classes, got 4 and 1"):
        BinnedScores(linear_edges(0, 1, 4), n_neurons=4, n_classes=1)


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (torch.zeros(3, 3), torch.arange(3), "4 neurons"),
        (torch.zeros(3, 4).double(), torch.arange(3), "float64"),
        (torch.zeros(3, 4), torch.arange(4), "each of the 3 sentences"),
        (torch.zeros(3, 4), torch.arange(3), "labels 0 to 1"),
    ],
)
def test_batches_that_do_not_fit_are_refused(x: Tensor, labels: Tensor, message: str) -> None:
    found = BinnedScores(linear_edges(0, 1, 4), n_neurons=4, n_classes=2)
    with pytest.raises(ValueError, match=message):
        found.update(x, labels)


def test_counts_of_other_bins_do_not_merge() -> None:
    found = BinnedScores(linear_edges(0, 1, 4), n_neurons=4, n_classes=2)
    with pytest.raises(ValueError, match=r"to merge, got \(4, 5, 2\)"):
        found.merge(BinnedScores(linear_edges(0, 1, 5), n_neurons=4, n_classes=2))
    with pytest.raises(ValueError, match="equal edges"):
        found.merge(BinnedScores(linear_edges(0, 2, 4), n_neurons=4, n_classes=2))


def test_a_saved_state_goes_on(tmp_path: Path) -> None:
    x, labels = torch.randn(60, 3), torch.arange(60) % 4
    edges = quantile_edges(x, 9)
    found = counted(x[:40], labels[:40], edges, 4)
    save_file(found.state(), tmp_path / "state.safetensors")
    resumed = BinnedScores.from_state(load_file(tmp_path / "state.safetensors"))
    resumed.update(x[40:], labels[40:])
    assert torch.equal(resumed.state()["counts"], counted(x, labels, edges, 4).state()["counts"])
    assert found.n_sentences == 40
    for broken in (
        {"edges": edges},
        {"edges": edges, "counts": torch.zeros(3, 9)},
        {"edges": edges, "counts": torch.zeros(3, 8, 4, dtype=torch.int64)},
    ):
        with pytest.raises(ValueError, match=r"expected (a state|counts)"):
            BinnedScores.from_state(broken)


def test_bounds_of_more_sentences_than_float32_counts_hold() -> None:
    """A billion sentences by merging: AUROC does not move, and nor may its bounds."""
    x, labels = torch.randn(90, 20), torch.arange(90) % 3
    found = counted(x, labels, quantile_edges(x, 30), 3)
    few = found.result()
    for _ in range(15):
        part = BinnedScores.from_state(found.state())
        found.merge(part)
        found.merge(part)
    many = found.result()
    assert found.n_sentences == 90 * 3**15
    torch.testing.assert_close(few.auroc.low, many.auroc.low, rtol=0, atol=ROUNDING)
    torch.testing.assert_close(few.auroc.high, many.auroc.high, rtol=0, atol=ROUNDING)
    counts = found.state()["counts"].flip(1).double()
    other = counts.sum(2, keepdim=True) - counts
    a, b = counts.cumsum(1) - counts, other.cumsum(1)
    worst = counts - b * torch.log1p(counts / (a + 0.5 + b))
    expected = (worst.sum(1) / counts.sum(1)).T
    torch.testing.assert_close(many.ap.low, expected, rtol=0, atol=ROUNDING)


@pytest.mark.gpu
def test_a_device_counts_as_the_cpu_does() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    x, labels = torch.randn(500, 30), torch.arange(500) % 5
    edges = quantile_edges(x, 64)
    found = counted(x.cuda(), labels.cuda(), edges.cuda(), 5)
    expected = counted(x, labels, edges, 5)
    assert torch.equal(found.state()["counts"].cpu(), expected.state()["counts"])
    torch.testing.assert_close(found.result().ap.low.cpu(), expected.result().ap.low)
