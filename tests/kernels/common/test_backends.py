"""Which backend runs, where a compiler is missing, broken, or left an old cache."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from mechsteer.kernels import (
    KeyCounts,
    StreamingScores,
    neighbours,
    score,
    score_labelings,
    top_experts,
)
from mechsteer.kernels.common import backends
from mechsteer.kernels.common.backends import Backend, choose_backend, usable

LABELS = torch.arange(40) % 3
X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))


@contextmanager
def installed(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package ``numba`` of this source before all others."""
    (folder / "numba").mkdir()
    (folder / "numba" / "__init__.py").write_text(source)
    for name in [n for n in sys.modules if n == "numba" or n.startswith("numba.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(folder)
    usable.cache_clear()
    yield
    usable.cache_clear()


@pytest.mark.parametrize("error", ["ImportError", "AttributeError", "SystemError", "OSError"])
def test_a_compiler_that_is_broken_is_warned_of_once_and_not_used(
    error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = score(X, LABELS, backend="numpy")
    with installed(tmp_path, f"raise {error}('needs NumPy 2.4 or less')", monkeypatch):
        with pytest.warns(RuntimeWarning, match="numba is installed but cannot") as told:
            found = score(X, LABELS, backend="cpu")
        assert len(told) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            score_labelings(X, torch.stack([LABELS == 0, LABELS == 1]))
            top_experts(X, LABELS == 0, 2)
            counts = KeyCounts(6, 3, torch.bfloat16)
            counts.update(X.bfloat16(), LABELS)
            stream = StreamingScores.from_positives(X[LABELS == 0])
            stream.update(X[LABELS == 1])
    assert torch.equal(found.ap, expected.ap) and torch.equal(found.std, expected.std)


@pytest.mark.parametrize("backend", get_args(Backend))
def test_every_operation_takes_the_same_names(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    if backend == "triton":
        with pytest.raises(ValueError, match="needs Triton and a CUDA tensor"):
            score(X, LABELS, backend=backend)
        return
    expected = {"auto": "cpu"}.get(backend, backend)
    assert choose_backend(backend, X, has_numpy=True) == expected
    if backend == "numpy":
        with pytest.raises(ValueError, match="one of auto, triton, cpu, reference, got 'numpy'"):
            neighbours(X, X, backend=backend)


def test_a_cpu_tensor_takes_the_cpu_path() -> None:
    assert choose_backend("auto", X) == "cpu"
    assert (torch.bfloat16, torch.float16, torch.float32) == backends.DTYPES


def test_a_cache_that_names_a_class_of_an_older_version_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "from typing import NamedTuple\n"
        "from mechsteer.kernels.common.numba_jit import compiled\n"
        "class {name}(NamedTuple):\n    value: int\n"
        "@compiled\ndef twice(x):\n    return 2 * x.value\n"
        "def run():\n    return twice({name}(21))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("Old", "New"):
        (tmp_path / "cached_kernel.py").write_text(source.format(name=name))
        monkeypatch.delitem(sys.modules, "cached_kernel", raising=False)
        importlib.invalidate_caches()
        assert importlib.import_module("cached_kernel").run() == 42
    assert list((tmp_path / "__pycache__").glob("*.nbi"))
