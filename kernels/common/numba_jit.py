"""How the CPU kernels are compiled: without the GIL, once per machine, IEEE division by zero."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

from .numba_cache import CheckedCache, warn_once

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """Compile with strict floating-point order."""
    return _compile(function, fastmath=False)


def reassociated(function: _F) -> _F:
    """Compile and let sums be taken in vector registers: another order, the same one every time."""
    return _compile(function, fastmath={"reassoc"})


def _compile(function: _F, *, fastmath: bool | set[str]) -> _F:
    function = inspect.unwrap(function)  # a runtime type checker may have wrapped it
    kernel: Any = njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)
    try:
        kernel._cache = CheckedCache(function)
    except (RuntimeError, OSError) as error:  # no folder to keep the code in
        warn_once(str(error))
    return kernel  # type: ignore[no-any-return]
