from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mechsteer.kernels import Neighbours, neighbours
from mechsteer.kernels.neighbours import backend_cpu
from mechsteer.kernels.neighbours.local_scaling import TIE
from mechsteer.kernels.neighbours.packed_keys import pack, unpack

METRICS = ("cosine", "margin", "difference", "csls")
DTYPES = (torch.bfloat16, torch.float16, torch.float32)
# Queries, candidates, d, k: off by one from a Triton tile on every axis, odd, single, all of them.
SHAPES = ((33, 129, 17, 10), (11, 31, 16, 31), (12, 11, 3, 1), (10, 140, 2, 31))


def embeddings(n: int, m: int, d: int, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two anisotropic sets, as a language model makes them: every cosine is positive."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(n, d, generator=generator), torch.randn(m, d, generator=generator)
    return (x + 2).to(dtype), (y + 2).to(dtype)


def oracle(x: Tensor, y: Tensor, metric: str, neighbourhood: int | None = None) -> np.ndarray:
    """The full matrix of scores, in numpy's float64."""
    a, b = (z.double().cpu().numpy() for z in (x, y))
    cosine = a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    size = neighbourhood or {"cosine": 1, "csls": 10}.get(metric, 4)
    r_x = np.sort(cosine, axis=1)[:, -size:].mean(1)[:, None]
    r_y = np.sort(cosine, axis=0)[-size:].mean(0)
    return {
        "cosine": cosine,
        "margin": 2 * cosine / (r_x + r_y),
        "difference": cosine - (r_x + r_y) / 2,
        "csls": 2 * cosine - r_x - r_y,
    }[metric]


def assert_found(found: Neighbours, scores: np.ndarray, k: int) -> None:
    """The oracle's order wherever its gaps exceed a tie; its scores everywhere."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    gaps = np.pad(-np.diff(ranked, axis=1), ((0, 0), (1, 1)), constant_values=np.inf)
    sure = np.minimum(gaps[:, :-1], gaps[:, 1:])[:, :k] > TIE
    index, score = found.index.cpu().numpy(), found.score.cpu().numpy()
    assert sure.mean() > 0.5, "the case has too many ties to test anything"
    np.testing.assert_array_equal(index[sure], order[:, :k][sure])
    # Rounding two unit rows and adding d <= 64 products in float32 errs by less than 2^-21; the
    # other metrics add two such means, and divide by one no smaller than 0.3 here.
    np.testing.assert_allclose(score, ranked[:, :k], rtol=0, atol=4 * 2.0**-21)
    np.testing.assert_allclose(
        score, np.take_along_axis(scores, index, axis=1), rtol=0, atol=4 * 2.0**-21
    )
    assert all(len(set(row)) == k for row in index)
    assert (
        not found.tied.cpu().numpy()[np.minimum(gaps[:, :-1], gaps[:, 1:])[:, :k] > 2 * TIE].any()
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_neighbours_equal_numpy(shape, metric, kernel_backend, device):
    *sizes, k = shape
    x, y = embeddings(*sizes, torch.float32)
    found = neighbours(x.to(device), y.to(device), k=k, metric=metric, backend=kernel_backend)
    assert found.index.dtype == torch.int64 and found.score.dtype == torch.float32
    assert_found(found, oracle(x, y, metric), k)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_is_searched_in_float32(dtype, kernel_backend, device):
    x, y = embeddings(7, 20, 33, dtype)
    found = neighbours(x.to(device), y.to(device), k=5, backend=kernel_backend)
    assert_found(found, oracle(x, y, "cosine"), 5)


def test_csls_is_twice_the_difference_margin(kernel_backend, device):
    x, y = (z.to(device) for z in embeddings(12, 15, 8, torch.float32))
    csls = neighbours(x, y, k=3, metric="csls", neighbourhood=4, backend=kernel_backend)
    margin = neighbours(x, y, k=3, metric="difference", backend=kernel_backend)
    assert torch.equal(csls.score, 2 * margin.score) and torch.equal(csls.index, margin.index)


def fan(*cosines: float) -> Tensor:
    """Unit vectors of the plane at these cosines to (1, 0)."""
    c = torch.tensor(cosines, dtype=torch.float64)
    return torch.stack([c, (1 - c * c).sqrt()], 1).float()


def test_a_gap_below_the_tolerance_is_a_tie_and_one_above_is_not(kernel_backend, device):
    y = fan(0.1, 0.5, 0.5 + 5e-7, 0.9, 0.9 + 3e-6)  # float32 inputs move these by 6e-8 at most
    found = neighbours(fan(1.0).to(device), y.to(device), k=5, backend=kernel_backend)
    assert found.tied[0].tolist() == [False, False, True, True, False]
    assert found.index[0, [0, 1, 4]].tolist() == [4, 3, 0]


@pytest.mark.parametrize("metric", METRICS)
def test_rows_that_are_nearly_parallel_come_in_their_exact_order(metric, kernel_backend, device):
    generator = torch.Generator().manual_seed(3)
    base = torch.randn(1, 300, generator=generator)
    x, y = (base + 3e-3 * torch.randn(n, 300, generator=generator) for n in (20, 200))
    y[150:] = y[:50].clone()  # duplicates: float32 tiles give some of them other scores
    found = neighbours(x.to(device), y.to(device), k=9, metric=metric, backend=kernel_backend)
    exact = oracle(x, y, metric)
    order = np.lexsort((np.broadcast_to(np.arange(200), exact.shape), -exact.round(14)))[:, :10]
    assert np.array_equal(found.index.cpu().numpy(), order[:, :9])
    kept = np.take_along_axis(exact, order, 1)
    assert np.abs(found.score.cpu().numpy() - kept[:, :9]).max() < 1e-7 * max(1, exact.max())
    close = kept[:, :-1] - kept[:, 1:] <= TIE
    tied = close.copy()
    tied[:, 1:] |= close[:, :-1]
    assert np.array_equal(found.tied.cpu().numpy(), tied)


def test_more_equal_candidates_than_are_kept_come_by_index(kernel_backend, device):
    y = torch.randn(1, 300, generator=torch.Generator().manual_seed(5)).repeat(700, 1)
    x = y[:3] + 1e-3 * torch.randn(3, 300, generator=torch.Generator().manual_seed(6))
    found = neighbours(x.to(device), y.to(device), k=4, backend=kernel_backend)
    assert found.index.tolist() == [[0, 1, 2, 3]] * 3 and found.tied.all()


def test_the_last_neighbour_is_tied_with_the_first_left_out(kernel_backend, device):
    x, y = fan(1.0).to(device), fan(0.9, 0.5, 0.5, 0.1).to(device)
    two = neighbours(x, y, k=2, backend=kernel_backend)
    assert two.index.tolist() == [[0, 1]] and two.tied.tolist() == [[False, True]]
    assert neighbours(x, y, k=1, backend=kernel_backend).tied.tolist() == [[False]]


def test_equal_scores_come_by_ascending_index(kernel_backend, device):
    y = torch.ones(300, 4, device=device)
    y[7] = y[150] = torch.tensor([1.0, 1.0, 1.0, 0.0])
    found = neighbours(torch.ones(2, 4, device=device), y, k=12, backend=kernel_backend)
    expected = [i for i in range(300) if i not in (7, 150)][:12]
    assert found.index.tolist() == [expected, expected] and found.tied.all()


def test_equal_scores_at_the_cut_of_a_row_keep_the_lowest_index(kernel_backend, device):
    y = fan(*[0.5] * 140, 0.9, *[0.5] * 40).to(device)
    found = neighbours(fan(1.0).to(device), y, k=4, backend=kernel_backend)
    assert found.index.tolist() == [[140, 0, 1, 2]]


@pytest.mark.parametrize("columns", [8192, 64, 5])
def test_many_equal_scores_are_cut_by_index_in_every_tile(
    columns, kernel_backend, device, monkeypatch
):
    monkeypatch.setattr(backend_cpu, "_COLUMNS", columns)
    kind = torch.randint(0, 3, (200,), generator=torch.Generator().manual_seed(0))
    kind[::25] = 3  # eight candidates: all that one query keeps, so that its cut is no tie
    y = torch.eye(4)[kind]
    found = neighbours(torch.eye(4).to(device), y.to(device), k=7, backend=kernel_backend)
    expected = y.T.argsort(dim=1, descending=True, stable=True)[:, :7]
    assert torch.equal(found.index.cpu(), expected) and found.tied.all()


@pytest.mark.parametrize("metric", ["cosine", "margin"])
def test_the_size_of_the_tiles_does_not_matter(metric, kernel_backend, device, monkeypatch):
    x, y = (z.to(device) for z in embeddings(9, 270, 5, torch.float32))
    whole = neighbours(x, y, k=3, metric=metric, backend=kernel_backend)
    if kernel_backend == "triton":
        monkeypatch.setattr(
            sys.modules["mechsteer.kernels.neighbours.backend_triton"], "_PROGRAMS", 1
        )
    monkeypatch.setattr(backend_cpu, "_ROWS", 7)
    monkeypatch.setattr(backend_cpu, "_COLUMNS", 5)
    tiled = neighbours(x, y, k=3, metric=metric, backend=kernel_backend)
    assert_found(tiled, oracle(x, y, metric), 3)
    assert torch.equal(whole.index[~whole.tied], tiled.index[~whole.tied])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 30), st.data())
def test_scaling_a_row_by_a_power_of_two_changes_nothing(seed, n, m, data):
    x, y = embeddings(n, m, 6, torch.float32, seed)
    k = data.draw(st.integers(0, m))
    scale = 2.0 ** torch.randint(-30, 30, (m, 1), generator=torch.Generator().manual_seed(seed))
    plain, scaled = neighbours(x, y, k=k), neighbours(x, scale * y, k=k)
    assert torch.equal(plain.index, scaled.index) and torch.equal(plain.score, scaled.score)


def test_strides_do_not_matter(kernel_backend, device):
    x, y = (z.to(device) for z in embeddings(6, 9, 8, torch.float32))
    expected = neighbours(x, y, k=3, backend=kernel_backend)
    wide = y.repeat_interleave(2, 1)[:, ::2]
    found = neighbours(x.T.contiguous().T, wide, k=3, backend=kernel_backend)
    assert torch.equal(found.index, expected.index) and torch.equal(found.score, expected.score)


@pytest.mark.parametrize(("n", "m", "k"), [(0, 3, 2), (3, 4, 0), (0, 0, 0), (2, 0, 0)])
def test_nothing_to_find_gives_an_empty_result(n, m, k, kernel_backend, device):
    x, y = torch.ones(n, 2, device=device), torch.ones(m, 2, device=device)
    found = neighbours(x, y, k=k, backend=kernel_backend)
    assert found.index.shape == found.score.shape == found.tied.shape == (n, k)


def test_more_neighbours_than_a_kernel_keeps_are_found_all_the_same(kernel_backend, device):
    x, y = embeddings(3, 90, 5, torch.float32)
    found = neighbours(x.to(device), y.to(device), k=90, backend=kernel_backend)
    assert_found(found, oracle(x, y, "cosine"), 90)


def test_extreme_magnitudes_have_cosines_too(kernel_backend, device):
    x = torch.tensor([[3e38, 3e38], [1e-42, 0.0]], device=device)
    y = torch.tensor([[0.0, 1e-40], [2e38, 0.0]], device=device)
    found = neighbours(x, y, k=2, backend=kernel_backend)
    assert found.index[1].tolist() == [1, 0] and found.tied[0].all()
    # One float32 rounding on the way to the unit row, one in the product.
    torch.testing.assert_close(found.score[0].cpu(), torch.full((2,), 0.5**0.5), rtol=2e-7, atol=0)


def test_a_low_matmul_precision_is_neither_used_nor_lost():
    x, y = embeddings(4, 6, 64, torch.float32)
    expected = neighbours(x, y, k=2)
    torch.set_float32_matmul_precision("medium")
    try:
        found = neighbours(x, y, k=2)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert torch.equal(found.score, expected.score)


@given(st.lists(st.tuples(st.floats(-4, 4, width=32), st.integers(0, 2**32 - 2)), min_size=1))
def test_keys_sort_as_scores_and_then_as_descending_indices(pairs):
    score, index = torch.tensor([p[0] for p in pairs]), torch.tensor([p[1] for p in pairs])
    ordered = pack(score, index).sort(descending=True).values
    found = list(zip(*(part.tolist() for part in reversed(unpack(ordered))), strict=True))
    assert found == sorted(
        zip(score.tolist(), index.tolist(), strict=True), key=lambda p: (-p[0], p[1])
    )


def test_centred_embeddings_have_no_ratio_margin_but_a_difference():
    x, y = embeddings(30, 30, 8, torch.float32)
    x, y = x - x.mean(0), y - y.mean(0)
    with pytest.raises(ValueError, match="use metric='difference'"):
        neighbours(x, -x.mean(0, keepdim=True) - 1 + 0 * y, k=1, metric="margin")
    assert_found(neighbours(x, y, k=3, metric="difference"), oracle(x, y, "difference"), 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.tensor([[1.0, 1.0], [0.0, 0.0]])}, r"row 1 of x has norm 0\.0"),
        ({"y": torch.tensor([[1.0, torch.nan]] * 3)}, "row 0 of y has norm nan"),
        (
            {"y": torch.tensor([[1.0, 1.0], [1.0, 1.0], [torch.inf, 1.0]])},
            "row 2 of y has norm inf",
        ),
        ({"x": torch.ones(2, 3)}, "one d for both"),
        ({"x": torch.ones(2, 2).double()}, "got .* of torch.float64"),
        ({"x": torch.ones(2)}, r"x must be \[row, d\]"),
        ({"k": 4}, r"k must be in 0\.\.3"),
        ({"k": -1}, "k must be"),
        ({"metric": "euclidean"}, "metric must be one of cosine, margin, difference, csls"),
        ({"metric": "csls"}, r"neighbourhood must be in 1\.\.2 .* got 10"),
        ({"metric": "margin", "neighbourhood": 0}, "got 0"),
        ({"neighbourhood": 2}, "not given for 'cosine'"),
        ({"backend": "faiss"}, "backend must be one of"),
    ],
)
def test_a_bad_input_is_refused_with_what_was_expected(change, message):
    good = {"x": torch.ones(2, 2), "y": torch.ones(3, 2), "k": 1}
    with pytest.raises(ValueError, match=message):
        neighbours(**(good | change))
