"""A concept goes the whole road without the code of a language anywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mechsteer.cli import cli
from mechsteer.cli.entry import _run

RUDE, KIND = "toxique / très", "not toxic"
SENTENCES = {
    (RUDE, "English"): ["You are an idiot.", "I hate you.", "Shut up, fool.", "Go away, pig."],
    (KIND, "English"): ["What a lovely day.", "Thank you.", "Sit down, friend.", "Come in, dear."],
    (RUDE, "French"): ["Tu es un idiot.", "Je te hais.", "Tais-toi, idiot.", "Va-t'en, porc."],
    (KIND, "French"): ["Quelle journée.", "Merci bien.", "Asseyez-vous.", "Entrez, ma chère."],
}


def mechsteer(*args: str, code: int = 0) -> None:
    assert _run(lambda: cli.main(list(args), standalone_mode=False), debug=False) == code


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus of two tones in two languages."""
    rows = [
        (text, tone, language) for (tone, language), texts in SENTENCES.items() for text in texts
    ]
    path = tmp_path_factory.mktemp("concepts") / "reviews.csv"
    names = ["comment", "tone", "tongue"]
    pd.DataFrame(rows, columns=names).to_csv(path, index=False)
    return path


def test_the_whole_road(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, file = str(tmp_path / "RUN"), str(tmp_path / "tone.edit")
    columns = ["--label", "tone", "--language-column", "tongue"]
    mechsteer("score", "embedded", "--corpus", str(table), *columns, "-o", run)
    mechsteer("plan", "embedded", "--corpus", str(table), *columns)
    mechsteer("select", run, "--concept", RUDE, "--k", "7")
    mechsteer("edit", run, "--concept", RUDE, "--k", "7", "-o", file)
    mechsteer("generate", "embedded", "--edit", file, "--prompt", "You", "--max-new-tokens", "2")
    mechsteer("cards", run, "--top", "1")
    mechsteer("report", run)
    said = capsys.readouterr().out
    page = (tmp_path / "RUN" / "report.html").read_text(encoding="utf-8")
    shown = re.sub(r"<(style|script)\b.*?</\1>|<h3>Manifest.*", "", page, flags=re.DOTALL)
    for words in (said, re.sub(r"<[^>]+>", " ", shown.replace("--language-column", ""))):
        assert not re.search(r"languages?\b|_Latn|same script", words)
    assert "label" in said and RUDE in page
    assert "held at" not in page  # no edit was measured
    assert re.search(r"The best of 4,608 neurons of each has AP [0-9.]+.*; one has 0.50 by", page)
    (experts,) = (tmp_path / "RUN" / "experts").iterdir()
    assert list(pd.read_csv(experts)["label"]) == [RUDE] * 7
    mechsteer("study", run, "--test", "embedded", code=1)
    assert "a study compares translations" in capsys.readouterr().err
    config = yaml.safe_load((tmp_path / "RUN" / "config.yaml").read_text(encoding="utf-8"))
    assert config["score"]["label"] == ["tone"]


def test_columns_that_cannot_be_meant_are_refused(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["score", "embedded", "--corpus", str(table), "-o", str(tmp_path / "R")]
    for flags, said in (
        (["--label", "tine"], "expected a column 'tine', got comment, tone"),
        (["--text", "comment"], "a column is named, and no label"),
        (["--label", "tone", "--negative-only", "fr"], "fr not among"),
        (["--label", "tone", "--languages", "French"], "no column tells them"),
    ):
        mechsteer(*words, *flags, code=1)
        assert said in capsys.readouterr().err
    assert not (tmp_path / "R").exists()
