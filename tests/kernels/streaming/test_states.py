"""States of streaming scores: saved, merged, interrupted, and what does not fit them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mechsteer.kernels import StreamingScores
from tests.kernels.made import activations
from tests.kernels.streaming.made import assert_same_state, stream


@pytest.mark.parametrize(
    "positives", [torch.ones(3), torch.ones(3, 2).double(), torch.ones(3, 2).int()]
)
def test_positives_of_another_type_or_shape_are_refused(positives: Tensor) -> None:
    with pytest.raises(ValueError, match="expected activations"):
        StreamingScores.from_positives(positives)


def test_a_class_without_sentences_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one positive"):
        StreamingScores.from_positives(torch.ones(0, 2))


@pytest.mark.parametrize("batch", [torch.ones(3, 2).half(), torch.ones(3, 4), torch.ones(2)])
def test_batches_of_another_type_or_width_are_refused(batch: Tensor) -> None:
    found = StreamingScores.from_positives(torch.ones(3, 2))
    with pytest.raises(ValueError, match=r"sentence, 2 neurons\] in float32"):
        found.update(batch)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (torch.zeros(4, 3).half(), "float16"),
        (torch.zeros(5, 3), r"\(3, 5\)"),
        (torch.zeros(4, 2), r"\(2, 4\)"),
        (torch.tensor([[0.0, 0.0, 0.0]] * 3 + [[0.0, 1.0, 0.0]]), r"neuron 1 \(1 neurons differ"),
    ],
)
def test_states_with_other_positives_do_not_merge(other: Tensor, message: str) -> None:
    found = StreamingScores.from_positives(torch.zeros(4, 3))
    with pytest.raises(ValueError, match=message):
        found.merge(StreamingScores.from_positives(other))
    assert found.n_negatives == 0


def test_a_saved_state_goes_on(kernel_backend: str, device: torch.device, tmp_path: Path) -> None:
    x = activations("wide", 60, 3, torch.bfloat16)
    found = stream(x[:50], 20, kernel_backend, device)
    save_file(found.state(), tmp_path / "state.safetensors")
    state = {name: t.to(device) for name, t in load_file(tmp_path / "state.safetensors").items()}
    resumed = StreamingScores.from_state(state, backend=kernel_backend)
    resumed.update(x[50:].to(device))
    assert_same_state(resumed, stream(x, 20, kernel_backend, device))
    assert found.n_negatives == 30  # what was saved is not shared


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("counts", torch.zeros(3, 5), "of int32"),
        ("counts", torch.zeros(3, 4, dtype=torch.int32), r"counts \(3, 5\)"),
        ("counts", torch.zeros(3, 5, dtype=torch.int32), "add up to 2"),
        ("counts", torch.tensor([[3, -1, 0, 0, 0]] * 3, dtype=torch.int32), "0 and above"),
        ("n_negatives", torch.tensor(3), "add up to 3"),
        ("positives", torch.arange(12.0).view(3, 4), "descending"),
        ("positives", torch.full((3, 4), float("nan")), "column 0"),
        ("more", torch.zeros(()), "more"),
    ],
)
def test_states_that_do_not_fit_are_refused(name: str, tensor: Tensor, message: str) -> None:
    state = stream(torch.zeros(6, 3), 4, "cpu", torch.device("cpu")).state() | {name: tensor}
    with pytest.raises(ValueError, match=message):
        StreamingScores.from_state(state)


def test_an_interrupted_update_is_noticed() -> None:
    found = stream(torch.zeros(6, 3), 4, "cpu", torch.device("cpu"))
    found.state()["counts"][1, 0] += 1
    with pytest.raises(ValueError, match="interrupted"):
        found.result()
