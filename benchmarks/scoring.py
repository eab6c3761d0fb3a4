"""Score neurons on the CPU beside what others do.

``python -m benchmarks.scoring`` writes ``benchmarks/results/scoring_cpu.csv``: one row for each way
of scoring, with the best of its repeats in ns per activation and core, of wall time and of
processor time (the one to read on a machine that is busy otherwise). Peers that loop over neurons
are timed on fewer of them. Every result is compared with scikit-learn's before it is timed.
"""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import sklearn
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import peers
from mechsteer.kernels import score

RESULTS = Path(__file__).parent / "results" / "scoring_cpu.csv"
SENTENCES = 3000

Method = Callable[[Tensor, Tensor, int], NDArray[np.float64]]


@dataclass(frozen=True)
class Timing:
    """One way of scoring on one input; times in ns per activation and core."""

    method: str
    scores: str
    languages: int
    dtype: str
    layout: str
    sentences: int
    neurons: int
    cores: int
    wall: float
    processor: float


def activations(neurons: int, *, dtype: torch.dtype, sentences: int = SENTENCES) -> Tensor:
    """Neuron-major normal activations, a tenth of them shifted for the first third."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(neurons, sentences, generator=generator) * 0.1 + 0.02
    rows[: neurons // 10, : sentences // 3] += 0.1
    return rows.to(dtype)


def labelling(languages: int, *, sentences: int = SENTENCES) -> Tensor:
    """Languages of equal size in shuffled order; one language stands against all others."""
    shuffled = torch.randperm(sentences, generator=torch.Generator().manual_seed(1))
    return (shuffled % 3 > 0).long() if languages == 1 else shuffled % languages


def ours(
    rows: Tensor, labels: Tensor, languages: int, *, backend: str = "cpu", moments: bool = False
) -> NDArray[np.float64]:
    """The kernel under test, in the shape of the peers."""
    found = score(rows.T, labels, backend=backend, moments=moments)
    return torch.stack([found.ap, found.auroc])[:, :languages].double().numpy()


def measure(
    run: Callable[[], object], *, elements: int, cores: int, repeats: int
) -> tuple[float, float]:
    """Least wall and processor time per element and core, in ns, after one unmeasured run."""
    run()
    spent = []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        run()
        spent.append((time.perf_counter() - wall, time.process_time() - processor))
    walls, processors = zip(*spent, strict=True)
    return min(walls) * 1e9 * cores / elements, min(processors) * 1e9 / elements


def compare(method: Method, rows: Tensor, labels: Tensor, languages: int) -> None:
    """Refuse to time a method whose scores differ from scikit-learn's by 1e-6."""
    few = rows[:3]
    error = np.abs(method(few, labels, languages) - peers.scikit_learn(few, labels, languages))
    if error.max() > 1e-6:
        raise AssertionError(f"{method} is off by {error.max():.1e}")


def timing(
    name: str, method: Method, languages: int, *, neurons: int, cores: int = 1, **what: str
) -> Timing:
    """Check, then time one method."""
    dtype, layout = what.get("dtype", "bfloat16"), what.get("layout", "neuron-major")
    rows, labels = activations(neurons, dtype=getattr(torch, dtype)), labelling(languages)
    rows = rows.T.contiguous().T if layout == "sentence-major" else rows
    compare(method, rows, labels, languages)
    torch.set_num_threads(cores)
    wall, processor = measure(
        lambda: method(rows, labels, languages),
        elements=rows.numel(),
        cores=cores,
        repeats=5 if neurons > 100 else 2,
    )
    found = what.get("scores", "AP, AUROC")
    return Timing(name, found, languages, dtype, layout, SENTENCES, neurons, cores, wall, processor)


def all_timings() -> list[Timing]:
    """Every method on one, 12 and 22 languages."""
    rows: list[Timing] = []
    cores, moments = os.cpu_count() or 1, partial(ours, moments=True)
    pool = partial(peers.joblib_pool, cores=cores)
    for languages in (1, 12, 22):
        few = max(2, 40 // languages)
        rows += [
            timing("scikit-learn loop", peers.scikit_learn, languages, neurons=few),
            timing("joblib pool", pool, languages, neurons=4 * few, cores=cores),
            timing("torch.sort, ties exact", peers.torch_sort, languages, neurons=200),
            timing("mechsteer numpy", partial(ours, backend="numpy"), languages, neurons=1000),
        ]
        for dtype in ("bfloat16", "float16", "float32"):
            for layout in ("neuron-major", "sentence-major"):
                what = {"dtype": dtype, "layout": layout}
                rows += [
                    timing("mechsteer", ours, languages, neurons=4000, **what),
                    timing(
                        "mechsteer",
                        moments,
                        languages,
                        neurons=4000,
                        scores="AP, AUROC, moments, median",
                        **what,
                    ),
                ]
        rows.append(timing("mechsteer", ours, languages, neurons=8000, cores=cores))
    return rows


def table(timings: list[Timing]) -> pd.DataFrame:
    """The timings with their ratio to scikit-learn's loop, the machine, versions and the date."""
    frame = pd.DataFrame([asdict(timing) for timing in timings])
    pool = frame.method == "joblib pool"  # its processor time is spent in other processes
    frame.loc[pool, "processor"] = float("nan")
    loop = frame[frame.method == "scikit-learn loop"].set_index("languages")["processor"]
    frame["times_scikit_learn"] = frame.languages.map(loop) / frame.processor
    return frame.assign(
        machine=machine(),
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=np.__version__,
        numba=numba.__version__,
        scikit_learn=sklearn.__version__,
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    )


def machine() -> str:
    """The processor's own name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({os.cpu_count()} cores)" if names else platform.processor()


def main() -> None:
    """Measure, print and keep."""
    found = table(all_timings())
    RESULTS.parent.mkdir(exist_ok=True)
    found.to_csv(RESULTS, index=False, float_format="%.2f", lineterminator="\n")
    print(found.iloc[:, :11].to_string(index=False, float_format="%.1f"))


if __name__ == "__main__":
    main()
