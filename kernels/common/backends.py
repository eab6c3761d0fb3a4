"""Where an operation runs: the names of the backends, and the one function that chooses."""

from __future__ import annotations

import os
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, get_args

import torch
from torch import Tensor

__all__ = ["DTYPES", "Backend", "ChosenBackend", "choose_backend", "usable"]

Backend = Literal["auto", "triton", "cpu", "numpy", "reference"]
ChosenBackend = Literal["triton", "cpu", "numpy", "reference"]
DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def choose_backend(backend: Backend, x: Tensor, *, has_numpy: bool = False) -> ChosenBackend:
    """The backend that will run for ``x``.

    ``"auto"`` is Triton for a CUDA tensor where Triton can be imported, else ``"cpu"``. Operations
    whose CPU path is compiled by numba also have a ``"numpy"`` one, and run it where numba cannot
    be imported; that of the others is plain torch.

    Args:
        backend: The user's choice.
        x: What the operation reads.
        has_numpy: Whether the operation has a ``"numpy"`` backend.

    Raises:
        ValueError: If the operation has no such backend, or it is ``"triton"`` where no Triton
            kernel can run.
    """
    names = [name for name in get_args(Backend) if has_numpy or name != "numpy"]
    if backend not in names:
        raise ValueError(f"backend must be one of {', '.join(names)}, got {backend!r}")
    if backend == "auto":
        backend = "triton" if x.is_cuda and usable("triton") else "cpu"
    if backend == "triton" and not (_triton_runs_on(x) and usable("triton")):
        raise ValueError(
            f"backend='triton' needs Triton and a CUDA tensor, got a tensor on {x.device}: "
            "use backend='auto' (or, to test, set TRITON_INTERPRET=1 before Python starts)"
        )
    if backend == "cpu" and has_numpy and not usable("numba"):
        return "numpy"
    return backend


def _triton_runs_on(x: Tensor) -> bool:
    return x.is_cuda or os.environ.get("TRITON_INTERPRET") == "1"


@cache
def usable(library: str) -> bool:
    """Whether a compiler can be imported. One that is installed but broken is warned of once."""
    if find_spec(library) is None:
        return False
    try:
        import_module(library)
    except Exception as error:  # whatever a broken installation raises
        warnings.warn(
            f"{library} is installed but cannot be imported ({type(error).__name__}: {error}): "
            "slower kernels run instead",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True
