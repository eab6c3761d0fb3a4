"""How the CPU kernels are compiled: without the GIL, once per machine, IEEE division by zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """Compile with strict floating-point order."""
    return _compile(function, fastmath=False)


def reassociated(function: _F) -> _F:
    """Compile and let sums be taken in vector registers: another order, the same one every time."""
    return _compile(function, fastmath={"reassoc"})


def _compile(function: _F, *, fastmath: bool | set[str]) -> _F:
    options = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        kernel: _F = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep the code in: a read-only installation
        kernel = njit(**options)(function)
    return kernel
