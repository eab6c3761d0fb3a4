"""How the cost of scoring on a CPU grows with sentences, neurons and languages.

``python -m experiments.kernel_throughput.run`` measures for some minutes, then writes
``throughput.csv`` and ``throughput.svg`` beside this file; ``--plot`` draws the figure again from
the table. Every method is compared with scikit-learn before it is timed, one core, methods of one
point in turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import torch
from matplotlib.figure import Figure

from benchmarks import peers
from mechsteer.progress import progress
from mechsteer.throughput.bench import table
from mechsteer.throughput.cases import ScoringInput, ScoringMethod, ours, scikit_learn, scoring_case
from mechsteer.throughput.measure import Case, measure, measured_floors

HERE = Path(__file__).parent
TABLE, FIGURE = HERE / "throughput.csv", HERE / "throughput.svg"
SWEEPS = {
    "sentences": (100, 300, 1000, 3000, 10_000, 30_000, 50_000),
    "neurons": (10, 100, 1000, 10_000, 50_000),
    "languages": (1, 2, 5, 10, 20, 50, 100, 200),
}
TYPICAL = {"sentences": 3000, "neurons": 1000, "languages": 12}
NUMBA = "mechsteer, bfloat16"
WORK = {  # activations a method is given at most in one run: a loop over neurons is slow
    NUMBA: 12_000_000,
    "mechsteer with moments, bfloat16": 12_000_000,
    "mechsteer, float32": 12_000_000,
    "mechsteer numpy": 1_000_000,
    "torch.sort, ties exact": 300_000,
    "scikit-learn loop": 60_000,
}


def points() -> Iterator[tuple[str, dict[str, int]]]:
    """Each sweep moves one size and keeps the others typical; long rows come with fewer neurons."""
    for sweep, values in SWEEPS.items():
        for value in values:
            size = TYPICAL | {sweep: value}
            if sweep == "sentences":
                size["neurons"] = max(20, min(2000, 3_000_000 // value))
            yield sweep, size


def methods_at(size: dict[str, int]) -> list[Case]:
    """Every method on one size, on as many of its neurons as it can be waited for."""
    shape = (size["sentences"], size["neurons"], size["languages"])
    half, full = (ScoringInput.make(*shape, dtype) for dtype in (torch.bfloat16, torch.float32))
    moments = partial(ours, moments=True)
    runs: list[tuple[ScoringMethod, ScoringInput]] = [
        (ours, half),
        (moments, half),
        (ours, full),
        (partial(ours, backend="numpy"), half),
        (peers.torch_sort, half),
        (scikit_learn, half),
    ]
    made = []
    for (name, work), (run, recording) in zip(WORK.items(), runs, strict=True):
        share = work // (shape[0] * (shape[2] if run is scikit_learn else 1))
        made.append(scoring_case(name, run, recording.first(max(1, share))))
    return made


def measured(repeats: int) -> pd.DataFrame:
    """All sweeps; a row a method and point."""
    floors = measured_floors("cpu", threads=1)
    tables = []
    for sweep, size in progress(list(points()), "sweeps", "point"):
        found = table(measure(methods_at(size), floors, repeats=repeats))
        tables.append(found.assign(sweep=sweep, value=size[sweep]))
    return pd.concat(tables, ignore_index=True)


def figure(found: pd.DataFrame) -> Figure:
    """Cost per activation against each size, both on logarithmic axes."""
    drawn = Figure(figsize=(10, 3.6), layout="constrained")
    panels = drawn.subplots(1, len(SWEEPS), sharey=True)
    for panel, sweep in zip(panels, SWEEPS, strict=True):
        for method, rows in found[found.sweep == sweep].groupby("method", sort=False):
            bold = 2.0 if method == NUMBA else 1.0
            panel.plot(
                rows.value, rows.ns_per_element, marker=".", linewidth=bold, label=str(method)
            )
        panel.set(xscale="log", yscale="log", xlabel=sweep)
        panel.grid(alpha=0.2)
    panels[0].set_ylabel("ns of processor time per activation")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawn


def main() -> None:
    """Measure unless told not to, and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--plot", action="store_true", help="only draw the table that is there")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if not options.plot:
        found = measured(options.repeats)
        found.to_csv(TABLE, index=False, float_format="%.6g", lineterminator="\n")
    with mpl.rc_context({"svg.hashsalt": "mechsteer", "font.size": 9, "svg.fonttype": "none"}):
        figure(pd.read_csv(TABLE)).savefig(FIGURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
