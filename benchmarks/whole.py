"""Two runs at full size, each once and in a process of its own, with their peak memory."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.permutation import permutation_case
from mechsteer.throughput.cases import ScoringInput, ours, scoring_case
from mechsteer.throughput.measure import Case, Floors, Result, checked, result, spent, spread

_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def whole_runs(floors: Floors) -> list[Result]:
    """Score 100,000 neurons; permute 1,000 labelings over 20,000."""
    return [_apart(scored, 100_000, floors), _apart(permuted, 20_000, floors)]


def scored(recording: ScoringInput) -> Case:
    """Every language of a model's worth of neurons."""
    return scoring_case("mechsteer, whole", ours, recording)


def permuted(recording: ScoringInput) -> Case:
    """One language against a thousand permutations."""
    return permutation_case("mechsteer, whole", recording, draws=1000)


def _apart(make: Callable[[ScoringInput], Case], n_neurons: int, floors: Floors) -> Result:
    """Run in a fresh process, whose peak before that is its input and the libraries."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_once, make, n_neurons, floors).result()


def _once(make: Callable[[ScoringInput], Case], n_neurons: int, floors: Floors) -> Result:
    recording = ScoringInput.make(3000, n_neurons, 10)
    error = checked(make(recording.first(20)))  # compiles
    case = make(recording)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, processor = spent(case)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * _UNIT
    peak = recording.rows.nbytes + grown
    times = (spread([wall]), spread([processor]))
    return result(case, floors, *times, repeats=1, error=error, peak_bytes=peak)
