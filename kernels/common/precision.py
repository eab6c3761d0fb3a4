"""Matrix products of float32 in float32, whatever a caller has allowed for speed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Multiply float32 as float32: no TF32, no bfloat16, no autocast; settings come back after.

    Torch has two sets of settings that must not be mixed: one process-wide precision, and since 2.9
    one of each backend (``torch.backends.cuda.matmul.fp32_precision``). The newer one is used where
    it exists, whichever of both the caller has set.
    """
    with ExitStack() as scope:
        scope.enter_context(torch.autocast(device.type, enabled=False))
        if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
            for backend in (torch.backends.cuda, torch.backends.mkldnn):
                scope.enter_context(_ieee(backend.matmul))
        else:
            scope.enter_context(_highest())
        yield


@contextmanager
def _ieee(matmul: Any) -> Iterator[None]:
    before = matmul.fp32_precision
    matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = "none"  # take it from the backend, as it was if that is the same
        if matmul.fp32_precision != before:
            matmul.fp32_precision = before


@contextmanager
def _highest() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
