"""What scoring costs by neurons, sentences, languages and ranks: ``python -m benchmarks.scale``.

Each point scores synthetic activations, where two ranks share the neurons in two processes at once,
and keeps the median processor seconds of five turns, of the slowest rank. Points that stand in
``benchmarks/results/scale.csv`` are not measured again, so a stopped run goes on. Ranks beyond two
are simulated by ``mechsteer plan``'s rates. ``--plot`` draws ``docs/static/scale.svg`` alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from mechsteer.kernels import score
from mechsteer.planning.calibrate import in_turns, scoring
from mechsteer.planning.rates import Curve, Rates, Spent
from mechsteer.planning.sizes import Sizes
from mechsteer.planning.workload import Workload
from mechsteer.throughput.bench import environment

TABLE = Path(__file__).parent / "results" / "scale.csv"
FIGURE = Path(__file__).parents[1] / "docs" / "static" / "scale.svg"
SWEEPS = {
    "neurons": (250, 500, 1000, 2000, 4000, 8000),
    "sentences": (500, 1000, 2000, 4000, 8000, 16_000, 32_000),
    "languages": (2, 5, 10, 20, 50, 100, 200),
    "ranks": (1, 2, 4, 8, 16, 32, 64),
}
MEASURED = 2
"""Ranks that are measured; more are simulated."""


@dataclass(frozen=True)
class Point:
    """What is scored, and by how many processes."""

    neurons: int = 1000
    sentences: int = 4000
    languages: int = 20
    ranks: int = 1


def points() -> Iterator[tuple[str, Point]]:
    """Each sweep moves one size and keeps the others; that of ranks has more neurons to share."""
    for sweep, values in SWEEPS.items():
        for value in values:
            usual = {"neurons": 6400} if sweep == "ranks" else {}
            yield sweep, Point(**{**usual, sweep: value})


def spent(point: Point) -> float:
    """Processor seconds of one rank's share of the neurons, all statistics of all languages."""
    neurons = -(-point.neurons // point.ranks)
    x = torch.randn(neurons, point.sentences, generator=torch.Generator().manual_seed(0)).T
    labels = torch.arange(point.sentences) % point.languages
    score(x[:, :1], labels)  # compiled before it is timed
    return in_turns([lambda: score(x, labels)], 60.0)[0].processor


def measured(point: Point) -> float:
    """The slowest of as many processes as there are ranks, at once."""
    if point.ranks == 1:
        return spent(point)
    command = [sys.executable, "-m", "benchmarks.scale", "--one", json.dumps(asdict(point))]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(point.ranks)
    ]
    return max(float(process.communicate()[0]) for process in running)


def simulated(point: Point) -> float:
    """What ``mechsteer plan`` tells, from a neuron's cost that is measured on one process."""
    labels = torch.arange(point.sentences) % point.languages
    call, neuron = scoring(labels, torch.float32)
    none = Curve((1,), (Spent(),))
    free = {field.name: Spent() for field in fields(Rates)}
    known = {"recording": none, "embedding": none, "calling": call, "scoring": neuron, "basis": ""}
    rates = Rates(**{**free, **known})  # type: ignore[arg-type]
    # codes without a script: no language is scored among its script's as well
    counts = {f"{i:03d}": point.sentences // point.languages for i in range(point.languages)}
    work = Workload(counts, (1,) * point.sentences, ((1, 1),))
    sizes = Sizes("", 0, 0, (point.neurons,), 1, 1, 0, 1, 4, 1)
    return rates.score(work, sizes, beside=0, n_bytes=0, ranks=point.ranks).processor


def figure(found: pd.DataFrame) -> Figure:
    """Seconds against each size, both on logarithmic axes, beside a line of slope 1, 0 or -1."""
    drawn = Figure(figsize=(10, 3), layout="constrained")
    slopes = {"neurons": 1, "sentences": 1, "languages": 0, "ranks": -1}
    panels = drawn.subplots(1, len(slopes))
    for panel, (sweep, slope) in zip(panels, slopes.items(), strict=True):
        rows = found[found.sweep == sweep]
        ideal = rows.seconds.iloc[0] * (rows[sweep] / rows[sweep].iloc[0]) ** slope
        panel.plot(rows[sweep], ideal, color="0.7", linewidth=1, label=f"slope {slope}")
        for kind, marker in (("measured", "o"), ("simulated", "x")):
            some = rows[rows.kind == kind]
            if len(some):
                panel.plot(
                    some[sweep], some.seconds, marker, color="C0", label=kind, fillstyle="none"
                )
        panel.set(xscale="log", yscale="log", xlabel=sweep)
        if slope == 0:
            middle = float(rows.seconds.median())
            panel.set_ylim(middle / 10, middle * 10)
        panel.legend(fontsize=7)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_minor_formatter(NullFormatter())
        panel.grid(alpha=0.2)
    panels[0].set_ylabel("processor seconds of a rank")
    return drawn


def complete() -> pd.DataFrame:
    """The table, with the points that were missing measured and written one by one."""
    rows = pd.read_csv(TABLE).to_dict("records") if TABLE.exists() else []
    known = {(row["sweep"], *(row[name] for name in asdict(Point()))) for row in rows}
    for sweep, point in points():
        if (sweep, *asdict(point).values()) in known:
            continue
        kind = "measured" if point.ranks <= MEASURED else "simulated"
        seconds = measured(point) if kind == "measured" else simulated(point)
        rows.append(
            {"sweep": sweep, **asdict(point), "seconds": seconds, "kind": kind} | environment()
        )
        table = pd.DataFrame(rows)
        table.to_csv(TABLE, index=False, float_format="%.6g", lineterminator="\n")
    return pd.read_csv(TABLE)


def main() -> None:
    """Measure what is missing, and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--plot", action="store_true", help="only draw the table that is there")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sys.stdout.write(f"{spent(Point(**json.loads(options.one)))}\n")
        return
    found = pd.read_csv(TABLE) if options.plot else complete()
    with mpl.rc_context({"svg.hashsalt": "mechsteer", "font.size": 9, "svg.fonttype": "none"}):
        figure(found).savefig(FIGURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
