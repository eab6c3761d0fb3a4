"""The scripts of ``benchmarks/``: peers are right, and nothing is timed on a GPU that is absent."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import (
    edits,
    gpu,
    neighbours,
    peers,
    permutation,
    pooling,
    streaming,
    top_experts,
)
from benchmarks.gpu_all import Part, pytest_options
from benchmarks.gpu_all import parts as gpu_parts
from benchmarks.gpu_all import run as run_part
from benchmarks.gpu_dry import shrunk
from mechsteer.throughput import cases
from mechsteer.throughput.measure import Floors, checked

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("method", [peers.torch_sort, peers.torch_sort_packed, cases.ours])
def test_methods_equal_scikit_learn_where_many_activations_tie(method, dtype):
    if method is peers.torch_sort_packed and dtype == torch.float32:
        pytest.skip("packs 16-bit floats only")
    generator = torch.Generator().manual_seed(0)
    rows = (torch.randn(4, 90, generator=generator) * 2).round().mul(-1).to(dtype)  # has -0.0
    labels = torch.arange(90) % 3
    found = method(rows, labels, 3)
    torch.testing.assert_close(
        found.double(), cases.scikit_learn(rows, labels, 3), rtol=0, atol=1.2e-7
    )


def test_torchmetrics_equals_scikit_learn_on_stretched_rows():
    pytest.importorskip("torchmetrics", reason="pip install 'mechsteer[bench]'")
    rows, labels = torch.randn(2, 80).mul(30).to(torch.bfloat16), torch.arange(80) % 2
    found = peers.torch_metrics(rows, labels, 2)
    torch.testing.assert_close(
        found.double(), cases.scikit_learn(rows, labels, 2), rtol=0, atol=1e-6
    )


def test_peers_of_the_other_operations_are_right():
    z, mask = cases.token_batch((3, 16, 40), torch.bfloat16)
    for run in pooling.METHODS.values():
        checked(cases.pooling_case("", run, z, mask))
    for run in edits.METHODS.values():
        for inplace in (False, True):
            checked(
                cases.edits_case(
                    "", lambda *args, r=run, i=inplace: r(*args, inplace=i), z.clone(), 7,
                    inplace=inplace,
                )
            )  # fmt: skip
    checked(cases.neighbours_case("", neighbours.full_product, (50, 16)))
    if not peers.missing("faiss"):
        checked(cases.neighbours_case("", neighbours.faiss_flat, (50, 16)))


def test_methods_over_sentences_are_right():
    recording = cases.ScoringInput.make(400, 10, 2)
    checked(permutation.permutation_case("", recording, draws=30))
    wrong = replace(recording, expected=recording.expected + 1e-3)
    with pytest.raises(AssertionError, match="differs"):
        checked(permutation.permutation_case("", wrong, draws=30))
    for run in top_experts.METHODS.values():
        checked(top_experts.top_case("", run, recording, 4))
    for run in streaming.METHODS.values():
        tolerance = 0.05 if run is streaming.binned else 1e-6
        checked(cases.scoring_case("", run, recording, tolerance=tolerance))


def test_absent_peers_are_named():
    assert peers.missing("torch", "no_such_package") == ["no_such_package"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_the_gpu_script_refuses_to_run_without_a_device():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no CUDA device" in done.stderr and not done.stdout


def test_the_gpu_script_checks_before_it_times(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 5e6)
    monkeypatch.setattr(gpu, "RESULTS", tmp_path / "gpu.csv")
    floors = Floors(1e9, 1e9)

    def clock(run):
        run()
        return [1.0, 2.0, 3.0]

    z, mask = cases.token_batch((3, 8, 5), torch.float32)
    found = gpu.timed(cases.pooling_case("m", cases.pool_max, z, mask), floors, clock)
    assert (found.p20_ms, found.p50_ms, found.p80_ms, found.peak_mb) == (1.0, 2.0, 3.0, 5.0)
    gpu.append([found])
    gpu.append([found])
    lines = gpu.RESULTS.read_text().splitlines()
    assert len(lines) == 3 and lines[0].startswith("op,method,shape,dtype")
    assert lines[1] == lines[2]
    wrong = cases.pooling_case("m", lambda z, mask: z[:, 0], z, mask)
    with pytest.raises(AssertionError, match="not timed"):
        gpu.timed(wrong, floors, lambda run: pytest.fail("timed a wrong result"))


@pytest.mark.parametrize("name", gpu.OPERATIONS)
def test_every_case_of_the_gpu_script_passes_its_check(name):
    with shrunk():
        rows = [case for group in gpu.OPERATIONS[name].cuda() for case in group]
        assert rows and all(checked(case) <= case.tolerance for case in rows)
    assert any(case.method.startswith(("mechsteer", "StreamingScores")) for case in rows)


@pytest.mark.parametrize("sentence", [0, 63])
def test_an_edit_that_spares_a_sentence_is_refused(sentence):
    z, _ = cases.token_batch((64, 4, 32), torch.bfloat16)

    def spare(index, a, b):
        edit = cases.prepared(index, a, b)

        def run(z):
            out = edit(z)
            out[sentence] = z[sentence]
            return out

        return run

    with pytest.raises(AssertionError, match="differs"):
        checked(cases.edits_case("", spare, z, 3, inplace=False))


def test_parts_of_the_first_minutes_come_in_order_and_fit_them(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: "/bin/compute-sanitizer")
    names = [part.name for part in gpu_parts(dry=False)]
    assert names[:5] == ["versions", "correctness", "scoring", "CountSort", "tests"]
    assert names[-1] == "sanitizer" and set(names[5:-1]) == set(gpu.OPERATIONS) - {"scoring"}
    assert "gpu or triton" in pytest_options(dry=False)


@pytest.mark.parametrize(
    ("code", "limit", "state"),
    [
        ("print('a row')", 60, "ok"),
        ("raise SystemExit(3)", 60, "failed with status 3"),
        ("import time; time.sleep(60)", 0.2, "stopped after 0 s"),
        ("", -1, "not run: no time left"),
    ],
)
def test_a_part_that_fails_or_hangs_ends_only_itself(code, limit, state, tmp_path):
    with (tmp_path / "log").open("w") as log:
        part = Part("part", 60, (sys.executable, "-c", code))
        found = run_part(part, time.monotonic() + limit, {}, log)
    assert found.state == state
    assert ("a row" in (tmp_path / "log").read_text()) == (state == "ok")
