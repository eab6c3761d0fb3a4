from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest
import torch

from mechsteer.artifacts import files as artifacts
from mechsteer.artifacts.runs import Run
from mechsteer.errors import ArtifactError


def test_tensors_and_tables_come_back_as_they_were(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).bfloat16().T, "b": torch.arange(5)}
    artifacts.write_tensors(tmp_path / "x.safetensors", tensors, {"key": "é"})
    found, metadata = artifacts.read_tensors(tmp_path / "x.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert metadata == {"key": "é"}
    frame = pd.DataFrame({"layer": [0, 1], "value": [0.5, float("nan")]})
    artifacts.write_table(tmp_path / "t.parquet", frame)
    pd.testing.assert_frame_equal(artifacts.read_table(tmp_path / "t.parquet"), frame)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name, content in (("1", {"b": 1, "a": [2]}), ("2", {"a": [2], "b": 1})):
        artifacts.write_json(tmp_path / name, content)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    artifacts.write_bytes(path, b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        artifacts.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", [b"", b"\x00" * 9, b"\xff" * 200, b'{"a"'])
def test_damaged_files_are_refused_by_name(tmp_path: Path, damage: bytes) -> None:
    for name, read in (
        ("x.safetensors", artifacts.read_tensors),
        ("x.parquet", artifacts.read_table),
        ("x.json", artifacts.read_json),
    ):
        (tmp_path / name).write_bytes(damage)
        with pytest.raises(ArtifactError, match=name):
            read(tmp_path / name)


def test_a_run_is_taken_up_only_with_equal_inputs(tmp_path: Path) -> None:
    Run.create(tmp_path, {"k": 1, "model": "a"}, languages=["fra_Latn"])
    assert (
        Run.create(tmp_path, {"k": 1, "model": "a"}, languages=["fra_Latn"]).manifest["stages"]
        == {}
    )
    with pytest.raises(ArtifactError, match=r"other inputs \(model: 'a' ≠ 'b'\)"):
        Run.create(tmp_path, {"k": 1, "model": "b"}, languages=["fra_Latn"])


def test_a_changed_file_of_a_finished_stage_is_refused(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {}, languages=[])
    artifacts.write_bytes(tmp_path / "scores", b"right")
    run.finish("score", files=["scores"], facts=3)
    assert Run.open(tmp_path).stage("score")["facts"] == 3
    assert run.is_done("score")
    (tmp_path / "scores").write_bytes(b"wrong")
    assert not run.is_done("score")
    with pytest.raises(ArtifactError, match="was changed"):
        run.stage("score")


def test_an_unfinished_stage_and_a_newer_schema_are_refused(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {}, languages=[])
    with pytest.raises(ArtifactError, match="no finished stage 'study'"):
        run.stage("study")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"schema": 99}))
    with pytest.raises(ArtifactError, match="schema 99"):
        Run.open(tmp_path)


def test_no_run_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="mechsteer score MODEL"):
        Run.open(tmp_path / "nothing")
