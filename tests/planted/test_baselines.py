"""What every baseline must mend and what it cannot, fitted on one half and judged on the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch

from mechsteer import analysis
from tests.planted.made import Space, rotated, space, squeezed, with_massive
from tests.planted.measures import MEASURES

Baseline = Callable[[Space, Space], Space]
N = 300
RANK = 2  # directions in which the means of three languages can differ


def _mapped(how: str) -> Baseline:
    def apply(dev: Space, test: Space) -> Space:
        maps = analysis.map_to(dev, target="jpn_Jpan", how=how)
        return {language: maps[language](x) for language, x in test.items()}

    return apply


def _whitened(dev: Space, test: Space) -> Space:
    white = analysis.whitening(dev)
    return {language: white(x) for language, x in test.items()}


def _without_largest(dev: Space, test: Space) -> Space:
    order = analysis.largest_dimensions(dev)
    k = analysis.choose_k({c: x[None] for c, x in dev.items()}, order[None])
    return analysis.without_dimensions(test, order, k[0])


BASELINES: dict[str, Baseline] = {
    "nothing": lambda dev, test: test,
    "centre": lambda dev, test: analysis.centre(test, analysis.language_means(dev)),
    "shift_to": lambda dev, test: analysis.shift_to(
        test, analysis.language_means(dev), target="jpn_Jpan"
    ),
    "lir": lambda dev, test: analysis.remove(test, analysis.lir_basis(dev, 1)),
    "lsar": lambda dev, test: analysis.remove(test, analysis.lsar_basis(dev, RANK)),
    "whitening": _whitened,
    "dimensions": _without_largest,
    "standardise": lambda dev, test: analysis.standardisation(dev)(test),
    "procrustes": _mapped("procrustes"),
    "ridge": _mapped("ridge"),
}
PLANTED = {
    "untouched": lambda: space(n=N),
    "own": lambda: space(n=N, own=2.0),
    "turned": lambda: rotated(space(n=N)),
    "squeezed": lambda: squeezed(space(n=N)),
    "massive": lambda: with_massive(space(n=N)),
    "unrelated": lambda: space(n=N, signal=0.0, noise=1.35),
}
# top-1 retrieval of the test half
# +  mends: 0.2 or more above nothing done    =  mends to just what it gives of the untouched space
# <  helps by less than 0.1    0  stays at chance    -  what was planted costs 0.2 or more
EXPECTED = """
            own turned squeezed massive unrelated
nothing      -     0       -       -         0
centre       =     0       <       .         0
shift_to     +     0       <       .         0
lir          +     0       <       .         0
lsar         +     0       <       .         0
whitening    +     0       =       +         0
dimensions   .     0       .       +         0
standardise  .     0       +       +         0
procrustes   +     =       <       .         0
ridge        .     =       <       .         0
"""
COLUMNS, *ROWS = (line.split() for line in EXPECTED.strip().splitlines())
CELLS = [
    pytest.param(name, plant, claim, id=f"{name}-{plant}")
    for name, *claims in ROWS
    for plant, claim in zip(COLUMNS, claims, strict=True)
    if claim != "."
]


@cache
def found(baseline: str, plant: str) -> float:
    whole, dev = PLANTED[plant](), torch.arange(N) % 2 == 0
    halves = ({language: x[rows] for language, x in whole.items()} for rows in (dev, ~dev))
    return MEASURES["top1_hits"].of(BASELINES[baseline](*halves))


@pytest.mark.parametrize(("baseline", "plant", "claim"), CELLS)
def test_a_baseline_mends_what_it_is_made_for(baseline: str, plant: str, claim: str) -> None:
    value, nothing = found(baseline, plant), found("nothing", plant)
    mended, untouched = value >= nothing + 0.2, found(baseline, "untouched")
    true = {
        "+": mended,
        "=": mended and abs(value - untouched) < 1e-9,
        "<": value < nothing + 0.1,
        "0": value < 2 / N + 0.05,
        "-": value <= untouched - 0.2,
    }
    assert true[claim], f"{value:.3f}, nothing done {nothing:.3f}, untouched {untouched:.3f}"
