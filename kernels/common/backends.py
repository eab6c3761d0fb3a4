"""Where an operation runs."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from typing import Literal, get_args

import torch
from torch import Tensor

__all__ = ["DTYPES", "Backend", "pick_backend"]

Backend = Literal["auto", "triton", "cpu", "reference"]
DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def pick_backend(backend: Backend, x: Tensor) -> str:
    """Resolve ``"auto"``: Triton for a CUDA tensor where it is installed, the CPU path elsewhere.

    Raises:
        ValueError: If ``backend`` is unknown, or is ``"triton"`` where no Triton kernel can run.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be one of {', '.join(get_args(Backend))}, got {backend!r}")
    if backend == "auto":
        return "triton" if x.is_cuda and _installed() else "cpu"
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if backend == "triton" and not (_installed() and (x.is_cuda or interpreted)):
        raise ValueError(
            f"backend='triton' needs Triton and a CUDA tensor, got a tensor on {x.device}: "
            "use backend='auto' (or, to test, set TRITON_INTERPRET=1 before Python starts)"
        )
    return backend


@cache
def _installed() -> bool:
    return find_spec("triton") is not None
