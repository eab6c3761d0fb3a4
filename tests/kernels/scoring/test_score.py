from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from mechsteer.kernels import Scores, score
from mechsteer.kernels.common.scratch import cached_bytes, pieces
from tests.kernels.made import labelling

FIELDS = ("ap", "auroc", "mean", "median", "std", "rest_mean", "rest_std")
# Results are float64 rounded to float32: half an ulp of numbers up to 1 is 3e-8, and the two sides
# may round their float64 to neighbouring floats.
RANKS = {"atol": 1.2e-7, "rtol": 0.0}


def activations(kind: str, n: int, m: int, dtype: torch.dtype) -> Tensor:
    """[sentence, neuron] of one kind of ties."""
    generator = torch.Generator().manual_seed(n * m)
    noise = torch.randn(n, m, generator=generator)
    made = {
        "wide": noise,
        "relu": noise.relu(),
        "grid": (noise * 4).round() / 4,
        "signed zeros": torch.where(noise > 0.5, noise, noise.sign() * 0.0),
        "subnormal": (noise * 8).round() * 2.0 ** (-24 if dtype == torch.float16 else -133),
        "extreme": noise.sign() * (noise.abs() > 1) * min(torch.finfo(dtype).max, 3.4e38),
        "offset": 100 + noise / 64,
        "constant": torch.full_like(noise, -0.75),
    }
    return made[kind].to(dtype)


KINDS = ("wide", "relu", "grid", "signed zeros", "subnormal", "extreme", "offset", "constant")
DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def assert_same(found: Scores, expected: Scores, *, scale: float = 0.0) -> None:
    """``scale`` is the largest activation: sums that cancel keep float64 rounding of that size."""
    # One float32 rounding of each side, 2^-24 of the number; float64 sums of up to 1e5 terms.
    moments = {"rtol": 2.4e-7, "atol": scale * 1e-11, "equal_nan": True}
    for field in FIELDS:
        torch.testing.assert_close(
            getattr(found, field),
            getattr(expected, field),
            msg=lambda m, f=field: f"{f}: {m}",
            **(RANKS if field in ("ap", "auroc") else moments),
        )
    assert torch.equal(found.counts, expected.counts)


def oracle(x: Tensor, labels: Tensor) -> Scores:
    """scikit-learn and numpy, column by column."""
    table = np.empty((7, int(labels.max()) + 1, x.shape[1]))
    for c in range(table.shape[1]):
        positive = (labels == c).numpy()
        for neuron, values in enumerate(x.double().numpy().T):
            own, rest = values[positive], values[~positive]
            with np.errstate(all="ignore"):
                table[:, c, neuron] = (
                    average_precision_score(positive, values),
                    roc_auc_score(positive, values),
                    own.mean(),
                    np.median(own),
                    own.std(ddof=1) if len(own) > 1 else np.nan,
                    rest.mean(),
                    rest.std(ddof=1) if len(rest) > 1 else np.nan,
                )
    counts = torch.bincount(labels)
    return Scores(*torch.from_numpy(table).float(), counts=counts)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_scikit_learn_on_every_kind_of_ties(
    backend: str, kind: str, dtype: torch.dtype
) -> None:
    x, labels = activations(kind, 61, 5, dtype), labelling(61, 3)
    assert_same(score(x, labels, backend=backend), oracle(x, labels), scale=float(x.abs().max()))


@pytest.mark.parametrize("n", [2, 3, 7, 31, 32, 33, 127, 128, 129, 1031])
def test_equals_scikit_learn_at_any_number_of_sentences(backend: str, n: int) -> None:
    x, labels = activations("grid", n, 3, torch.bfloat16), labelling(n, 2)
    assert_same(score(x, labels, backend=backend), oracle(x, labels), scale=float(x.abs().max()))


@pytest.mark.parametrize("alone", [0, 1])
def test_one_positive_or_one_negative_is_enough(backend: str, alone: int) -> None:
    x, labels = activations("wide", 40, 4, torch.float32), torch.full((40,), 1 - alone)
    labels[17] = alone
    found = score(x, labels, backend=backend)
    assert_same(found, oracle(x, labels), scale=float(x.abs().max()))
    assert found.std is not None
    assert found.std[alone].isnan().all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_equals_the_reference_for_many_classes(fast_backend: str, dtype: torch.dtype) -> None:
    x, labels = activations("relu", 230, 9, dtype), labelling(230, 100)
    found = score(x, labels, backend=fast_backend)
    assert_same(found, score(x, labels, backend="reference"), scale=1.0)


def test_more_classes_than_a_byte_holds(fast_backend: str) -> None:
    x, labels = activations("grid", 700, 2, torch.bfloat16), labelling(700, 700)
    expected = score(x, labels, backend="reference", moments=False).ap
    found = score(x, labels, backend=fast_backend, moments=False).ap
    torch.testing.assert_close(found, expected, **RANKS)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_more_sentences_than_sixteen_bits_hold(fast_backend: str, dtype: torch.dtype) -> None:
    x, labels = activations("wide", 70_001, 1, dtype), labelling(70_001, 3)
    assert_same(
        score(x, labels, backend=fast_backend), oracle(x, labels), scale=float(x.abs().max())
    )


def test_constant_columns_score_the_prevalence(backend: str) -> None:
    labels = torch.tensor([0, 1, 1, 2, 1, 0])
    found = score(torch.full((6, 2), -3.5), labels, backend=backend)
    prevalence = torch.tensor([2, 3, 1]) / 6
    assert torch.equal(found.ap, prevalence[:, None].expand(3, 2))
    assert torch.equal(found.auroc, torch.full((3, 2), 0.5))
    assert found.rest_std is not None
    assert torch.equal(found.rest_std, torch.zeros(3, 2))


def test_negative_zero_ties_with_zero(backend: str) -> None:
    x = torch.tensor([[0.0], [-0.0], [-0.0], [0.0]])
    found = score(x, torch.tensor([0, 1, 0, 1]), backend=backend)
    assert torch.equal(found.auroc, torch.full((2, 1), 0.5))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_strides_do_not_matter(fast_backend: str, dtype: torch.dtype) -> None:
    x, labels = activations("wide", 130, 300, dtype), labelling(130, 4)
    expected = score(x, labels, backend=fast_backend)
    padded = torch.zeros(310, 150, dtype=dtype)
    padded[:300, :130] = x.T
    every_other = torch.zeros(260, 600, dtype=dtype)
    every_other[::2, ::2] = x
    for same in (x.T.contiguous().T, padded[:300, :130].T, every_other[::2, ::2]):
        assert_same(score(same, labels, backend=fast_backend), expected)


def test_a_column_repeated_without_memory_scores_alike(fast_backend: str) -> None:
    x, labels = activations("wide", 50, 1, torch.bfloat16), labelling(50, 2)
    found = score(x.expand(50, 1000), labels, backend=fast_backend)
    assert torch.equal(found.ap, score(x, labels, backend=fast_backend).ap.expand(2, 1000))


def test_gradients_are_left_alone(backend: str) -> None:
    x = torch.randn(6, 2, requires_grad=True)
    assert not score(x, torch.tensor([0, 1, 0, 1, 0, 1]), backend=backend).ap.requires_grad


def test_threads_do_not_change_a_bit() -> None:
    x, labels = activations("wide", 90, 700, torch.float32), labelling(90, 5)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = score(x, labels, backend="cpu")
        torch.set_num_threads(4)
        together = score(x, labels, backend="cpu")
    finally:
        torch.set_num_threads(threads)
    for field in FIELDS:
        assert torch.equal(getattr(alone, field), getattr(together, field))


def test_a_quiet_rest_beside_a_loud_class_keeps_its_digits(backend: str) -> None:
    x = torch.tensor([[1e15], [-1e15], [1.0], [1.5], [2.0], [2.5]], dtype=torch.float32)
    found = score(x, torch.tensor([0, 0, 1, 1, 2, 2]), backend=backend)
    assert found.rest_std is not None
    expected = np.std([1.0, 1.5, 2.0, 2.5], ddof=1)
    assert found.rest_std[0].item() == pytest.approx(expected, rel=1e-7)  # one float32 rounding


def test_moments_are_left_out_on_request(backend: str) -> None:
    x, labels = activations("relu", 20, 3, torch.bfloat16), labelling(20, 2)
    found = score(x, labels, backend=backend, moments=False)
    assert torch.equal(found.ap, score(x, labels, backend=backend).ap)
    assert found.mean is found.median is found.std is found.rest_mean is found.rest_std is None


def test_no_neurons_give_empty_tables(backend: str) -> None:
    found = score(torch.empty(4, 0), torch.tensor([0, 1, 2, 1]), backend=backend)
    assert all(getattr(found, field).shape == (3, 0) for field in FIELDS)


def test_importing_the_kernels_loads_neither_numba_nor_triton() -> None:
    code = "import sys, mechsteer.kernels; print({'numba', 'triton'} & set(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert loaded.strip() == "set()"


columns = hnp.arrays(
    np.float32,
    st.tuples(st.integers(4, 40), st.integers(1, 3)),
    elements=st.floats(-100, 100, width=16),
)


@settings(deadline=None, max_examples=60)
@given(values=columns, seed=st.integers(0, 99))
def test_a_monotone_map_changes_no_rank(values: np.ndarray, seed: int) -> None:
    x, labels = torch.from_numpy(values), labelling(len(values), 2, seed)
    before = score(x, labels, backend="cpu")
    # Sixteen-bit floats times 8, exact in float32: strictly monotone, ties stay ties.
    after = score(x * 8, labels, backend="cpu")
    assert torch.equal(before.ap, after.ap)
    assert torch.equal(before.auroc, after.auroc)


@settings(deadline=None, max_examples=60)
@given(values=columns, seed=st.integers(0, 99))
def test_the_order_of_sentences_does_not_matter(values: np.ndarray, seed: int) -> None:
    x, labels = torch.from_numpy(values), labelling(len(values), 3, seed)
    shuffled = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    again = score(x[shuffled], labels[shuffled], backend="cpu")
    assert_same(again, score(x, labels, backend="cpu"), scale=100.0)


@settings(deadline=None, max_examples=60)
@given(values=columns, seed=st.integers(0, 99))
def test_auroc_of_the_other_class_is_the_complement(values: np.ndarray, seed: int) -> None:
    found = score(torch.from_numpy(values), labelling(len(values), 2, seed), backend="cpu").auroc
    # Both are float64 rounded to float32: each is off by 3e-8 at most.
    torch.testing.assert_close(found[0] + found[1], torch.ones(len(found[0])), **RANKS)


def test_scratch_between_two_kernels_fits_half_of_the_cache(monkeypatch):
    properties = SimpleNamespace(L2_cache_size=50 << 20)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    assert cached_bytes(torch.device("cpu")) is None
    most = cached_bytes(torch.device("cuda", 0))
    assert most == 25 << 20
    rows = torch.zeros(4000, 3)
    sizes = [len(piece) for _, piece in pieces(rows, 16_384, most=most)]
    assert sizes == [1600, 1600, 800]
    properties.L2_cache_size = 0  # a driver that does not say
    assert cached_bytes(torch.device("cuda", 0)) is None
