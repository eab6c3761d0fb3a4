"""How the CPU kernels are compiled: without the GIL, once per machine, IEEE division by zero."""

from __future__ import annotations

import inspect
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
    function = inspect.unwrap(function)  # a runtime type checker may have wrapped it
    try:
        kernel: _F = njit(cache=True, **options)(function)
        _drop_stale_cache(kernel)
    except (RuntimeError, OSError):  # no folder to keep the code in: a read-only installation
        kernel = njit(**options)(function)
    return kernel


def _drop_stale_cache(kernel: Any) -> None:
    """Empty the kernel's cache where its index cannot be read.

    The index names the classes of the arguments. One left by an older version may name a class
    that is gone, and numba would raise at the first call instead of compiling anew.
    """
    index = getattr(kernel._cache, "_cache_file", None)
    if index is None:
        return
    try:
        index._load_index()
    except Exception:  # whatever reading a name that is gone raises
        kernel._cache.flush()
