"""``mechsteer similarity`` and ``transfer`` on tiny runs: answers kept, wrong input in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mechsteer.artifacts.runs import Run
from mechsteer.cli.do import similarity as of_similarity
from mechsteer.cli.do import transfer as of_transfer
from mechsteer.cli.do.asked import how_to_repeat
from mechsteer.corpus import ParallelCorpus
from mechsteer.crosslingual.similarities.found import TABLES
from mechsteer.studies.files import save_study
from tests.crosslingual.similarities.made import LANGUAGES, near, study

Command = Callable[..., str]
ASKED = (
    *("--kinds", "script", "--predictors", "near=near.csv", "--permutations", "19"),
    *("--seed", "3"),
)


def never(*args: object, **options: object) -> None:
    raise AssertionError("asked again")


def made(path: Path) -> Run:
    """A run that a study has finished in; no model made it."""
    run = Run.create(path, {"model": "embedded", "corpus": "embedded"}, languages=LANGUAGES)
    found = study()
    names = {name: pd.DataFrame({"nothing": [0]}) for name in ("experts", "counts", "overlap")}
    save_study(run, replace(found, **names, **_empty()), {"test": "embedded"})
    return run


def _empty() -> dict[str, pd.DataFrame]:
    return {name: pd.DataFrame({"nothing": [0]}) for name in ("doses", "projection", "hubness")}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A studied run in the folder ``R``, beside a distance as CSV, in the present folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MECHSTEER_DATA", raising=False)
    pd.DataFrame(near(0), index=LANGUAGES, columns=LANGUAGES).to_csv("near.csv")
    return made(Path("R"))


def test_similarity_is_a_stage_that_is_taken_up_again(
    run: Run, mechsteer: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mechsteer("similarity", "R", *ASKED)
    assert "what explains most of 1 response" in first
    files = {path: path.read_bytes() for path in Path("R").glob("similarity.*.parquet")}
    assert len(files) == len(TABLES)
    shutil.copytree("R", "again")
    monkeypatch.setattr(of_similarity, "explained", never)
    assert mechsteer("similarity", "R", *ASKED) == first
    assert {path: path.read_bytes() for path in files} == files
    near_by = pd.DataFrame(near(1), index=LANGUAGES, columns=LANGUAGES)
    near_by.to_csv("near.csv")  # the same words, other numbers
    with pytest.raises(AssertionError, match="asked again"):
        mechsteer("similarity", "R", *ASKED)


def test_what_a_report_says_to_type_gives_the_same_bytes(run: Run, mechsteer: Command) -> None:
    shutil.copytree("R", "RUN")
    mechsteer("similarity", "R", *ASKED)
    *_, typed, last = how_to_repeat(Run.open(Path("R"))).splitlines()
    assert last == "mechsteer report RUN"
    assert typed.startswith("mechsteer similarity RUN ")
    mechsteer(*typed.split()[1:])
    for path in Path("R").iterdir():
        if path.name != "run.log":
            assert path.read_bytes() == (Path("RUN") / path.name).read_bytes(), path.name


def test_what_was_explained_of_an_older_study_is_not_said_to_be_of_this_one(
    run: Run, mechsteer: Command
) -> None:
    mechsteer("similarity", "R", *ASKED)
    assert "mechsteer similarity" in how_to_repeat(Run.open(Path("R")))
    whole = study()
    save_study(
        Run.open(Path("R")),
        replace(whole, results=whole.results.assign(n=7), **_empty()),
        {"test": "embedded"},
    )
    assert "mechsteer similarity" not in how_to_repeat(Run.open(Path("R")))


def test_json_has_the_tables(run: Run, mechsteer: Command) -> None:
    told = json.loads(mechsteer("similarity", "R", *ASKED, "--json"))
    assert set(told) == {*TABLES, "notes"}
    kept = pd.read_parquet("R/similarity.effects.parquet")
    np.testing.assert_allclose([row["share"] for row in told["effects"]], kept["share"])
    assert [row["language"] for row in told["languages"]] == list(LANGUAGES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kinds", "syntax"), "unknown measure 'syntax'"),
        (("--kinds", "syntactic"), "no typological data: set MECHSTEER_DATA"),
        (("--predictors", "near"), "expected NAME=FILE.csv"),
        (("--predictors", "a=near.csv", "--predictors", "a=near.csv"), "each name once"),
        (("--predictors", "a=none.csv"), "expected a CSV of pairs"),
        (("--kinds", "script", "--transfer"), "no finished stage 'transfer'"),
    ],
    ids=" ".join,
)
def test_what_similarity_cannot_mean_is_refused_in_one_line(
    words: tuple[str, ...], said: str, run: Run, mechsteer: Command
) -> None:
    before = sorted(Path("R").iterdir())
    error = mechsteer("similarity", "R", *words, code=1)
    assert said in error
    assert error.count("\n") == 1
    assert sorted(Path("R").iterdir()) == before


def test_similarity_wants_a_study_of_five_languages(run: Run, mechsteer: Command) -> None:
    del run.manifest["stages"]["study"]
    run._write()
    assert "no finished stage 'study'" in mechsteer("similarity", "R", *ASKED, code=1)
    whole = study()
    few = whole.results["source"].isin(LANGUAGES[:2]) & whole.results["target"].isin(LANGUAGES[:2])
    save_study(run, replace(whole, results=whole.results[few], **_empty()), {"test": "embedded"})
    error = mechsteer("similarity", "R", *ASKED, code=1)
    assert "five languages or more, got 2 (eng_Latn, deu_Latn)" in error
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scored run ``R`` of two languages and labelled sentences as SIB-200 has."""
    root = tmp_path_factory.mktemp("transfer")
    corpus = ParallelCorpus.embedded("dev", languages=["eng_Latn", "fra_Latn"])
    for code, texts in corpus.sentences.items():
        (root / "text").mkdir(exist_ok=True)
        (root / "text" / f"{code}.txt").write_text("\n".join(texts[:6]) + "\n", encoding="utf-8")
        for split, rows in (("train", slice(0, 12)), ("test", slice(12, 20))):
            table = pd.DataFrame({"text": texts[rows]})
            table.insert(0, "index_id", range(rows.start, rows.stop))
            table.insert(1, "category", [("sport", "travel")[i % 2] for i in range(len(table))])
            (root / "labels" / code).mkdir(parents=True, exist_ok=True)
            table.to_csv(root / "labels" / code / f"{split}.tsv", sep="\t", index=False)
    return root


@pytest.fixture
def place(scored: Path, mechsteer: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(scored)
    if not Path("R").exists():
        mechsteer("score", "embedded", "--corpus", "text", "-o", "R")
    return scored


LABELS = ("--labels", "labels", "--split", "train", "--test-split", "test")
QUICK = ("--layers", "3", "--resamples", "40", "--seeds", "0")


def test_transfer_is_measured_once_and_said_how_to_repeat(
    place: Path, mechsteer: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mechsteer("transfer", "R", *LABELS, *QUICK)
    assert "chance 0.500, majority 0.500" in first
    asked = json.loads(Path("R/manifest.json").read_text())["stages"]["transfer"]["asked"]
    assert (asked["layers"], asked["seeds"], asked["test_split"]) == ([3], [], "test")
    rows = pd.read_parquet("R/transfer.parquet")
    single = (rows["source"] != "*") & (rows["target"] != "*")
    mean = rows[single & (rows["metric"] == "accuracy") & (rows["kind"] == "base")]
    apart = mean[mean["source"] != mean["target"]]["value"].mean()
    over = rows[(rows["source"] == "*") & (rows["target"] == "*") & (rows["metric"] == "accuracy")]
    assert over[over["kind"] == "base"]["value"].iloc[0] == pytest.approx(apart)
    assert f"{apart:.3f}" in first
    monkeypatch.setattr(of_transfer, "run_transfer", never)
    assert mechsteer("transfer", "R", *LABELS, *QUICK) == first


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--labels", "nowhere"), "nowhere"),
        (("--labels", "labels", "--split", "train", "--test-split", "train"), "another split"),
        ((*LABELS, "--languages", "eng_Latn,deu_Latn"), "deu_Latn"),
        ((*LABELS, "--label", "topic"), "topic"),
        ((*LABELS, "--corpus", "text"), "--test-split: expected no --corpus"),
    ],
    ids=" ".join,
)
def test_what_transfer_cannot_mean_is_refused_in_one_line(
    words: tuple[str, ...], said: str, place: Path, mechsteer: Command
) -> None:
    error = mechsteer("transfer", "R", *words, code=1)
    assert said in error
    assert error.count("\n") == 1


def test_characteristics_from_a_file_and_rankings_are_printed(
    run: Run, mechsteer: Command, tmp_path: Path
) -> None:
    told = "\n".join(f"{code},{place % 3}" for place, code in enumerate(LANGUAGES))
    (tmp_path / "known.csv").write_text(f"language,share\n{told}\n")
    asked = (*ASKED, "--characteristics", "known.csv", "--responses", "transfer=near.csv")
    printed = mechsteer("similarity", "R", *asked)
    assert "NDCG@3" in printed
    assert "share" in printed
    found = json.loads(mechsteer("similarity", "R", *asked, "--json"))
    assert {row["characteristic"] for row in found["characteristics"]} == {"share"}
    assert {"near", "random"} <= {row["ranking"] for row in found["rankings"]}
