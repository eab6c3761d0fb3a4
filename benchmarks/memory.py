"""Peak memory of scoring a model's worth of neurons, in a process of its own."""

from __future__ import annotations

import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from mechsteer.throughput.cases import Recording, ours, scoring_case
from mechsteer.throughput.measure import Floors, Result, checked, result, spent, spread

SENTENCES, NEURONS = 3000, 100_000
_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def peak(floors: Floors) -> Result:
    """Score once in a fresh process, whose peak before that is its input and the libraries."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, floors).result()


def _peak(floors: Floors) -> Result:
    recording = Recording.make(SENTENCES, NEURONS, 10)
    checked(scoring_case("", ours, recording.first(100)))  # compiles
    case = scoring_case("mechsteer, peak memory", ours, recording)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, processor = spent(case)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * _UNIT
    return result(
        case,
        floors,
        spread([wall]),
        spread([processor]),
        repeats=1,
        error=checked(case),
        peak_bytes=recording.rows.nbytes + grown,
    )
