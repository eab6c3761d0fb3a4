"""The scripts that measure large runs, on small ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.scale import flores, states, synthetic


def told(module, words: list[str], monkeypatch, capsys) -> dict:
    monkeypatch.setattr(sys, "argv", [module.__name__, *words])
    module.main()
    return json.loads(capsys.readouterr().out)


def test_scores_from_blocks_on_disk_are_those_of_scikit_learn_and_torch(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    words = [
        "--sentences",
        "2600",
        "--neurons",
        "40",
        "--languages",
        "4",
        "--memory",
        "100kB",
        "--sample",
        "6",
    ]
    found = told(synthetic, [str(tmp_path), *words], monkeypatch, capsys)
    assert found["scikit_learn"]["largest_difference"] < 1e-6
    assert found["torch_sort"]["largest_difference"] < 1e-6
    assert found["mechsteer"]["peak_bytes"] > 0
    assert json.loads((tmp_path / "result.json").read_text()) == found


@pytest.mark.filterwarnings("ignore")
def test_a_study_of_made_states_tells_what_it_took(tmp_path: Path, monkeypatch, capsys) -> None:
    words = [
        "--languages",
        "4",
        "--sentences",
        "12",
        "--rows",
        "4",
        "--width",
        "8",
        "--tune",
        "6",
        "--memory",
        "100kB",
    ]
    found = told(states, [*words, "-o", str(tmp_path / "found.json")], monkeypatch, capsys)
    assert found["states"] == 2
    assert json.loads((tmp_path / "found.json").read_text()) == found


def test_recording_and_scoring_are_told_apart_by_their_files(tmp_path: Path) -> None:
    import os

    (tmp_path / "recording").mkdir()
    for at, name in enumerate(("recording/plan.json", "recording/00000.safetensors")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 + 50 * at, 1000 + 50 * at))
    (tmp_path / "scores.safetensors").touch()
    os.utime(tmp_path / "scores.safetensors", (1052, 1052))
    assert flores.written(tmp_path) == {
        "recording": 50.0, "scoring": 2.0, "shards": 1, "scoring_share": 0.04,
    }  # fmt: skip
    took = flores.timed(["-c", "pass"])
    assert took["seconds"] > 0
    with pytest.raises(subprocess.CalledProcessError):
        flores.timed(["-c", "raise SystemExit(3)"])
