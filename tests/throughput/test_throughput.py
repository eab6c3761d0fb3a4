"""What the timings rest on: a wrong result is never timed, and the rows say what they mean."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
import torch

from mechsteer.errors import MechsteerError
from mechsteer.throughput import cases
from mechsteer.throughput.bench import bench, brief, describe, table
from mechsteer.throughput.measure import Case, Floors, checked, measure, measured_floors, result

FLOORS = Floors(bytes_per_second=1e9, flops_per_second=1e9)


def case(run=lambda: None, **change) -> Case:
    made = Case("op", "method", "1 x 1", "float32", run, lambda _: 0.0, 0.0, 1000, bytes=500)
    return replace(made, **change)


@pytest.mark.parametrize("error", [1e-3, math.inf, math.nan])
def test_a_result_that_differs_from_the_reference_is_not_timed(error):
    ran = []
    wrong = case(lambda: ran.append(1), error=lambda _: error, tolerance=1e-6)
    with pytest.raises(AssertionError, match="differs from the reference"):
        measure([case(), wrong], FLOORS, repeats=3)
    assert len(ran) == 1


def test_cases_take_turns():
    order = []
    pair = [case(lambda name=name: order.append(name)) for name in "ab"]
    measure(pair, FLOORS, repeats=2)
    assert order == ["a", "b"] * 3  # checked once, timed twice


def test_sleep_costs_the_clock_and_not_the_processor():
    (found,) = measure([case(lambda: time.sleep(0.02))], FLOORS, repeats=3)
    assert found.p20_ms >= 20 and found.p20_ms <= found.p50_ms <= found.p80_ms
    assert found.processor_p80_ms < 10


def test_threads_are_given_back():
    before = torch.get_num_threads()
    seen = []
    measure([case(lambda: seen.append(torch.get_num_threads()), threads=3)], FLOORS, repeats=1)
    assert seen == [3, 3] and torch.get_num_threads() == before


def test_the_arithmetic_of_a_row():
    nan = (math.nan,) * 3
    wall, processor = (1e-6, 2e-6, 3e-6), (1e-6, 1e-6, 1e-6)
    alone = result(case(), FLOORS, wall, processor, repeats=1, error=0.0)
    assert alone.ns_per_element == pytest.approx(1.0) and alone.gb_s == pytest.approx(0.5)
    assert alone.floor_ms == pytest.approx(5e-4) and alone.ratio_to_floor == pytest.approx(2.0)
    several = result(case(threads=2), FLOORS, wall, processor, repeats=1, error=0.0)
    assert several.ns_per_element == pytest.approx(1.0)
    assert several.ratio_to_floor == pytest.approx(4.0)
    elsewhere = result(case(threads=2, processes=True), FLOORS, wall, nan, repeats=1, error=0.0)
    assert elsewhere.ns_per_element == pytest.approx(4.0)
    computed = result(case(flops=4000), FLOORS, wall, processor, repeats=1, error=0.0)
    assert computed.floor_ms == pytest.approx(4e-3)


def recording_with(change: float) -> cases.ScoringInput:
    made = cases.ScoringInput.make(60, 5, 2)
    return replace(made, expected=made.expected + change)


def test_every_operation_is_judged_by_a_reference_that_can_refuse():
    assert checked(cases.scoring_case("", cases.ours, recording_with(0.0))) < 1e-7
    with pytest.raises(AssertionError):
        checked(cases.scoring_case("", cases.ours, recording_with(1e-5)))
    z, mask = cases.token_batch((3, 8, 5), torch.float32)
    for wrong in (
        cases.pooling_case("", lambda z, mask: cases.pool_max(z, mask) + 1e-6, z, mask),
        cases.edits_case("", lambda *_: lambda z: z, z.clone(), 2, inplace=True),
        cases.neighbours_case("", lambda x, y: cases.nearest(x, y).flip(0), (8, 4)),
        replace(cases.labelings_case(torch.randn(4, 30), 3), tolerance=-1.0),
    ):
        with pytest.raises(AssertionError, match="differs"):
            checked(wrong)


def test_the_quick_bench_covers_every_operation_and_fits_a_terminal():
    floors, results = bench(quick=True, device="cpu")
    assert {found.op for found in results} >= {
        "score",
        "labelings",
        "pool max",
        "edit",
        "edit in place",
        "neighbours",
    }
    assert all(found.error <= 1e-6 and found.p50_ms > 0 for found in results)
    found = table(results)
    assert len(found) == len(results) and found["date"].str.len().eq(10).all()
    assert found["torch"].eq(torch.__version__).all()
    widths = [brief(results)[name].str.len().max() for name in brief(results)]
    assert sum(widths) + 2 * len(widths) <= 80
    assert "GB/s" in describe(floors, results)


def test_floors_are_rates_a_machine_can_have():
    floors = measured_floors("cpu", threads=1, elements=1 << 20)
    assert 1e8 < floors.bytes_per_second < 1e13 and 1e8 < floors.flops_per_second < 1e15


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(MechsteerError, match="no CUDA device"):
        bench(device="cuda")
