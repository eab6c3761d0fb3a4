"""The Triton path against the reference. Small: the interpreter walks custom scans in Python."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mechsteer.kernels import Scores, score, score_labelings
from mechsteer.kernels.scoring.sort_blocks import FORMS, lay_out

pytestmark = pytest.mark.triton

DTYPES = (torch.bfloat16, torch.float16, torch.float32)


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


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["wide", "grid", "signed zeros", "constant"])
def test_more_sentences_than_a_program_sorts_go_through_tensor_operations(
    place: torch.device, kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mechsteer.kernels.scoring.ranks_triton.MAX_SENTENCES", 20)
    labels = torch.arange(61) * 7 % 11 % 4
    assert_equals_reference(activations(kind, 61, 5, dtype), labels, place)


def test_a_neuron_that_is_not_finite_is_named_beyond_one_program(
    place: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mechsteer.kernels.scoring.ranks_triton.MAX_SENTENCES", 4)
    monkeypatch.setattr("mechsteer.kernels.common.scratch._SCRATCH_BYTES", 1)
    x = torch.zeros(6, 5)
    x[4, 3] = float("inf")
    with pytest.raises(ValueError, match=r"column 3 \(sentence 4\)"):
        score(x.to(place), torch.arange(6) % 2, backend="triton")


# sentences of each class: every form of the second sort, even and odd numbers of neurons
SIZES = {
    "one positive": [1, 14],
    "one negative": [14, 1],
    "unequal": [1, 5, 9],
    "small windows": [3] * 24,
    "a window each": [70, 70],
    "every sentence its own class": [1] * 20,
}


@pytest.mark.parametrize("neurons", [1, 2, 3])
@pytest.mark.parametrize("name", SIZES)
def test_classes_of_any_sizes_equal_the_reference(
    place: torch.device, name: str, neurons: int
) -> None:
    labels = torch.repeat_interleave(torch.tensor(SIZES[name]))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    assert_equals_reference(
        activations("grid", len(labels), neurons, torch.bfloat16), labels, place
    )


def test_every_class_fits_the_windows_it_is_laid_out_in() -> None:
    generator = np.random.default_rng(0)
    for n in (2, 50, 1000, 4096, 4097, 8192):
        for n_classes in (2, 3, 12, 100, 204):
            if n_classes > n:
                continue
            cuts = np.sort(generator.choice(np.arange(1, n), n_classes - 1, replace=False))
            counts = np.diff(np.concatenate([[0], cuts, [n]]))
            laid = lay_out(counts, n)
            tile, window = (1 << log for log in laid.form)
            assert laid.form in FORMS
            assert len(set(laid.slots.tolist())) == n and laid.slots.max() < len(laid.codes)
            first = laid.slots[np.cumsum(counts) - counts]
            assert (first // window == (first + counts - 1) // window).all()
            assert laid.tiles[-1] == n_classes and len(laid.codes) == tile * (len(laid.tiles) - 1)
            # a class number and a rank share 16 bits, which two neurons have each
            low = (laid.codes.view(np.uint32) & 0xFFFF)[laid.slots]
            room = 1 << int(n - 1).bit_length()
            assert not (low % room).any() and low.max() + room <= 1 << 16
            assert (laid.codes.view(np.uint32)[laid.slots] >> 16 == low).all()


@pytest.mark.parametrize("together", [1 << 16, 5])
@pytest.mark.parametrize("most", [8192, 8])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_overlapping_labelings_equal_the_reference(
    place: torch.device,
    dtype: torch.dtype,
    most: int,
    together: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mechsteer.kernels.scoring.ranks_triton.MAX_SENTENCES", most)
    monkeypatch.setattr("mechsteer.kernels.labelings.backend_triton._TOGETHER", together)
    x = activations("grid", 23, 3, dtype)
    positive = torch.rand(6, 23, generator=torch.Generator().manual_seed(2)) < 0.3
    positive[0], positive[-1] = False, True
    positive[0, 7], positive[-1, 2] = True, False
    found = score_labelings(x.to(place), positive, backend="triton")
    expected = score_labelings(x, positive, backend="reference")
    torch.testing.assert_close(found.ap.cpu(), expected.ap, rtol=0, atol=1.2e-7)
    torch.testing.assert_close(found.auroc.cpu(), expected.auroc, rtol=0, atol=1.2e-7)
    x[3, 1] = float("nan")
    with pytest.raises(ValueError, match=r"column 1 \(sentence 3\)"):
        score_labelings(x.to(place), positive, backend="triton")


def assert_labelings_equal_the_reference(
    x: Tensor, positive: Tensor, place: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the kernel for few labelings, whichever Triton is installed."""
    monkeypatch.setattr("mechsteer.kernels.labelings.one_set_triton.serves", lambda *_: True)
    found = score_labelings(x.to(place), positive, backend="triton")
    expected = score_labelings(x, positive, backend="reference")
    torch.testing.assert_close(found.ap.cpu(), expected.ap, rtol=0, atol=1.2e-7)
    torch.testing.assert_close(found.auroc.cpu(), expected.auroc, rtol=0, atol=1.2e-7)


@pytest.fixture
def few_positives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forms of the same kernel that the interpreter walks in less time: 3 and 15 positives."""
    concept_triton = pytest.importorskip("mechsteer.kernels.labelings.one_set_triton")
    form = next(iter(concept_triton.LAUNCHES.values()))
    forms = {log: replace(form, constants={"LOG": log, "TILE": 8}) for log in (2, 4)}
    monkeypatch.setattr(concept_triton, "LAUNCHES", forms)


@pytest.mark.usefixtures("few_positives")
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.parametrize("neurons", [1, 2, 3])
@pytest.mark.parametrize("kind", ["wide", "grid", "signed zeros", "subnormal", "constant"])
def test_few_labelings_equal_the_reference_on_every_kind_of_ties(
    place: torch.device,
    kind: str,
    neurons: int,
    dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    positive = torch.zeros(2, 37, dtype=torch.bool)
    positive[0, 1::3], positive[1, ::13] = True, True
    x = activations(kind, 37, neurons, dtype)
    assert_labelings_equal_the_reference(x, positive, place, monkeypatch)


@pytest.mark.usefixtures("few_positives")
@pytest.mark.parametrize(
    ("n_positives", "n"), [(1, 2), (1, 9), (15, 16), (15, 31), (14, 60), (4, 5), (3, 11)]
)
def test_few_labelings_of_any_size_equal_the_reference(
    place: torch.device, n_positives: int, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    positive = (order < n_positives)[None]
    x = activations("grid", n, 3, torch.bfloat16)
    assert_labelings_equal_the_reference(x, positive, place, monkeypatch)
    extreme = torch.where(x > 0, torch.finfo(x.dtype).max, torch.finfo(x.dtype).min).to(x.dtype)
    assert_labelings_equal_the_reference(extreme, positive, place, monkeypatch)


def test_few_labelings_equal_the_reference_in_the_form_of_use(
    place: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    positive = (torch.arange(1600) * 7 % 1600 < 1023)[None]
    x = activations("wide", 1600, 1, torch.bfloat16)
    assert_labelings_equal_the_reference(x, positive, place, monkeypatch)


@pytest.mark.usefixtures("few_positives")
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.parametrize("value", [float("nan"), -float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("sentence", [3, 20])
def test_few_labelings_refuse_what_is_not_finite_by_column(
    place: torch.device,
    dtype: torch.dtype,
    value: float,
    sentence: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mechsteer.kernels.labelings.one_set_triton.serves", lambda *_: True)
    x, positive = torch.zeros(21, 5, dtype=dtype), torch.arange(21)[None] < 10
    x[sentence, 3] = value
    with pytest.raises(ValueError, match=rf"column 3 \(sentence {sentence}\)"):
        score_labelings(x.to(place), positive, backend="triton")


def test_few_labelings_of_few_positives_are_scored_one_by_one() -> None:
    serves = pytest.importorskip("mechsteer.kernels.labelings.one_set_triton").serves
    assert serves(torch.bfloat16, 1025, 1, 1, (3, 8))
    assert serves(torch.float16, 20_000, 2, 2047, (4, 0))
    assert not serves(torch.bfloat16, 4096, 1, 1, (3, 7))  # a histogram costs a ballot for each bin
    assert not serves(torch.float32, 4096, 1, 1, (3, 8))
    assert not serves(torch.bfloat16, 1024, 1, 1, (3, 8))
    assert not serves(torch.bfloat16, 2048, 2, 1, (3, 8))
    assert not serves(torch.bfloat16, 4096, 3, 1, (3, 8))
    assert not serves(torch.bfloat16, 4096, 1, 2048, (3, 8))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [1000, 1024, 2049, 4096, 8192, 20_000])
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
