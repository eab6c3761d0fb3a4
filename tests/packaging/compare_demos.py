"""Whether two demos, of other versions or another Python, came to the same results.

python -m tests.packaging.compare_demos mechsteer-demo build/newest/demo

Other versions round otherwise: activations move by about 1e-6, which may turn a near tie between
two translations or two neurons around. So tables must have the same rows, values must be equal
within ``CLOSE`` relatively or within what two sentences of a pair are worth absolutely, and nearly
all of them within ``CLOSE``; nearly all chosen neurons must be the same ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

CLOSE = 1e-3  # relative difference that rounding alone leaves
SENTENCES = 2  # that may change sides in a mean over a pair's sentences
MOST = 0.98  # share of values that must be close, and of neurons that must be common
VALUES = ("value", "ci_low", "ci_high")
NEURONS = ["language", "layer", "neuron"]


def differences(first: Path, second: Path) -> list[str]:
    """What is too different in the results and the experts of two runs; empty where they agree."""
    results = [pd.read_parquet(folder / "results.parquet") for folder in (first, second)]
    experts = [pd.read_parquet(folder / "experts.parquet") for folder in (first, second)]
    return [*compare_values(*results), *compare_neurons(*experts)]


def compare_values(first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    """Compare two tables of results row by row, whatever their order."""
    keys = [column for column in first.columns if column not in (*VALUES, "n")]
    if list(first.columns) != list(second.columns) or len(first) != len(second):
        return [f"tables of {first.shape} and {second.shape}, columns {list(second.columns)}"]
    merged = first.merge(second, on=[*keys, "n"], suffixes=("", "_other"))
    if len(merged) != len(first):
        return [f"{len(first) - len(merged)} rows of {len(first)} are not in both tables"]
    gap = (merged["value"] - merged["value_other"]).abs()
    close = np.isclose(merged["value"], merged["value_other"], rtol=CLOSE, atol=CLOSE)
    far = merged[~close & (gap > SENTENCES / merged["n"])]
    found = [f"{row.to_dict()}" for _, row in far.head(5).iterrows()]
    if close.mean() < MOST:
        found.append(f"only {close.mean():.2%} of {len(close)} values are within {CLOSE}")
    return found


def compare_neurons(first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    """Compare which neurons were chosen for each language."""
    one, two = (set(map(tuple, table[NEURONS].to_numpy())) for table in (first, second))
    common = len(one & two) / max(len(one | two), 1)
    return [] if common >= MOST else [f"only {common:.2%} of the experts are common"]


def main() -> int:
    """Exit with 1 and say what differs, or say that nothing does."""
    first, second = map(Path, sys.argv[1:])
    found = differences(first, second)
    print("\n".join(found) or f"{first} and {second} agree")  # noqa: T201
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
