"""All that the first minutes of a device are for, in one command: ``make gpu``.

Every part is a process of its own with a time of its own, so that one that fails, hangs or breaks
the device's context ends nothing but itself; together they take at most ten minutes. Rows stream
into ``benchmarks/results/gpu.csv``, everything that is printed into ``build/gpu.log``, and the last
lines are tables of the rows and of the parts. Nothing is fetched, and no model is needed.

``--dry-run`` goes the same way without a device, on a few neurons and in Triton's interpreter.
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[1]
LOG = ROOT / "build" / "gpu.log"
RESULTS = ROOT / "benchmarks" / "results" / "gpu.csv"
SECONDS = 600
OPERATIONS = (
    *("labelings", "permutation", "top_experts", "streaming"),
    *("pooling", "edits", "neighbours"),
)


@dataclass(frozen=True)
class Part:
    """A command and the most seconds that it may take."""

    name: str
    seconds: float
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How a part ended."""

    name: str
    state: str
    seconds: float


def parts(*, dry: bool) -> Iterator[Part]:
    """Everything, in the order in which it is worth knowing."""
    module = (sys.executable, "-u", "-m")
    tail = ("--dry-run",) if dry else ()
    yield Part("versions", 60, (*module, "benchmarks.gpu_parts", "versions", *tail))
    yield Part("correctness", 120, (*module, "benchmarks.gpu_parts", "correctness", *tail))
    yield Part("scoring", 150, (*module, "benchmarks.gpu", "scoring", *tail))
    yield Part("CountSort", 120, (*module, "benchmarks.gpu_parts", "counting", *tail))
    yield Part("tests", 240, (*module, "pytest", *pytest_options(dry=dry)))
    for name in OPERATIONS:
        yield Part(name, 60, (*module, "benchmarks.gpu", name, *tail))
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer and not dry:
        script = (*module, "benchmarks.gpu_parts", "correctness")
        yield Part("sanitizer", 120, (sanitizer, "--error-exitcode", "9", *script))


def pytest_options(*, dry: bool) -> tuple[str, ...]:
    """The tests that need a device, by workers where pytest-xdist is; only found in a dry run."""
    plain = ("-o", "addopts=--import-mode=importlib", "-q", "-m", "gpu or triton", "tests/kernels")
    if dry:
        return (*plain, "--collect-only", "-qq")
    workers = ("-n", "4", "--dist", "loadfile") if find_spec("xdist") else ()
    return (*plain, *workers)


def run_all(*, dry: bool) -> int:
    """Run every part, print the table; 0 if all went well."""
    LOG.parent.mkdir(exist_ok=True)
    end = time.monotonic() + SECONDS
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(_paths()), HF_HUB_OFFLINE="1")
    if dry:
        environment |= {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    with LOG.open("w", encoding="utf-8") as log:
        known = len(rows())
        found = [run(part, end, environment, log) for part in parts(dry=dry)]
        for row in rows()[known:]:
            ratio, ms = float(row["ratio_to_floor"]), float(row["p50_ms"])
            tell(
                log,
                f"{row['op']:12} {row['method']:32} {ms:10.3f} ms {ratio:8.1f} x floor  "
                f"{row['shape']}, {row['dtype']}",
            )
        tell(log, f"\n{'part':12} {'seconds':>7}  outcome")
        for outcome in found:
            tell(log, f"{outcome.name:12} {outcome.seconds:7.1f}  {outcome.state}")
    return int(any(outcome.state != "ok" for outcome in found))


def rows() -> list[dict[str, str]]:
    """What has been measured so far."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(part: Part, end: float, environment: dict[str, str], log: TextIO) -> Outcome:
    """Run one part within its time and what is left of all."""
    limit, start = min(part.seconds, end - time.monotonic()), time.monotonic()
    if limit <= 0:
        return Outcome(part.name, "not run: no time left", 0.0)
    tell(log, f"\n── {part.name}")
    process = subprocess.Popen(
        part.command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    overdue = threading.Event()

    def stop() -> None:
        overdue.set()
        os.killpg(process.pid, signal.SIGKILL)

    clock = threading.Timer(limit, stop)
    clock.start()
    for line in process.stdout or ():
        tell(log, line.rstrip("\n"))
    status = process.wait()
    clock.cancel()
    state = "ok" if status == 0 else f"failed with status {status}"
    state = f"stopped after {limit:.0f} s" if overdue.is_set() else state
    return Outcome(part.name, state, time.monotonic() - start)


def tell(log: TextIO, line: str) -> None:
    """Print a line and keep it, at once."""
    print(line, flush=True)
    print(line, file=log, flush=True)


def _paths() -> list[str]:
    return [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
