"""Edits on the command line: made, written with, refused in one line, told the cost of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

import mechsteer as ms
from mechsteer.cli.do.edits import edit_command
from mechsteer.cli.do.score import score_command
from mechsteer.cli.requests import ScoreRequest
from mechsteer.cli.show.side_by_side import side_by_side, visible
from mechsteer.interventions import NeuronEdit

Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "run"
    languages = ("eng_Latn", "fra_Latn", "jpn_Jpan")
    asked = ScoreRequest(corpus="embedded", split="dev", languages=languages, limit=48)
    score_command("embedded", path, asked)
    return path


@pytest.fixture(scope="module")
def french(run: Path) -> Path:
    edit_command(run, run / "french.edit", edit="clamp", language="fr", k=300)
    return run / "french.edit"


def test_an_edit_made_on_the_command_line_is_the_one_made_in_python(
    run: Path, french: Path, tmp_path: Path, mechsteer: Run
) -> None:
    mechsteer("edit", str(run), "--edit", "clamp", "--language", "fra_Latn", "--k", "300",
              "--strength", "0.5", "-o", str(tmp_path / "half.edit"))  # fmt: skip
    half, whole = ms.load_edit(tmp_path / "half.edit"), ms.load_edit(french)
    assert isinstance(half, NeuronEdit)
    assert isinstance(whole, NeuronEdit)
    assert half.index.tolist() == whole.index.tolist()
    assert half.b.tolist() == whole.scaled(0.5).b.tolist()
    assert half.provenance["selection"] == "top 300 by ap"
    assert half.provenance["scored"]["limit"] == 48


def test_generate_shows_before_and_after_and_speaks_json(french: Path, mechsteer: Run) -> None:
    args = ("generate", "embedded", "--edit", str(french), "--prompt", "The weather",
            "--max-new-tokens", "8", "--greedy")  # fmt: skip
    (pair,) = json.loads(mechsteer(*args, "--json"))
    assert pair["prompt"] == "The weather"
    assert pair["before"] != pair["after"]
    env = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "100"}
    shown = subprocess.run(
        [sys.executable, "-m", "mechsteer", *args],
        capture_output=True,
        text=True,
        env=env,
        check=True,
    )
    assert shown.stderr == ""
    assert "before" in shown.stdout
    assert "after" in shown.stdout


def test_several_edits_and_positions_reach_the_model(french: Path, mechsteer: Run) -> None:
    args = ("generate", "embedded", "--edit", str(french), "--edit", str(french), "--greedy",
            "--max-new-tokens", "6", "--json",
            "--prompt", "The weather", "--prompt", "Yes")  # fmt: skip
    pairs = json.loads(mechsteer(*args, "--strength", "0"))
    assert [pair["before"] for pair in pairs] == [pair["after"] for pair in pairs]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generated = json.loads(mechsteer(*args, "--positions", "generated"))
    assert [pair["prompt"] for pair in generated] == ["The weather", "Yes"]


def test_refusals_are_one_line(run: Path, french: Path, tmp_path: Path, mechsteer: Run) -> None:
    data = bytearray(french.read_bytes())
    data[-1] ^= 1
    (tmp_path / "changed.edit").write_bytes(data)
    edit = ("edit", str(run), "--k", "3", "-o", str(tmp_path / "x"))
    generate = ("generate", "embedded", "--edit", str(french))
    for args in (
        (*edit, "--language", "frx"),
        (*edit, "--language", "fra", "--edit", "rotate"),
        ("generate", "embedded", "--edit", str(tmp_path / "changed.edit")),
        ("generate", "embedded", "--edit", str(tmp_path / "none.edit")),
        (*generate, "--strength", "1", "--strength", "2"),
        (*generate, "--max-new-tokens", "100000"),
        ("cost", "embedded", "--edit", str(french), "--language", "fr", "--corpus", "/no/file"),
    ):
        message = mechsteer(*args, code=1)
        assert message.startswith("error: ")
        assert len(message.strip().splitlines()) == 1
    mechsteer("generate", "embedded", code=2)
    mechsteer(*generate, "--positions", "everywhere", code=2)


def test_cost_prints_one_row_an_observation(french: Path, tmp_path: Path, mechsteer: Run) -> None:
    (tmp_path / "text.txt").write_text("The king gave a ring.\n\nThe weather is fine.\n")
    rows = json.loads(
        mechsteer(
            "cost", "embedded", "--edit", str(french), "--corpus", str(tmp_path / "text.txt"),
            "--language", "fr", "--n", "2", "--seeds", "2", "--json",
        )
    )  # fmt: skip
    assert {row["metric"] for row in rows} >= {"bits_per_byte", "kl", "language", "repetition"}
    assert {row["edit"] for row in rows} == {"none", "clamp"}


@pytest.mark.parametrize("command", ["edit", "generate", "cost"])
def test_the_commands_explain_themselves(command: str, mechsteer: Run) -> None:
    assert "Usage:" in mechsteer(command, "--help")


def rendered(before: str, after: str, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width, markup=False, highlight=False)
    console.print(side_by_side([("Title", before, after)], width))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_two_texts_stand_beside_each_other_where_there_is_room() -> None:
    lines = rendered(" one two", " 猫は庭で眠っている" * 12, 90)
    assert any("one two" in line and "猫" in line for line in lines)
    assert max(map(cell_len, lines)) <= 90


def test_a_narrow_terminal_and_right_to_left_text_have_one_under_the_other() -> None:
    for before, after, width in (("one", "two", 60), ("one", "صباح الخير", 120)):
        lines = rendered(before, after, width)
        assert not any(before in line and after in line for line in lines)
        assert any(after in line for line in lines)


def test_a_text_cannot_steer_the_terminal() -> None:
    assert visible("a\x1b[31m\u202eb\r\n") == "a·[31m·b·\n"
    persian = "می\u200cخواهم"  # its joiner is part of how it is written
    assert visible(persian) == persian
    assert not any("\x1b" in line for line in rendered("[red]\x1b[2J", "x", 100))
    assert any("[red]" in line for line in rendered("[red]", "x", 100))
