"""What must not depend on the state of the process or on how a tensor was made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from mechsteer.kernels import (
    BinnedScores,
    KeyCounts,
    StreamingScores,
    edit_neurons,
    effect_size,
    linear_edges,
    neighbours,
    permutation_test,
    pool_tokens,
    quantile_edges,
    score,
    score_labelings,
    top_experts,
)

LABELS = torch.arange(40) % 3
X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def float64_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def streamed() -> list[Tensor]:
    stream = StreamingScores.from_positives(X[LABELS == 0])
    stream.update(X[LABELS == 1])
    found = stream.result()
    return [found.ap, found.auroc]


def keys_counted() -> list[Tensor]:
    counts = KeyCounts(6, 3, torch.float16)
    counts.update(X.half(), LABELS)
    found = counts.result()
    return [found.ap, found.auroc]


def scored(backend: Any) -> list[Tensor]:
    found = score(X, LABELS, backend=backend)
    return [v for v in vars(found).values() if v is not None and v.is_floating_point()]


def labelled(backend: Any) -> list[Tensor]:
    return list(vars(score_labelings(X, torch.stack([LABELS == 0]), backend=backend)).values())


def best(backend: Any) -> list[Tensor]:
    found = top_experts(X, LABELS == 0, 3, backend=backend)
    return [found.ap, found.effect_size]


SORTING = ("cpu", "numpy", "reference")
FLOAT32: dict[str, Callable[[], list[Tensor]]] = {
    **{f"score {name}": partial(scored, name) for name in SORTING},
    **{f"sets {name}": partial(labelled, name) for name in SORTING},
    **{f"top {name}": partial(best, name) for name in SORTING},
    "streaming": streamed,
    "key counts": keys_counted,
    "edges": lambda: [linear_edges(0.0, 1.0, 5), quantile_edges(X, 5)],
    "effect": lambda: [effect_size(X, X.abs(), 2 * X, X.abs())],
    "neighbours": lambda: [neighbours(X, X, k=2, metric="csls").score],
    "pooling": lambda: list(pool_tokens(X[:, None], LABELS[:, None] >= 0, how=("max", "mean"))),
    "observed": lambda: [permutation_test(X, LABELS, draws=2).observed],
    "edit": lambda: [
        edit_neurons(X[None], torch.tensor([1]), *torch.ones(2, 1, dtype=torch.float32))
    ],
}


@pytest.mark.parametrize("name", FLOAT32)
@pytest.mark.usefixtures("float64_by_default")
def test_results_are_float32_whatever_the_default_type(name: str) -> None:
    found = FLOAT32[name]()
    assert found and {value.dtype for value in found} == {torch.float32}


@pytest.mark.usefixtures("float64_by_default")
def test_the_default_type_changes_no_bit() -> None:
    wide = [FLOAT32[name]() for name in FLOAT32]
    torch.set_default_dtype(torch.float32)
    for found, expected in zip(wide, [FLOAT32[name]() for name in FLOAT32], strict=True):
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a, b)


def odd_bytes(truth: Tensor) -> Tensor:
    """The same truth values; true is stored as 255, 2 and 1 in turn."""
    values = torch.tensor([255, 2, 1], dtype=torch.uint8)[torch.arange(truth.numel()) % 3]
    return torch.where(truth, values.view(truth.shape), 0).view(torch.bool)


@pytest.mark.parametrize("backend", SORTING)
def test_booleans_of_any_bytes_count_once(backend: Any) -> None:
    member = torch.stack([LABELS == 0, LABELS == 1])
    found = score_labelings(X, odd_bytes(member), backend=backend)
    expected = score_labelings(X, member, backend=backend)
    assert torch.equal(found.ap, expected.ap) and torch.equal(found.auroc, expected.auroc)
    few, same = (top_experts(X, m[0], 3, backend=backend) for m in (odd_bytes(member), member))
    assert torch.equal(few.index, same.index) and torch.equal(few.ap, same.ap)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_masks_of_any_bytes_mask(backend: Any) -> None:
    z = torch.randn(4, 10, 6, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(40).view(4, 10) % 4 != 1
    for how in ("max", "mean", "last"):
        found, expected = (
            pool_tokens(z, m, how=how, backend=backend) for m in (odd_bytes(mask), mask)
        )
        assert torch.equal(found, expected)
    edit = (torch.tensor([1, 3]), torch.full((2,), 2.0), torch.ones(2))
    found, expected = (
        edit_neurons(z, *edit, mask=m, backend=backend) for m in (odd_bytes(mask), mask)
    )
    assert torch.equal(found, expected)


SETTINGS = {
    "untouched": lambda: None,
    "cuda": lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
    "mkldnn": lambda: setattr(torch.backends.mkldnn.matmul, "fp32_precision", "bf16"),
    "everything": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    "old": lambda: torch.set_float32_matmul_precision("medium"),
    "old flag": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
}


def precision() -> list[str]:
    parts = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul, torch.backends.mkldnn)
    return [part.fp32_precision for part in parts]


@pytest.fixture
def precision_restored() -> Iterator[None]:
    yield
    torch.backends.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    for part in (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul, torch.backends.mkldnn):
        part.fp32_precision = "none"


@pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="torch has one setting only"
)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.usefixtures("precision_restored")
def test_neighbours_work_in_every_precision_and_leave_it(setting: str) -> None:
    expected = neighbours(X, X, k=3)
    SETTINGS[setting]()
    before = precision()
    found = neighbours(X, X, k=3)
    assert torch.equal(found.score, expected.score) and precision() == before


def test_neighbours_do_not_round_under_autocast() -> None:
    expected = neighbours(X, X, k=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = neighbours(X, X, k=3)
    assert torch.equal(found.score, expected.score)


@pytest.mark.parametrize(("low", "high"), [(-3e38, 3e38), (-3.4e38, -3e38), (0.0, 3.4e38)])
def test_edges_span_all_of_float32(low: float, high: float) -> None:
    edges = linear_edges(low, high, 4)
    expected = [low + (high - low) * share for share in (0.25, 0.5, 0.75)]
    torch.testing.assert_close(edges.double(), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("bounds", [(0.0, 1e39), (-1e39, 0.0), (1.0, 1.0), (float("nan"), 1.0)])
def test_edges_beyond_float32_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected float32 numbers low < high"):
        linear_edges(*bounds, 4)


def test_a_sample_full_of_the_largest_number_has_edges() -> None:
    largest = torch.finfo(torch.float32).max
    sample = torch.tensor([[0.0], [largest], [largest], [largest]])
    edges = quantile_edges(sample, 4)
    assert edges.isfinite().all()
    counts = BinnedScores(edges, n_neurons=1, n_classes=2)
    counts.update(sample, torch.tensor([0, 1, 0, 1]))
    found, exact = counts.result().auroc, score(sample, torch.tensor([0, 1, 0, 1])).auroc
    assert bool(((found.low <= exact + 1e-6) & (exact - 1e-6 <= found.high)).all())
