"""Exports on the command line: a line that says what was written, or why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import mechsteer as ms
from tests.exports.by_hand import clamped, shifted

Run = Callable[..., str]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("edits")
    model = ms.load_model(device="cpu")
    edits = {"clamp": clamped(model), "shift": shifted(model, slice(2, 3))}
    for name, edit in edits.items():
        ms.save_edit(replace(edit, model=model.identity()), folder / name)
    return {name: str(folder / name) for name in edits}


def test_a_checkpoint_is_of_the_model_that_the_edit_names(
    mechsteer: Run, files: dict[str, str], tmp_path: Path
) -> None:
    out = str(tmp_path / "baked")
    how = ("--strength", "0.5", "-o", out, "--device", "cpu")
    mechsteer("export", files["clamp"], *how, code=1)  # half a clamp rounds otherwise
    said = mechsteer("export", files["clamp"], *how, "--tolerance", "8")
    assert "roundings away; config.json has mlp_bias" in said
    ids = torch.tensor([[5, 6, 7]])
    baked = ms.load_model(out, device="cpu")
    model = ms.load_model(device="cpu")
    with ms.steer(model, ms.load_edit(files["clamp"]).scaled(0.5)), torch.inference_mode():
        wanted = model(ids)
    assert torch.allclose(baked(ids), wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("format_", "more"),
    [
        ("easysteer", ()),
        ("vllm-hook", ()),
        ("neuronpedia", ("--model-id", "gpt2-small")),
        ("llama.cpp", ("--architecture", "llama")),
    ],
)
def test_vectors_need_no_model(
    mechsteer: Run, files: dict[str, str], tmp_path: Path, format_: str, more: tuple[str, ...]
) -> None:
    out = tmp_path / "x.json"
    said = mechsteer("export", files["shift"], "--to", format_, "-o", str(out), *more)
    assert said == f"vector: {out}\n" and out.stat().st_size > 0


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("clamp", "--to", "easysteer"), "moves neurons"),
        (("shift", "--to", "llama.cpp"), "--architecture"),
        (("shift", "--to", "neuronpedia"), "--model-id"),
        (("shift", "--to", "easysteer", "--layer", "3"), "--layer is for --to sentence-"),
        (("shift", "--to", "easysteer", "--positions", "last"), "positions 'last'"),
        (("clamp", "--positions", "generated"), "positions 'generated'"),
    ],
)
def test_what_cannot_be_carried_is_one_line(
    mechsteer: Run, files: dict[str, str], tmp_path: Path, args: tuple[str, ...], reason: str
) -> None:
    said = mechsteer("export", files[args[0]], *args[1:], "-o", str(tmp_path / "x"), code=1)
    assert reason in said and said.startswith("error: ") and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
