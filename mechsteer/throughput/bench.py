"""What this machine reaches: every kernel beside the machine's own copy and product rates."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
import torch

from mechsteer.errors import MechsteerError
from mechsteer.progress import progress as bar
from mechsteer.progress import with_bars
from mechsteer.throughput import cases
from mechsteer.throughput.measure import Case, Device, Floors, Result, measure, measured_floors

Group = Callable[[], list[Case]]
_VERSIONS = ("mechsteer", "torch", "triton", "numpy", "numba", "scikit-learn")


@dataclass(frozen=True)
class Size:
    """How much is timed: a minute's worth, or ten seconds' to see that all is well."""

    sentences: int
    neurons: int
    labelings: int
    tokens: tuple[int, int, int]
    embeddings: tuple[int, int]
    copied: int
    repeats: int


FULL = Size(3000, 16_000, 200, (16, 64, 14_336), (4096, 1024), 1 << 26, 5)
QUICK = Size(500, 400, 20, (4, 16, 512), (256, 64), 1 << 22, 3)


@with_bars
def bench(
    *, quick: bool = False, device: Device | None = None, progress: bool = True
) -> tuple[Floors, list[Result]]:
    """Check and time every kernel on all threads that torch uses, or on the GPU where there is one.

    Raises:
        MechsteerError: If ``device="cuda"`` and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise MechsteerError("there is no CUDA device here: leave --device out, or say cpu")
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    size, threads = (QUICK if quick else FULL), torch.get_num_threads()
    floors = measured_floors(place, threads=threads, elements=size.copied)
    results: list[Result] = []
    for group in bar(groups(size, place, threads), "bench", "kernel"):
        results += measure(group(), floors, repeats=size.repeats)
    return floors, results


def groups(size: Size, device: Device, threads: int) -> list[Group]:
    """The operations; each makes its input when its turn comes."""

    def scoring(dtype: torch.dtype) -> list[Case]:
        one, many = (
            cases.ScoringInput.make(size.sentences, size.neurons, languages, dtype, device)
            for languages in (1, 12)
        )
        moments = partial(cases.ours, moments=True)
        return [
            cases.scoring_case("mechsteer", cases.ours, one, threads=threads),
            cases.scoring_case("mechsteer", cases.ours, many, threads=threads),
            cases.scoring_case("with moments", moments, many, threads=threads),
        ]

    def labelings() -> list[Case]:
        rows = cases.activations(size.sentences, size.neurons // 8, torch.bfloat16, device)
        return [cases.labelings_case(rows, size.labelings, threads=threads)]

    def tokens() -> list[Case]:
        z, mask = cases.token_batch(size.tokens, torch.float32, device)
        made = [cases.pooling_case("mechsteer", cases.pool_max, z, mask, threads=threads)]
        for inplace in (False, True):
            run = partial(cases.prepared, inplace=inplace)
            k = size.tokens[2] // 16
            made.append(
                cases.edits_case("mechsteer", run, z.clone(), k, inplace=inplace, threads=threads)
            )
        return made

    def nearest() -> list[Case]:
        run, place = cases.nearest, (size.embeddings, device)
        return [cases.neighbours_case("mechsteer", run, *place, threads=threads)]

    floats = (torch.bfloat16, torch.float32)
    return [*(partial(scoring, dtype) for dtype in floats), labelings, tokens, nearest]


def environment() -> dict[str, str]:
    """What a figure depends on: machine, device, driver and versions, and the day."""
    found = {"machine": machine(), "gpu": "", "driver": "", "python": platform.python_version()}
    if torch.cuda.is_available():
        found |= {"gpu": torch.cuda.get_device_name(), "driver": _driver()}
    for name in _VERSIONS:
        try:
            found[name.replace("-", "_")] = version(name)
        except PackageNotFoundError:
            found[name.replace("-", "_")] = ""
    return found | {"torch": torch.__version__, "date": f"{datetime.now(timezone.utc):%Y-%m-%d}"}


def table(results: list[Result]) -> pd.DataFrame:
    """One row a result, followed by what it depends on."""
    return pd.DataFrame([asdict(found) for found in results]).assign(**environment())


def brief(results: list[Result]) -> pd.DataFrame:
    """What fits on a terminal of 80 columns."""
    return pd.DataFrame(
        {
            "operation": [_operation(found) for found in results],
            "size": [_short(found.shape) for found in results],
            "dtype": [found.dtype.replace("float", "fp").replace("bfp", "bf") for found in results],
            "ms": [f"{found.p50_ms:.3g}" for found in results],
            "ns": [f"{found.ns_per_element:.3g}" for found in results],
            "rate": [_rate(found) for found in results],
            "x floor": [f"{found.ratio_to_floor:.3g}" for found in results],
        }
    )


def describe(floors: Floors, results: list[Result]) -> str:
    """The machine and the rates that the floors rest on."""
    found = environment()
    place = found["gpu"] if results[0].device == "cuda" else found["machine"]
    copied, product = floors.bytes_per_second / 1e9, floors.flops_per_second / 1e9
    return f"{place}: copies {copied:.3g} GB/s, multiplies {product:.4g} GFLOP/s in float32"


def _operation(found: Result) -> str:
    return found.op if found.method == "mechsteer" else f"{found.op} {found.method}"


def _short(shape: str) -> str:
    return "x".join(part.split()[0] for part in shape.replace(" of ", " x ").split(" x "))


def _rate(found: Result) -> str:
    computes = found.gflop_s > 0
    return f"{found.gflop_s:.3g} GFLOP/s" if computes else f"{found.gb_s:.3g} GB/s"


def machine() -> str:
    """The processor's own name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} ({os.cpu_count()} cores)"


def _driver() -> str:
    file = Path("/proc/driver/nvidia/version")
    words = file.read_text().split() if file.exists() else []
    return next((word for word in words if word.count(".") >= 1 and word[0].isdigit()), "")
