"""The launch table: every form in which a Triton kernel may run, and the only way to run one.

Each ``*_triton.py`` names all forms of its kernels in a module-level mapping ``LAUNCHES`` and
starts them by ``LAUNCHES[key].run(...)``. Nothing else starts a kernel, so the table is complete:
``benchmarks/aot.py`` compiles all of it ahead of time, without a GPU. Only these modules import
Triton, and operations import them when they first run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["VERSION", "Launch", "jit", "packs_pairs", "tl"]

VERSION = tuple(int(part) for part in triton.__version__.split(".")[:2])

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def jit(function: Kernel) -> Kernel:
    """``triton.jit``, typed."""
    # A runtime type checker may have wrapped the function.
    return cast(Kernel, triton.jit(inspect.unwrap(function)))


@cast(Callable[[Kernel], Kernel], triton.constexpr_function)
def packs_pairs() -> bool:
    """Whether the chip compares both 16-bit halves of a register at once; the interpreter not."""
    return not triton.knobs.runtime.interpret and tl.target_info.cuda_capability_geq(9, 0)


@dataclass(frozen=True)
class Launch:
    """One compiled form of a kernel: its constants, its warps and the types it takes.

    ``pointers`` maps pointer arguments to their Triton types, ``*x`` standing for activations of
    any type in ``dtypes``; every other argument that is no constant is an integer. ``unit`` names
    the strides that are 1 on the fast path. ``hot`` kernels carry the cost of an operation and must
    not spill registers.
    """

    kernel: Any
    pointers: Mapping[str, str]
    constants: Mapping[str, int]
    num_warps: int = 4
    dtypes: tuple[str, ...] = ("bf16", "fp16", "fp32")
    unit: tuple[str, ...] = ()
    hot: bool = True

    def run(self, grid: tuple[int, ...], *args: Tensor | int) -> None:
        """Start the kernel on the device of its first tensor; ``args`` in the kernel's order."""
        device = next(arg.device for arg in args if isinstance(arg, Tensor))
        with _current(device):
            # Without fused multiply-add every Triton version rounds as the CPU path does.
            self.kernel[grid](
                *args, **self.constants, num_warps=self.num_warps, enable_fp_fusion=False
            )


def _current(device: torch.device) -> AbstractContextManager[Any]:
    """Make ``device`` current: Triton launches on the current one, wherever the pointers live."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
