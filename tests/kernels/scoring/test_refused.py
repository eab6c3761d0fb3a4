"""What cannot be scored is refused, by column where there is one."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from mechsteer.kernels import score
from mechsteer.kernels.common.grouping import MAX_CLASSES
from tests.kernels.made import labelling

DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_activations_that_are_not_finite_are_refused_by_column(
    backend: str, dtype: torch.dtype, value: float
) -> None:
    x = torch.zeros(12, 400, dtype=dtype)
    x[5, 390], x[7, 301] = value, value
    with pytest.raises(ValueError, match=r"column 301 \(sentence 7\)"):
        score(x, labelling(12, 2), backend=backend)


@pytest.mark.parametrize(
    ("labels", "n_classes", "message"),
    [
        ([0, 2, 0, 2], None, "class 1 of 3 has no sentence"),
        ([0, 1, 0, 1], 3, "class 2 of 3 has no sentence"),
        ([0, 1, 2, 1], 2, "expected labels 0 to 1"),
        ([0, 0, 0, 0], None, "2 to 65535 classes, got 1"),
        ([0, 1, 0, -1], None, "labels of 0 and above, got -1"),
        ([0, 1, 0], None, "one label for each of the 4 sentences"),
        ([0.0, 1.0, 0.0, 1.0], None, "expected integer labels"),
        ([True, False, True, True], None, "expected integer labels"),
    ],
)
def test_labels_that_cannot_be_scored_are_refused(
    backend: str, labels: list[int], n_classes: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        score(torch.randn(4, 2), torch.tensor(labels), n_classes=n_classes, backend=backend)


def test_more_classes_than_a_word_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="2 to 65535 classes"):
        score(torch.randn(4, 1), torch.tensor([0, 1, 0, 1]), n_classes=MAX_CLASSES + 1)


@pytest.mark.parametrize("x", [torch.zeros(4, 2, dtype=torch.int32), torch.zeros(4)])
def test_activations_of_another_type_or_shape_are_refused(x: Tensor) -> None:
    with pytest.raises(ValueError, match="expected floating-point activations"):
        score(x, torch.tensor([0, 1, 0, 1]))


def test_one_sentence_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two sentences"):
        score(torch.zeros(1, 2), torch.tensor([0]))


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="backend must be one of"):
        score(torch.zeros(2, 2), torch.tensor([0, 1]), backend="gpu")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (torch.float64, [1e308, 1e308, 1.0, 2.0]),
        (torch.float64, [1e308, -1e308, 1e308, -1e308]),
        (torch.float64, [1e300, -1e300, 1.0, 2.0]),
        (torch.float32, [3.4e38, -3.4e38, 1.0, 2.0]),
        (torch.bfloat16, [1.0, 2.0, 3.3e38, -3.3e38]),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_moments_beyond_float32_are_refused_and_scores_are_not(
    dtype, values, kernel_backend, device
):
    x = torch.stack([torch.arange(4.0).double(), torch.tensor(values, dtype=torch.float64)], 1)
    x, labels = x.to(dtype).to(device), torch.tensor([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"moments are float32 numbers.* in column 1 \("):
        score(x, labels, backend=kernel_backend)
    found = score(x, labels, backend=kernel_backend, moments=False)
    expected = average_precision_score(labels == 1, x[:, 1].double().cpu().numpy() / 4)
    assert float(found.ap[1, 1]) == pytest.approx(expected, abs=1e-6)
