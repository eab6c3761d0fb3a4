"""Time every operation on one core beside its peers: ``python -m benchmarks [OPERATION ...]``.

Writes ``benchmarks/results/cpu.csv``, one row for each operation, method, shape and type. Every
result is compared with its reference before it is timed; the columns are those of
``mechsteer.throughput.measure.Result``. Peers that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import (
    edits,
    labelings,
    neighbours,
    peers,
    permutation,
    pooling,
    scoring,
    streaming,
    top_experts,
)
from benchmarks.whole import whole_runs
from mechsteer.progress import progress
from mechsteer.throughput.bench import table
from mechsteer.throughput.measure import Result, measure, measured_floors

RESULTS = Path(__file__).parent / "results" / "cpu.csv"
OPERATIONS = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        *(scoring, labelings, permutation, top_experts, streaming),
        *(pooling, edits, neighbours),
    )
}
SHOWN = ["op", "method", "shape", "dtype", "ns_per_element", "ratio_to_floor", "peak_mb", "error"]


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("operations", nargs="*", help=f"of {', '.join(OPERATIONS)}; default all")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    chosen = [OPERATIONS[name] for name in options.operations or OPERATIONS]
    for package in peers.missing("torchmetrics", "faiss"):
        print(f"{package} is not installed and left out: pip install 'mechsteer[bench]'")
    floors = measured_floors("cpu", threads=1)
    results: list[Result] = [] if options.operations else whole_runs(floors)
    for module in progress(chosen, "benchmarks", "operation"):
        for group in module.cpu():
            results += measure(group, floors, repeats=options.repeats)
    found = table(results)
    if not options.operations:
        RESULTS.parent.mkdir(exist_ok=True)
        found.to_csv(RESULTS, index=False, float_format="%.6g", lineterminator="\n")
    print(found[SHOWN].to_string(index=False, float_format="%.3g"))


if __name__ == "__main__":
    main()
