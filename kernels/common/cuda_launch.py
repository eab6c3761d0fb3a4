"""CUDA C++ kernels: a source is compiled at run time by NVRTC, no toolkit needed, and started.

NVRTC and the driver are reached by ``cuda.bindings`` (the package cuda-bindings, which torch's CUDA
builds bring along). Where it or NVRTC is missing, or a source does not compile, operations go on in
Triton and one warning says so. Compiling takes a second or two and happens once a process.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = ["Source", "compiled", "launch", "usable_on"]


@dataclass(frozen=True)
class Source:
    """A ``.cu`` file and the constants that it is compiled with."""

    path: Path
    constants: tuple[tuple[str, int], ...]


@cache
def compiled(source: Source, architecture: int) -> bytes:
    """Machine code for one architecture, such as 90 for sm_90. Needs no device.

    Raises:
        RuntimeError: What NVRTC says against it.
        ImportError: Without cuda-bindings.
    """
    from cuda.bindings import nvrtc

    text = source.path.read_bytes()
    program = _checked(nvrtc.nvrtcCreateProgram(text, source.path.name.encode(), 0, [], []))
    # Without fused multiply-add every compiler rounds alike; where one is meant, it is written.
    options = [f"-arch=sm_{architecture}", "-std=c++17", "--fmad=false", "--ftz=true"]
    options += [f"-D{name}={value}" for name, value in source.constants]
    encoded = [option.encode() for option in options]
    try:
        _checked(nvrtc.nvrtcCompileProgram(program, len(encoded), encoded))
    except RuntimeError as error:
        log = b" " * _checked(nvrtc.nvrtcGetProgramLogSize(program))
        _checked(nvrtc.nvrtcGetProgramLog(program, log))
        raise RuntimeError(log.decode(errors="replace").strip("\0 \n")) from error
    code: bytes = b" " * _checked(nvrtc.nvrtcGetCUBINSize(program))
    _checked(nvrtc.nvrtcGetCUBIN(program, code))
    return code


def launch(
    source: Source,
    kernel: str,
    shape: tuple[int, int, int],
    signature: tuple[type, ...],
    *args: Tensor | int,
) -> None:
    """Start ``kernel`` on the device of the tensors and torch's current stream there.

    Args:
        source: Where it is written.
        kernel: Its name, ``extern "C"``.
        shape: Blocks, threads of a block, bytes of shared memory of a block.
        signature: The C types of ``args``; tensors are passed by their addresses.
        args: What the kernel takes, in its order.
    """
    device = next(arg.device for arg in args if isinstance(arg, Tensor))
    from cuda.bindings import driver

    blocks, threads, shared = shape
    if not blocks:
        return
    with torch.cuda.device(device):
        index = torch.cuda.current_device()
        _checked(driver.cuCtxSetCurrent(_context(index)))
        function = _function(source, kernel, index)
        limit = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        _checked(driver.cuFuncSetAttribute(function, limit, shared))
        values = tuple(arg.data_ptr() if isinstance(arg, Tensor) else arg for arg in args)
        stream = torch.cuda.current_stream(device).cuda_stream
        grid, block = (blocks, 1, 1), (threads, 1, 1)
        _checked(
            driver.cuLaunchKernel(function, *grid, *block, shared, stream, (values, signature), 0)
        )


@cache
def usable_on(source: Source, device: torch.device) -> bool:
    """Whether the source compiles for this device; one warning where it should and does not."""
    try:
        from cuda.bindings import driver  # noqa: F401

        compiled(source, _architecture(device))
    except ImportError:
        return False  # nothing is broken: it is not installed
    except Exception as error:
        first = str(error).partition("\n")[0]
        warnings.warn(
            f"{source.path.name} cannot be compiled for {torch.cuda.get_device_name(device)} "
            f"({first}): Triton's kernels run instead",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


def _architecture(device: torch.device) -> int:
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor


@cache
def _context(index: int) -> Any:
    """The primary context of a device, which torch uses too; a new thread has none current."""
    from cuda.bindings import driver

    return _checked(driver.cuDevicePrimaryCtxRetain(_checked(driver.cuDeviceGet(index))))


@cache
def _function(source: Source, kernel: str, index: int) -> Any:
    from cuda.bindings import driver

    code = compiled(source, _architecture(torch.device("cuda", index)))
    module = _checked(driver.cuModuleLoadData(code))
    return _checked(driver.cuModuleGetFunction(module, kernel.encode()))


def _checked(answer: tuple[Any, ...]) -> Any:
    """What a call gave beside its status, of which 0 is success."""
    status, *rest = answer
    if int(status):
        raise RuntimeError(f"{type(status).__name__}: {status.name}")
    return rest[0] if len(rest) == 1 else rest
