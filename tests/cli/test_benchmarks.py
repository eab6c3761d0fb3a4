"""Benchmarks on the command line: answers with and without edits, confusion, forcing, a judge."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer.interventions import NeuronEdit
from mechsteer.model.sites import find_site
from tests.corpus.written import write

Run = Callable[..., str]


@pytest.fixture(scope="module")
def model() -> Any:
    return ms.load_model(device="cpu")


@pytest.fixture(autouse=True)
def _loaded_once(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mechsteer.cli.do.benchmarks.open_model", lambda *_: model)


@pytest.fixture(scope="module")
def edits(tmp_path_factory: pytest.TempPathFactory, model: Any) -> Path:
    folder = tmp_path_factory.mktemp("edits")
    site = find_site(model)
    edit = NeuronEdit("clamp", site, torch.arange(300), torch.zeros(300), torch.ones(300))
    ms.save_edit(edit, folder / "fra_Latn.edit")
    return folder


def test_answers_are_written_rated_and_judged(tmp_path: Path, edits: Path, mechsteer: Run) -> None:
    write(tmp_path, {"data/en.txt": "The king\n", "data/fr.txt": "Le roi\n"})
    out = tmp_path / "answers.jsonl"
    said = mechsteer("answer", "embedded", "--prompts", str(tmp_path / "data"), "--targets",
                     "fr", "--edit", str(edits / "{language}.edit"), "--strength", "0.5",
                     "--max-new-tokens", "2", "-o", str(out))  # fmt: skip
    found = re.search(r"\(4 of none, (clamp λ=0.5 \w{8})\)", said)
    assert found is not None
    assert not (tmp_path / "answers.jsonl.kept").exists()
    judge = tmp_path / "judge.jsonl"
    table = json.loads(mechsteer("forcing", str(out), "--judge", str(judge), "--json"))
    assert {(row["edit"], row["by"]) for row in table} == {
        (edit, by) for edit in ("none", found[1]) for by in ("target", "source", "all")
    }
    scored = [{**json.loads(line), "score": 2} for line in judge.read_text().splitlines()]
    write(tmp_path, {"judged.jsonl": "".join(json.dumps(row) + "\n" for row in scored)})
    shown = mechsteer("forcing", str(out), "--languages", "fr", "--judged",
                      str(tmp_path / "judged.jsonl"))  # fmt: skip
    assert "steering" in shown
    rates = json.loads(mechsteer("confusion", str(out), "--json"))
    assert {row["metric"] for row in rates} <= {"line", "word", "both"}
    assert "has no answers in deu_Latn, got" in mechsteer("confusion", str(out), "--languages",
                                                          "de", code=1)  # fmt: skip


def test_prompts_name_their_language_themselves(tmp_path: Path, mechsteer: Run) -> None:
    write(tmp_path, {"monolingual/okapi/fr.csv": "prompt,language\nLe roi,fr\nUn roi,fr\n"})
    args = ("answer", "embedded", "--prompts", str(tmp_path), "-o", str(tmp_path / "a.jsonl"))
    assert "leave --targets out" in mechsteer(*args, "--targets", "fr", code=1)
    assert "(1 of none)" in mechsteer(*args, "--limit", "1", "--max-new-tokens", "3")
    assert "no prompts for deu_Latn" in mechsteer(*args, "--languages", "de", code=1)
