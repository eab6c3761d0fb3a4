"""Every operation beside its peers, in small, one core each: ``make bench``.

Compare ``ns_per_element`` in the extra information: loops over neurons run on fewer of them.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import edits, neighbours, pooling, scoring
from mechsteer.throughput import cases
from mechsteer.throughput.measure import Case, checked


def small() -> list[Case]:
    """A case of every operation and method."""
    made = []
    for languages in (1, 12):
        recording = cases.ScoringInput.make(1000, 500, languages)
        made += [*scoring.loops(recording.first(80)), *scoring.sorts(recording.first(40))]
        made += scoring.own(recording)
    rows = cases.activations(1000, 40, torch.bfloat16)
    made += [cases.labelings_case(rows, count) for count in (10, 100)]
    z, mask = cases.token_batch((8, 32, 512), torch.float32)
    made += [cases.pooling_case(name, run, z, mask) for name, run in pooling.METHODS.items()]
    for name, run in edits.METHODS.items():
        edited = partial(run, inplace=True)
        made.append(cases.edits_case(name, edited, z.clone(), 32, inplace=True))
    made.append(cases.neighbours_case("mechsteer", cases.nearest, (300, 64)))
    made.append(cases.neighbours_case("matmul and argmax", neighbours.full_product, (300, 64)))
    return made


@pytest.mark.parametrize("case", small(), ids=lambda case: f"{case.op}, {case.method}")
def test_operation(benchmark: BenchmarkFixture, case: Case) -> None:
    checked(case)
    benchmark.group = f"{case.op}: {case.shape.rpartition(' x ')[2]}"
    benchmark.pedantic(case.run, rounds=3, warmup_rounds=1)
    if benchmark.stats:
        benchmark.extra_info["ns_per_element"] = benchmark.stats.stats.min / case.elements * 1e9
