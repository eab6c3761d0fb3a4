"""Time operations side by side, after checking that their results are right.

Cases of a group take turns, so that what else the machine does meets all of them alike. A case
whose result differs from its reference is refused: a fast wrong answer has no speed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

Device = Literal["cpu", "cuda"]
Spread = tuple[float, float, float]
"""The 20th, 50th and 80th percentile, in seconds."""

_COPIED = 1 << 26  # float32 elements: 256 MB, beyond any cache
_QUANTILES = (0.2, 0.5, 0.8)


@dataclass(frozen=True)
class Case:
    """One way to compute one thing on one input.

    ``elements`` are what the cost is stated per; ``bytes`` and ``flops`` are the least that any
    method must move and compute. ``error`` judges a result of ``run`` against the reference, to be
    at most ``tolerance``. The work of a pool of ``processes`` is seen by the clock alone.
    """

    op: str
    method: str
    shape: str
    dtype: str
    run: Callable[[], Any]
    error: Callable[[Any], float]
    tolerance: float
    elements: int
    bytes: int
    flops: int = 0
    threads: int = 1
    device: Device = "cpu"
    processes: bool = False


@dataclass(frozen=True)
class Floors:
    """What the machine can do at best: bytes read and written by a copy, float32 products."""

    bytes_per_second: float
    flops_per_second: float

    def seconds(self, case: Case) -> float:
        """The least time a case can take."""
        return max(case.bytes / self.bytes_per_second, case.flops / self.flops_per_second)


@dataclass(frozen=True)
class Result:
    """One row of a table: milliseconds by the clock on the wall and of the processor.

    ``ns_per_element`` is processor time, of all threads, per element: a busy machine hardly matters
    to it. ``gb_s``, ``gflop_s`` and ``ratio_to_floor`` go by the processor for one thread and by
    the clock for several. Where the processor is another one, on a GPU or in other processes, its
    time is NaN and the clock's counts. ``peak_mb`` includes input and outputs and is NaN where it
    was not measured; ``error`` is the largest difference from the reference.
    """

    op: str
    method: str
    shape: str
    dtype: str
    device: Device
    threads: int
    elements: int
    repeats: int
    p20_ms: float
    p50_ms: float
    p80_ms: float
    processor_p20_ms: float
    processor_p50_ms: float
    processor_p80_ms: float
    ns_per_element: float
    bytes: int
    gb_s: float
    gflop_s: float
    floor_ms: float
    ratio_to_floor: float
    peak_mb: float
    error: float


def checked(case: Case) -> float:
    """Run a case once and return its error.

    Raises:
        AssertionError: If the error exceeds the tolerance.
    """
    torch.set_num_threads(case.threads)
    error = case.error(case.run())
    if not error <= case.tolerance:
        raise AssertionError(
            f"{case.op} by {case.method} ({case.shape}, {case.dtype}) differs from the reference "
            f"by {error:.1e}, more than {case.tolerance:.0e}: not timed"
        )
    return error


def measure(cases: Sequence[Case], floors: Floors, *, repeats: int) -> list[Result]:
    """Check every case, then time all of them in turns."""
    threads = torch.get_num_threads()
    try:
        errors = [checked(case) for case in cases]
        rounds = np.array([[spent(case) for case in cases] for _ in range(repeats)])
    finally:
        torch.set_num_threads(threads)
    return [
        result(case, floors, spread(wall), spread(processor), repeats=repeats, error=error)
        for case, error, (wall, processor) in zip(
            cases, errors, rounds.transpose(1, 2, 0), strict=True
        )
    ]


def spent(case: Case) -> tuple[float, float]:
    """Seconds of one run, by the clock and of the processor."""
    torch.set_num_threads(case.threads)
    wall, processor = time.perf_counter(), time.process_time()
    case.run()
    if case.device == "cuda":
        torch.cuda.synchronize()
    own = case.device == "cpu" and not case.processes
    return (
        time.perf_counter() - wall,
        time.process_time() - processor if own else float("nan"),
    )


def spread(seconds: Iterable[float]) -> Spread:
    """Percentiles of some timings."""
    low, middle, high = np.quantile(list(seconds), _QUANTILES).tolist()
    return low, middle, high


def result(
    case: Case,
    floors: Floors,
    wall: Spread,
    processor: Spread,
    *,
    repeats: int,
    error: float,
    peak_bytes: float = float("nan"),
) -> Result:
    """The row of a timed case."""
    own = not math.isnan(processor[1])
    seconds = processor[1] if own and case.threads == 1 else wall[1]
    floor = floors.seconds(case)
    walls, processors = ([1e3 * value for value in part] for part in (wall, processor))
    return Result(
        op=case.op,
        method=case.method,
        shape=case.shape,
        dtype=case.dtype,
        device=case.device,
        threads=case.threads,
        elements=case.elements,
        repeats=repeats,
        p20_ms=walls[0],
        p50_ms=walls[1],
        p80_ms=walls[2],
        processor_p20_ms=processors[0],
        processor_p50_ms=processors[1],
        processor_p80_ms=processors[2],
        ns_per_element=1e9 * (processor[1] if own else wall[1] * case.threads) / case.elements,
        bytes=case.bytes,
        gb_s=case.bytes / seconds / 1e9,
        gflop_s=case.flops / seconds / 1e9,
        floor_ms=1e3 * floor,
        ratio_to_floor=seconds / floor,
        peak_mb=peak_bytes / 1e6,
        error=error,
    )


def measured_floors(device: Device, *, threads: int, elements: int = _COPIED) -> Floors:
    """Copy a large array and multiply two large matrices; the better half of some tries."""
    source = torch.zeros(elements, device=device)
    target = torch.empty_like(source)
    side = 4096 if device == "cuda" else 1024
    square, product = torch.ones(2, side, side, device=device)
    copy = _floor_case("copy", lambda: target.copy_(source), device, threads)
    matmul = _floor_case("matmul", lambda: torch.mm(square, square, out=product), device, threads)
    return Floors(
        bytes_per_second=2 * source.nbytes / _seconds(copy),
        flops_per_second=2 * side**3 / _seconds(matmul),
    )


def _floor_case(name: str, run: Callable[[], Any], device: Device, threads: int) -> Case:
    return Case(name, "torch", "", "float32", run, lambda _: 0.0, 0.0, 1, 0, 0, threads, device)


def _seconds(case: Case) -> float:
    before = torch.get_num_threads()
    try:
        times = [spent(case) for _ in range(8)][1:]
    finally:
        torch.set_num_threads(before)
    clock = 1 if case.device == "cpu" and case.threads == 1 else 0
    return spread(time[clock] for time in times)[0]
