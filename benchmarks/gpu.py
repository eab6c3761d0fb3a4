"""Time every operation on a CUDA device beside its peers: ``python -m benchmarks.gpu``.

``--all`` does all that the first minutes of a device are for (``benchmarks/gpu_all.py``).

Measures the device's copy bandwidth first, since floors are bytes at that rate; compares every
result with its reference and times none that differs or fails; appends to
``benchmarks/results/gpu.csv`` as it goes, one row for each operation, method, shape and type.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.__main__ import OPERATIONS, SHOWN
from mechsteer.throughput.bench import table
from mechsteer.throughput.measure import Case, Floors, Result, checked, measured_floors, result

RESULTS = Path(__file__).parent / "results" / "gpu.csv"
_NAN = (float("nan"),) * 3

Clock = Callable[[Callable[[], Any]], list[float]]
"""Milliseconds of a run on the device: its 20th, 50th and 80th percentile."""


def do_bench(run: Callable[[], Any]) -> list[float]:
    """Triton's own measure: the cache is emptied between runs, a fifth of a second of them."""
    from triton.testing import do_bench as measured

    found: list[float] = measured(run, rep=200, quantiles=[0.2, 0.5, 0.8])
    return found


def timed(case: Case, floors: Floors, clock: Clock = do_bench) -> Result:
    """Check one case, then time it and see what memory it takes."""
    error = checked(case)
    torch.cuda.reset_peak_memory_stats()
    case.run()
    peak = torch.cuda.max_memory_allocated()
    low, middle, high = (milliseconds / 1e3 for milliseconds in clock(case.run))
    return result(case, floors, (low, middle, high), _NAN, repeats=0, error=error, peak_bytes=peak)


def attempted(case: Case, floors: Floors, clock: Clock = do_bench) -> Result | None:
    """Time one case; where it fails, say why and leave the others their turn."""
    try:
        return timed(case, floors, clock)
    except Exception as error:  # a wrong result, no memory, a peer's own fault
        print(f"{case.op} by {case.method} is not timed: {type(error).__name__}: {error}")
        return None


def append(results: list[Result]) -> None:
    """Add rows, with a header where the file begins."""
    RESULTS.parent.mkdir(exist_ok=True)
    table(results).to_csv(
        RESULTS,
        mode="a",
        header=not RESULTS.exists(),
        index=False,
        float_format="%.6g",
        lineterminator="\n",
    )


def dry_run(operations: list[str]) -> int:
    """Check every case on a few neurons and the CPU; time and keep nothing."""
    from benchmarks.gpu_dry import shrunk

    with shrunk():
        for name in operations:
            for case in (case for group in OPERATIONS[name].cuda() for case in group):
                print(f"{name}: {case.method}, error {checked(case):.1e}, not timed", flush=True)
    return 0


def main() -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("operations", nargs="*", help=f"of {', '.join(OPERATIONS)}; default all")
    parser.add_argument("--all", action="store_true", help="check, time and test everything")
    parser.add_argument(
        "--dry-run", action="store_true", help="the same, tiny, without a device: no figure is kept"
    )
    options = parser.parse_args()
    if options.all:
        from benchmarks.gpu_all import run_all

        return run_all(dry=options.dry_run)
    if options.dry_run:
        return dry_run(options.operations or list(OPERATIONS))
    if not torch.cuda.is_available():
        print(
            "there is no CUDA device here, and a GPU figure is never made up: "
            "run this where torch.cuda.is_available(), or python -m benchmarks for the CPU",
            file=sys.stderr,
        )
        return 1
    floors = measured_floors("cuda", threads=1)
    print(f"{torch.cuda.get_device_name()} copies {floors.bytes_per_second / 1e9:.0f} GB/s")
    good = True
    for name in options.operations or OPERATIONS:
        for group in OPERATIONS[name].cuda():
            results = [row for case in group if (row := attempted(case, floors)) is not None]
            good &= len(results) == len(group)
            if results:
                append(results)
                print(table(results)[SHOWN].to_string(index=False, header=False), flush=True)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
