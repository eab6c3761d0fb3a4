"""CountSort without a GPU: its very source runs on the CPU, a block at a time, fiber by fiber."""

from __future__ import annotations

import ctypes
import importlib
import inspect
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from mechsteer.kernels import score
from mechsteer.kernels.common.cuda_launch import usable_on
from mechsteer.kernels.common.grouping import group
from mechsteer.kernels.scoring.count_sort import (
    _SIGNATURE,
    CONSTANTS,
    MAX_CLASSES,
    SOURCE,
    fill,
    lay_out,
    serves,
    shared_bytes,
)
from tests.kernels.made import KINDS, activations

HERE = Path(__file__).parent
DTYPES = (torch.bfloat16, torch.float16)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The kernels for the CPU, compiled with the constants that a device gets."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    library = tmp_path_factory.mktemp("count_sort") / "count_sort.so"
    defined = [f"-D{name}={value}" for name, value in CONSTANTS.items()]
    defined.append(f'-DCOUNT_SORT="{SOURCE.path}"')
    command = [compiler, "-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", *defined]
    command += [str(HERE / "count_sort_on_cpu.cpp"), "-o", str(library)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return ctypes.CDLL(str(library))


def counted(
    emulator: ctypes.CDLL, x: Tensor, labels: Tensor, seed: int = 0
) -> tuple[Tensor, Tensor, list[int]]:
    """AP, AUROC and whether each row is finite, of ``[sentence, neuron]`` as ``fill`` would ask."""
    grouping = group(labels, n_sentences=len(x))
    layout, rows = lay_out(grouping), x.T
    ap, auroc = torch.full((2, grouping.n_classes, len(rows)), torch.nan)
    finite = np.full(len(rows), -1, np.int32)
    infinity = int(torch.tensor(torch.inf, dtype=x.dtype).view(torch.int16))
    tables = [array.ctypes.data for array in layout[:4]]
    addresses = (rows.data_ptr(), *tables, ap.data_ptr(), auroc.data_ptr(), finite.ctypes.data)
    sizes = (len(x), grouping.n_classes, layout.n_maps, rows.stride(0), ap.stride(0), infinity)
    values = [kind(value) for kind, value in zip(_SIGNATURE, (*addresses, *sizes), strict=True)]
    walks = layout.kernel == "count_sort_walks"
    assert not emulator.run(walks, len(rows), shared_bytes(layout.n_maps), seed, *values), (
        "wrote outside"
    )
    return ap, auroc, finite.tolist()


def assert_equals_reference(
    emulator: ctypes.CDLL, x: Tensor, labels: Tensor, seed: int = 0
) -> None:
    x = x.T.contiguous().T
    ap, auroc, finite = counted(emulator, x, labels, seed)
    expected = score(x, labels, backend="reference", moments=False)
    assert finite == [1] * x.shape[1]
    # Float64 on the other side, rounded once: an ulp of AP, and of AUROC no difference at all.
    torch.testing.assert_close(ap, expected.ap, rtol=1.2e-7, atol=0)
    torch.testing.assert_close(auroc, expected.auroc, rtol=0, atol=0)


def shuffled(sizes: list[int], seed: int = 0) -> Tensor:
    labels = torch.repeat_interleave(torch.tensor(sizes))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_reference_on_every_kind_of_ties(emulator, kind, dtype):
    labels = shuffled([9, 33, 1, 200, 57])
    assert_equals_reference(emulator, activations(kind, 300, 2, dtype), labels)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [2, 3, 8, 9, 511, 513, 4095, 4096])
def test_equals_the_reference_at_any_number_of_sentences(emulator, n, dtype):
    assert_equals_reference(emulator, activations("wide", n, 2, dtype), torch.arange(n) * 7 % 2)


SIZES = {
    "one positive": [1, 14],
    "one negative": [14, 1],
    "bitmaps for all": [300] * 12 + [1] * 4,
    "small classes walked": [20] * 50,
    "walked and mapped": [64, 65, 3, 1, 500, 64, 2, 66] * 3,
    "many large": [65] * 63,
    "every sentence its own class": [1] * 300,
    "most classes": [4] * 847 + [118] * 6,
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", SIZES)
def test_classes_of_any_sizes_equal_the_reference(emulator, name, seed):
    labels = shuffled(SIZES[name])
    kind = ("grid", "wide")[seed]
    x = activations(kind, len(labels), 1, torch.bfloat16)
    assert_equals_reference(emulator, x, labels, seed)


def test_many_classes_fit_the_limit():
    assert len(SIZES["most classes"]) == MAX_CLASSES


def test_every_run_gives_the_same_bits_whatever_the_order_of_threads(emulator):
    x, labels = activations("wide", 2000, 1, torch.bfloat16), torch.arange(2000) % 40
    x = x.T.contiguous().T
    (ap, auroc, _), (ap2, auroc2, _) = (counted(emulator, x, labels, seed) for seed in (2, 3))
    assert torch.equal(ap, ap2) and torch.equal(auroc, auroc2)


def test_rows_that_are_not_aligned_are_read_too(emulator):
    wide = activations("wide", 101, 3, torch.float16).T.contiguous()  # rows of an odd length
    labels = torch.arange(100) % 3
    for first in (0, 1):
        x = wide[:, first : first + 100].T
        ap, auroc, _ = counted(emulator, x, labels)
        expected = score(x, labels, backend="reference", moments=False)
        torch.testing.assert_close(ap, expected.ap, rtol=1.2e-7, atol=0)
        assert torch.equal(auroc, expected.auroc)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("value", [float("nan"), -float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("sentence", [0, 20])
def test_a_neuron_that_is_not_finite_is_marked(emulator, sentence, value, dtype):
    x = torch.zeros(3, 21, dtype=dtype)
    x[1, sentence] = value
    ap, _, finite = counted(emulator, x.T, torch.arange(21) % 2)
    assert finite == [1, 0, 1] and ap[:, [0, 2]].isfinite().all()


def test_random_inputs_equal_the_reference(emulator):
    generator = np.random.default_rng(0)
    for seed in range(12):
        n = int(generator.choice([17, 64, 500, 1025, 4096]))
        n_classes = min(int(generator.choice([2, 12, 50, 204])), n // 2)
        labels = torch.from_numpy(
            generator.permutation(
                np.concatenate(
                    [np.arange(n_classes), generator.integers(0, n_classes, n - n_classes)]
                )
            )
        )
        scale = float(generator.choice([0.1, 1.0, 30.0, 1000.0]))
        noise = generator.standard_normal((1, n)) * scale
        x = torch.from_numpy(np.round(noise, int(generator.integers(0, 4)))).to(DTYPES[seed % 2])
        assert_equals_reference(emulator, x.T, labels, seed)


def test_auto_counts_on_a_device_where_it_can(monkeypatch):
    """Stand-ins for the device: which kernel is asked, and what becomes of its answer."""
    operation = importlib.import_module("mechsteer.kernels.scoring.operation")
    x, labels = activations("grid", 30, 4, torch.bfloat16), torch.arange(30) % 3
    expected = score(x, labels, backend="numpy", moments=False)
    asked = []

    def fill(ap, auroc, rows, grouping):
        asked.append(rows.shape)
        ap.copy_(expected.ap), auroc.copy_(expected.auroc)
        return -1 if rows.isfinite().all() else int(rows.isfinite().all(1).int().argmin())

    monkeypatch.setattr(operation, "choose_backend", lambda *_, **__: "triton")
    monkeypatch.setattr(operation.count_sort, "serves", lambda *_: True)
    monkeypatch.setattr(operation.count_sort, "fill", fill)
    monkeypatch.setattr(operation, "_fill", lambda *_: pytest.fail("sorted"))
    found = score(x, labels, moments=False)
    assert torch.equal(found.ap, expected.ap) and asked == [(4, 30)] and found.mean is None
    x[7, 2] = float("inf")
    with pytest.raises(ValueError, match=r"column 2 \(sentence 7\)"):
        score(x, labels, moments=False)
    for other in ({"moments": True}, {"moments": False, "backend": "triton"}):
        with pytest.raises(pytest.fail.Exception, match="sorted"):
            score(x, labels, **other)


def test_what_is_served(monkeypatch):
    rows = torch.zeros(2, 4096, dtype=torch.float16)
    assert not serves(rows, 2)  # no device
    there = SimpleNamespace(is_cuda=True, device=torch.device("cuda"), shape=(2, 4096))
    monkeypatch.setattr("mechsteer.kernels.scoring.count_sort.usable_on", lambda *_: True)
    for size, n, n_classes, expected in (
        (2, 4096, 2, True),
        (2, 1025, MAX_CLASSES, True),
        (2, 1024, 2, False),
        (2, 4096, MAX_CLASSES + 1, False),
        (2, 4097, 2, False),
        (4, 4096, 2, False),
    ):
        there.element_size, there.shape = (lambda size=size: size), (2, n)
        assert inspect.unwrap(serves)(there, n_classes) is expected


def test_without_the_bindings_nothing_is_compiled_and_nothing_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not usable_on.__wrapped__(SOURCE, torch.device("cuda"))


def test_a_source_that_does_not_compile_is_warned_of(monkeypatch):
    def refuse(*_):
        raise RuntimeError("error: invalid architecture\nmore")

    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", SimpleNamespace(driver=None))
    monkeypatch.setattr("mechsteer.kernels.common.cuda_launch.compiled", refuse)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    with pytest.warns(RuntimeWarning, match="count_sort.cu cannot be compiled for a GPU .*invalid"):
        assert not usable_on.__wrapped__(SOURCE, torch.device("cuda"))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", SIZES)
def test_a_device_gives_what_the_cpu_gives(name, dtype):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    labels = shuffled(SIZES[name])
    x = activations("wide", len(labels), 300, dtype)
    rows, grouping = x.cuda().T, group(labels, n_sentences=len(labels))
    assert usable_on(SOURCE, rows.device), "pip install 'mechsteer[cuda]'"
    ap, auroc = torch.empty(2, grouping.n_classes, 300, device="cuda")
    assert fill(ap, auroc, rows, grouping) == -1
    expected = score(x, labels, backend="cpu", moments=False)
    torch.testing.assert_close(ap.cpu(), expected.ap, rtol=1.2e-7, atol=0)
    assert torch.equal(auroc.cpu(), expected.auroc)
