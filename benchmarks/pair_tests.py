"""How often do tests over pairs of languages find what is not there, and how long do they take?

    python -m benchmarks.pair_tests [--simulations 1000] [--workers 1] [--only fifth]

Responses and predictors share no cause but the controls; half of the variance of each is effects of
languages. Every test is asked at 5 %. Written to ``benchmarks/pair_tests.csv``; with
``--only`` the rows of nulls whose name has that text are made anew, the others are kept.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import pearsonr, rankdata

from mechsteer.pairwise.caution import cautious
from mechsteer.pairwise.covariance import fitted, independent
from mechsteer.pairwise.permuted import fit
from mechsteer.pairwise.sample import Sample, samples

LEVEL, PERMUTATIONS = 0.05, 99  # p takes the values 0.01, 0.02, …: 5 % are exactly possible
SIZES = (20, 60)
KEYS = ("languages", "null", "test")
OUTPUT = Path(__file__).with_suffix(".csv")
Matrix = Float[np.ndarray, "language language"]


class Null(NamedTuple):
    """A world without the effect that is asked for."""

    name: str
    controls: int = 0
    ordered: bool = False
    missing: float = 0.0
    places: bool = False


NULLS = (
    Null("one predictor"),
    Null("one predictor, distances of places", places=True),
    Null("beside one control", controls=1),
    Null("beside seven controls", controls=7),
    Null("ordered pairs, beside one control", controls=1, ordered=True),
    Null("a fifth of the pairs unknown, beside one control", controls=1, missing=0.2),
)


def of_languages(rng: np.random.Generator, n: int, *, ordered: bool) -> Matrix:
    """Unit variance, half of it from the two languages of a pair."""
    source = rng.normal(size=n)
    target = rng.normal(size=n) if ordered else source
    own = rng.normal(size=(n, n))
    own = own if ordered else (own + own.T) / np.sqrt(2)
    return (source[:, None] + target) / 2 + own / np.sqrt(2)


def of_places(rng: np.random.Generator, n: int) -> Matrix:
    """Distances of random places in the plane."""
    place = rng.normal(size=(n, 2))
    return np.linalg.norm(place[:, None] - place, axis=-1)


def world(null: Null, n: int, seed: int) -> Sample:
    """A response and a predictor that share nothing but controls."""
    rng = np.random.default_rng([seed, n, NULLS.index(null)])

    def drawn() -> Matrix:
        return of_places(rng, n) if null.places else of_languages(rng, n, ordered=null.ordered)

    controls = {f"control {k}": drawn() for k in range(null.controls)}
    common = 0.7 * sum(controls.values()) / max(1, null.controls) ** 0.5
    x, y = drawn() + common, drawn() + common
    unknown = rng.random((n, n)) < null.missing
    y[unknown if null.ordered else unknown | unknown.T] = np.nan
    (sample,) = samples({"y": y}, {"x": x, **controls})
    return sample


def p_values(null: Null, n: int, seed: int) -> dict[str, float]:
    """Of every test, and of Pearson's on pairs as if they were independent."""
    sample = world(null, n, seed)
    truth, _ = fitted(sample, 0)
    draws = {"permutations": PERMUTATIONS, "seed": seed}
    plain = fit(sample, independent(sample), [truth], **draws)
    crossed = cautious(fit(sample, truth, [truth], **draws), sample)
    found = {"Pearson on pairs": _naive(sample), "mrm": plain.p[0, 0], "crossed": crossed.p[0, 0]}
    found["partial mantel" if null.controls else "mantel"] = plain.p[0, 0]
    if null.controls > 1:  # ranks are offered beside one control at most
        return {name: float(p) for name, p in found.items()}
    ranked = sample.with_values(rankdata(sample.x, axis=0), rankdata(sample.y, axis=0))
    errors = [fitted(ranked, 0)[0] if null.controls else independent(ranked)]
    found["partial mantel, ranks" if null.controls else "mantel, ranks"] = fit(
        ranked, independent(ranked), errors, **draws
    ).p[0, 0]
    if not null.controls:
        found |= {
            "mrm, all predictors": plain.p_all[0],
            "crossed, all predictors": crossed.p_all[0],
        }
    return {name: float(p) for name, p in found.items()}


def _naive(sample: Sample) -> float:
    held = np.column_stack([np.ones(sample.n_pairs), sample.x[:, 1:]])
    both = np.column_stack([sample.x[:, 0], sample.y[:, 0]])
    left = both - held @ np.linalg.lstsq(held, both, rcond=None)[0]
    return float(pearsonr(*left.T).pvalue)


def _found(task: tuple[Null, int, range]) -> Counter[str]:
    null, n, seeds = task
    found: Counter[str] = Counter()
    for seed in seeds:
        p = p_values(null, n, seed)
        found.update({name: int(value <= LEVEL + 1e-12) for name, value in p.items()})
    return found


def rows(simulations: int, workers: int, only: str = "") -> Iterator[dict[str, object]]:
    """One row a test, null whose name has ``only``, and number of languages."""
    step = -(-simulations // 20)
    seeds = [range(at, min(at + step, simulations)) for at in range(0, simulations, step)]
    with ProcessPoolExecutor(workers) as pool:
        for n in SIZES:
            for null in (null for null in NULLS if only in null.name):
                total: Counter[str] = Counter()
                for part in pool.map(_found, [(null, n, own) for own in seeds]):
                    total.update(part)
                for name, count in total.items():
                    yield {
                        "languages": n, "null": null.name, "test": name,
                        "simulations": simulations, "false_positives": count / simulations,
                    }  # fmt: skip


def main() -> None:
    """Simulate and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", default="", help="part of the names of nulls")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    kept = _kept(asked.output, asked.only)
    for row in rows(asked.simulations, asked.workers, asked.only):
        kept[tuple(row[key] for key in KEYS)] = row
        pd.DataFrame(kept.values()).to_csv(asked.output, index=False)  # what is done is kept
    print(pd.DataFrame(kept.values()).to_string(index=False))


def _kept(path: Path, only: str) -> dict[tuple[object, ...], dict[str, object]]:
    """Rows that are not made anew, in their order."""
    if not only or not path.exists():
        return {}
    table = pd.read_csv(path)
    return {
        tuple(row[key] for key in KEYS): {str(name): value for name, value in row.items()}
        for row in table.to_dict("records")
    }


if __name__ == "__main__":
    main()
