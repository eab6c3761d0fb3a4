"""Peers that only a device has: their arithmetic, with what they call on a device stood in for."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest
import torch

from benchmarks import device_peers, gpu, scoring
from benchmarks.device_peers import PEERS, Peer
from benchmarks.gpu_dry import shrunk
from mechsteer.throughput import cases
from mechsteer.throughput.measure import Floors, checked

SEGMENTED, TORCHEVAL, CUML = PEERS


def segmented_sort(
    *, d_in_keys, d_out_keys=None, d_in_values=None, d_out_values=None, num_items, num_segments,
    start_offsets_in, end_offsets_in, order, stream=None,
):  # fmt: skip
    """What cuda-cccl 1.2 documents, on the CPU."""
    assert (d_in_values, d_out_values, stream, order) == (None, None, None, "descending")
    assert num_items == d_in_keys.numel() and num_segments == len(end_offsets_in)
    assert len(start_offsets_in) == num_segments
    for start, end in zip(start_offsets_in.tolist(), end_offsets_in.tolist(), strict=True):
        d_out_keys[start:end] = d_in_keys[start:end].sort(descending=True).values


def roc_auc_score(y_true, y_score):
    from sklearn.metrics import roc_auc_score

    assert y_score.dtype == torch.float32 and y_true.ndim == y_score.ndim == 1
    return roc_auc_score(y_true.numpy(), y_score.numpy())


@pytest.fixture
def installed(monkeypatch):
    """Both packages that need a device, as far as they are called."""
    order = SimpleNamespace(DESCENDING="descending")
    compute, metrics = ModuleType("cuda.compute"), ModuleType("cuml.metrics")
    vars(compute).update(segmented_sort=segmented_sort, SortOrder=order)
    vars(metrics).update(roc_auc_score=roc_auc_score)
    for module in (ModuleType("cuda"), compute, ModuleType("cuml"), metrics):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def recording(dtype=torch.bfloat16):
    """Many ties, both zeros, infinitely small differences, classes of unequal size."""
    made = cases.ScoringInput.make(90, 6, 3, dtype)
    rows = (made.rows.float() * 20).round().mul(-1).to(dtype)
    rows[0, :3] = torch.tensor([1e-38, 2e-38, -1e-38]).to(dtype)
    labels = (torch.arange(90) % 7).clamp(max=2)
    return replace(made, rows=rows, labels=labels, expected=cases.scikit_learn(rows[:3], labels, 3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.module)
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_scores_are_ours(peer: Peer, dtype: torch.dtype, installed: None) -> None:
    if peer is TORCHEVAL:
        pytest.importorskip(peer.module, reason="pip install 'mechsteer[bench]'")
    if peer.packs and dtype == torch.float32:
        pytest.skip("packs 16-bit floats only")
    given = recording(dtype)
    case = peer.case(given)
    assert checked(case) <= case.tolerance
    found = case.run()
    assert found.shape == (2 - peer.auroc_only, 3, 6)
    right = given.expected[1:] if peer.auroc_only else given.expected
    torch.testing.assert_close(found[..., :3].double(), right, rtol=0, atol=1.2e-7)


@pytest.mark.usefixtures("installed")
def test_a_wrong_peer_is_not_timed_and_the_others_are(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 0.0)
    floors, clock = Floors(1e9, 1e9), lambda run: [1.0, 2.0, 3.0]
    wrong = replace(SEGMENTED, run=lambda *given: SEGMENTED.run(*given) + 1e-3)
    broken = replace(SEGMENTED, run=lambda *_: {}["no score"])
    assert gpu.attempted(SEGMENTED.case(recording()), floors, clock).p50_ms == 2.0
    assert gpu.attempted(wrong.case(recording()), floors, clock) is None
    assert gpu.attempted(broken.case(recording()), floors, clock) is None
    said = capsys.readouterr().out
    assert "differs from the reference" in said and "KeyError" in said


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        (SEGMENTED, "it needs a CUDA device"),
        (CUML, "it needs a CUDA device"),
        (replace(SEGMENTED, on_cpu=True, module="no.such"), "pip install 'cuda-cccl"),
        (replace(SEGMENTED, on_cpu=True, module="breaks"), "importing breaks fails: OSError: lib"),
    ],
)
def test_an_absent_peer_says_why(peer, reason, monkeypatch, tmp_path):
    (tmp_path / "breaks.py").write_text("raise OSError('lib')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert reason in peer.missing(recording())


def test_packing_needs_16_bits():
    assert SEGMENTED.missing(recording(torch.float32)) == "it packs activations of 16 bits only"


def test_every_peer_is_a_case_of_the_benchmark_or_named(monkeypatch, capsys):
    monkeypatch.setattr(device_peers, "PEERS", (SEGMENTED, CUML))
    with shrunk():
        made = [case.method for group in scoring.cuda() for case in group]
    assert not {SEGMENTED.method, CUML.method} & set(made)
    said = capsys.readouterr().out
    assert said.count("is not timed") == 8 and "it packs" in said
