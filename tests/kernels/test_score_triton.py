"""The Triton path against the reference. Small: the interpreter walks custom scans in Python."""

from __future__ import annotations

import os
from dataclasses import fields

import pytest
import torch
from torch import Tensor

from mechsteer.kernels import Scores, score

pytestmark = pytest.mark.triton

DTYPES = (torch.bfloat16, torch.float16, torch.float32)


@pytest.fixture
def place() -> torch.device:
    if os.environ.get("TRITON_INTERPRET") == "1":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        pytest.skip("Triton needs a CUDA device or TRITON_INTERPRET=1")
    return torch.device("cuda")


def activations(kind: str, n: int, m: int, dtype: torch.dtype) -> Tensor:
    noise = torch.randn(n, m, generator=torch.Generator().manual_seed(n))
    made = {
        "wide": noise,
        "grid": (noise * 2).round() / 2,
        "signed zeros": torch.where(noise > 0.5, noise, noise.sign() * 0.0),
        "subnormal": (noise * 8).round() * 2.0 ** (-24 if dtype == torch.float16 else -133),
        "constant": torch.full_like(noise, -0.75),
    }
    return made[kind].to(dtype)


def assert_equals_reference(x: Tensor, labels: Tensor, place: torch.device) -> None:
    found = score(x.to(place), labels.to(place), backend="triton")
    expected = score(x, labels, backend="reference")
    for field in fields(Scores):
        # Float64 on both sides, rounded once to float32: 2^-24 relative, 3e-8 for AP and AUROC.
        torch.testing.assert_close(
            getattr(found, field.name).cpu(),
            getattr(expected, field.name),
            rtol=2.4e-7,
            atol=1.2e-7 if field.name in ("ap", "auroc") else 1e-11,
            equal_nan=True,
            msg=lambda message, name=field.name: f"{name}: {message}",
        )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["wide", "grid", "signed zeros", "subnormal", "constant"])
def test_equals_the_reference_on_every_kind_of_ties(
    place: torch.device, kind: str, dtype: torch.dtype
) -> None:
    labels = torch.arange(15) * 5 % 7 % 3
    assert_equals_reference(activations(kind, 15, 2, dtype), labels, place)


@pytest.mark.parametrize("n", [2, 3, 16])
def test_equals_the_reference_at_any_number_of_sentences(place: torch.device, n: int) -> None:
    labels = torch.arange(n) % 2
    assert_equals_reference(activations("grid", n, 1, torch.bfloat16), labels, place)


def test_equals_the_reference_for_more_classes_than_one_block(place: torch.device) -> None:
    labels = torch.arange(16) % 9
    assert_equals_reference(activations("grid", 16, 2, torch.bfloat16), labels, place)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_strides_do_not_matter(place: torch.device, dtype: torch.dtype) -> None:
    labels = torch.arange(10) % 2
    x = activations("wide", 10, 3, dtype)
    assert_equals_reference(x.T.contiguous().T, labels, place)
    wide = torch.zeros(20, 6, dtype=dtype)
    wide[::2, ::2] = x
    assert_equals_reference(wide[::2, ::2], labels, place)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_activations_that_are_not_finite_are_refused_by_column(
    place: torch.device, dtype: torch.dtype, value: float
) -> None:
    x = torch.zeros(6, 3, dtype=dtype)
    x[4, 1] = value
    with pytest.raises(ValueError, match=r"column 1 \(sentence 4\)"):
        score(x.to(place), torch.arange(6) % 2, backend="triton")


def test_too_many_sentences_for_one_program_are_refused(place: torch.device) -> None:
    with pytest.raises(ValueError, match="up to 4096 sentences"):
        score(torch.zeros(4097, 1, device=place), torch.arange(4097) % 2, backend="triton")


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [1000, 1024, 2049, 4096])
def test_equals_the_cpu_at_sizes_of_use(n: int, dtype: torch.dtype) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    x, labels = activations("wide", n, 300, dtype), torch.arange(n) % 12
    found, expected = score(x.cuda(), labels, backend="triton"), score(x, labels, backend="cpu")
    for field in fields(Scores):
        # As above, with sums of up to 4096 terms of size 4 that may cancel in means.
        torch.testing.assert_close(
            getattr(found, field.name).cpu(), getattr(expected, field.name), rtol=2.4e-7, atol=1e-7
        )
