"""The text of commands: rows of one corpus, varieties of a language, what test shares with dev."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from mechsteer.artifacts.runs import Run
from mechsteer.cli.do.corpora import read_test, read_text, scored_text
from mechsteer.cli.entry import _run
from mechsteer.cli.parse.group import cli
from mechsteer.cli.requests import ScoreRequest, StudyRequest
from mechsteer.corpus import LabelledCorpus
from mechsteer.errors import ArtifactError, CorpusError, CorpusWarning, MechsteerError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for code in ("fra", "deu", "eng-GB", "eng-US"):
        text = "".join(f"{code} sentence {i}.\n" for i in range(20))
        (tmp_path / f"{code}.txt").write_text(text)
    return tmp_path


def scored(folder: Path, **asked: Any) -> Run:
    request = ScoreRequest(corpus=str(folder), **{"languages": ("fra", "deu"), **asked})
    text = read_text(
        request.corpus, request.languages, rows=request.rows, limit=request.limit,
        labelled=request.labelled,
    )  # fmt: skip
    inputs = {"model": "embedded"} | request.as_json() | {"fingerprint": text.fingerprint}
    return Run.create(folder / "run", inputs, languages=text.languages)


def test_one_corpus_is_split_by_rows(folder: Path) -> None:
    run = scored(folder, rows="0:12")
    request = StudyRequest(test=str(folder), rows="12:")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dev, test = read_test(run, request)
    assert (dev.n_sentences, test.n_sentences) == (12, 8)
    assert test.sentences["fra_Latn"][0] == "fra sentence 12."
    assert test.where("fra_Latn", 0).endswith("fra.txt:13")


def test_a_limit_counts_within_the_rows_and_in_labelled_text(folder: Path) -> None:
    assert read_text(str(folder), ("fra",), rows="5:15", limit=3).sentences == {
        "fra_Latn": ("fra sentence 5.", "fra sentence 6.", "fra sentence 7.")
    }
    labelled = read_text(str(folder), ("fra", "deu"), labelled=True, limit=5)
    assert isinstance(labelled, LabelledCorpus)
    assert len(labelled) == 10


def test_most_of_test_in_dev_is_refused_unless_told_otherwise(folder: Path) -> None:
    run = scored(folder, limit=15)
    with pytest.raises(CorpusError, match=r"15 of 20 in .*--rows 0:500.*--allow-overlap"):
        read_test(run, StudyRequest(test=str(folder)))
    _, test = read_test(run, StudyRequest(test=str(folder), allow_overlap=True))
    assert test.n_sentences == 20
    read_test(run, StudyRequest(test=str(folder), rows="10:20"))  # half of them: only said later


def test_a_variety_asked_for_is_read_again_by_its_own_code(folder: Path) -> None:
    run = scored(folder, languages=("eng-US", "fra"), rows="0:9")
    assert scored_text(run).sentences["eng_Latn"][0] == "eng-US sentence 0."
    _, test = read_test(run, StudyRequest(test=str(folder), rows="9:"))
    assert test.sentences["eng_Latn"][0] == "eng-US sentence 9."
    (folder / "eng-US.txt").write_text("Other.\n" * 20)
    with pytest.warns(CorpusWarning), pytest.raises(ArtifactError, match="has changed"):
        scored_text(run)


@pytest.mark.parametrize("rows", ["0:21", "20:", "25:30"])
def test_rows_that_are_not_there_are_refused(folder: Path, rows: str) -> None:
    with pytest.raises(CorpusError, match=f"--rows {rows}: .* has 20 sentences a language"):
        read_text(str(folder), ("fra",), rows=rows)


@pytest.mark.parametrize("rows", ["5", "5:5", "-1:4", "a:b", ""])
def test_what_is_no_rows_is_refused_before_anything_is_read(rows: str) -> None:
    with pytest.raises(MechsteerError, match="--rows: expected rows as 0:500"):
        ScoreRequest(corpus="nowhere", rows=rows)


@pytest.mark.parametrize(
    "asked", [["--languages", ","], ["--rows", "9:1"], ["--languages", "fra,xq"], ["--limit", "0"]]
)
def test_the_command_line_refuses_it_in_words(
    folder: Path, tmp_path: Path, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["score", "embedded", "--corpus", str(folder), "-o", str(tmp_path / "R"), *asked]
    assert _run(lambda: cli.main(given, standalone_mode=False), debug=False) in {1, 2}
    said = capsys.readouterr().err
    assert "expected" in said or "unknown language 'xq'" in said
    assert "(--debug shows where)" not in said  # an error of our own
    assert not (tmp_path / "R").exists()
