"""The command a report prints, typed again as it stands, gives the same bytes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.runs import Run
from mechsteer.cli import cli
from mechsteer.cli.config import CONFIG
from mechsteer.cli.do.asked import how_to_repeat
from mechsteer.cli.do.models import WEIGHTS, model_of
from mechsteer.cli.entry import _run
from mechsteer.cli.requests import (
    CardsRequest,
    ProbeRequest,
    ScoreRequest,
    SimilarityRequest,
    StudyRequest,
    TransferRequest,
)
from mechsteer.corpus import ParallelCorpus
from mechsteer.errors import MechsteerError
from mechsteer.options import Options, arguments, options_of

HOSTILE = "x; touch y $(touch z) 'q\" é"  # a name for a folder, and a trap for a shell
BYTES = ["scores.safetensors", "results.parquet", "doses.parquet", "experts.parquet"]


def mechsteer(*args: str, code: int = 0) -> None:
    assert _run(lambda: cli.main(list(args), standalone_mode=False), debug=False) == code


def write(folder: Path, split: str, rows: slice) -> None:
    corpus = ParallelCorpus.embedded(split, languages=["eng_Latn", "fra_Latn", "jpn_Jpan"])
    folder.mkdir(parents=True, exist_ok=True)
    for code, texts in corpus.sentences.items():
        lines = "\n".join(texts[rows]) + "\n"
        (folder / f"{code}.{split}").write_text(lines, encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with text in a folder of a hostile name, and a run on it with few usual options."""
    root = tmp_path_factory.mktemp("repeat")
    before = Path.cwd()
    os.chdir(root)
    try:
        write(root / HOSTILE, "dev", slice(12))
        write(root / HOSTILE, "test", slice(12))
        mechsteer(
            "score", "embedded", "--corpus", HOSTILE, "--split", "dev", "--limit", "10",
            "--languages", "eng_Latn,fra,ja", "--negative-only", "en", "--pooling", "mean",
            "--batch-tokens", "512", "--truncate", "--skip-first", "--dtype", "float32",
            "--device", "cpu", "-o", "first",
        )  # fmt: skip
        mechsteer("edit", "first", "--language", "fr", "--k", "9", "-o", "my edit.edit")
        mechsteer(
            "study", "first", "--test", HOSTILE, "--split", "test", "--limit", "9",
            "--languages", "fra_Latn,ja", "--targets", "fra", "--k", "7,0.01",
            "--strength=-0.5,1", "--seeds", "1",
            "--by", "auroc", "--edit", "damp", "--edit", "my edit.edit", "--cost-corpus", "dev",
            "--tune", "8", "--choose-at", "last_block", "--only-chosen", "--quality",
        )  # fmt: skip
        mechsteer("cards", "first", "--neurons", "1:5", "--top", "0")
        mechsteer("report", "first")
    finally:
        os.chdir(before)
    return root


def as_a_shell_reads(script: str) -> list[list[str]]:
    """The words that each command of a script gets, from a real shell."""
    tell = "mechsteer() { for word; do printf '%s\\037' \"$word\"; done; printf '\\036'; }"
    done = subprocess.run(["sh", "-ec", f"{tell}\n{script}"], check=True, capture_output=True)
    return [line.split("\x1f")[:-1] for line in done.stdout.decode().split("\x1e")[:-1]]


def asked(name: str, *words: str) -> dict[str, Any]:
    """What a command would do, but for the folder it does it in."""
    command, group = cli.commands[name], click.Context(cli)
    given = command.make_context(name, list(words), parent=group).params
    return {key: value for key, value in given.items() if key not in ("run", "output")}


def test_the_printed_commands_give_the_same_bytes(place: Path) -> None:
    printed = how_to_repeat(Run.open(place / "first"))
    page = (place / "first" / "report.html").read_text(encoding="utf-8")
    assert "--batch-tokens 512" in page
    before = Path.cwd()
    os.chdir(place)
    try:
        for words in as_a_shell_reads(printed):
            mechsteer(*words)
    finally:
        os.chdir(before)
    for name in BYTES:
        assert (place / "RUN" / name).read_bytes() == (place / "first" / name).read_bytes(), name
    config = place / "first" / CONFIG
    assert (place / "RUN" / CONFIG).read_bytes() == config.read_bytes()
    for name, *words in as_a_shell_reads(printed)[:-1]:
        assert asked(name, *words) == asked(name, "--config", str(config))
    assert not {"y", "z"} & {path.name for path in place.iterdir()}
    first, second = (
        json.loads((place / run / "manifest.json").read_text()) for run in ("first", "RUN")
    )
    assert first == second


def test_a_command_killed_before_its_file_of_flags_writes_it_when_it_finds_its_work_done(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    file = place / "first" / CONFIG
    before = file.read_bytes()
    file.unlink()
    score = as_a_shell_reads(how_to_repeat(Run.open(place / "first")))[0]
    mechsteer(*["first" if word == "RUN" else word for word in score])
    assert file.read_bytes() == before


WRITERS = [
    ["score", "embedded", "--corpus", "embedded", "--split", "dev", "-o", "first"],
    ["select", "first", "--language", "fra_Latn", "--k", "3"],
    ["select", "first", "--language", "fra_Latn", "--fdr", "0.1"],
    ["study", "first", "--test", "embedded"],
    ["cards", "first", "--top", "1"],
    ["report", "first"],
    ["report", "first", "-o", "page.html"],
]


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_every_command_that_writes_in_a_run_waits_for_no_other_and_says_so(
    place: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with locked(place / "first"):
        mechsteer(*words, code=1)
    assert "another mechsteer command is writing in first" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[" * 10**5, None], ids=["empty", "unsigned", "depth", "none"]
)
def test_what_is_kept_to_spare_hashing_is_worth_no_refusal(
    place: Path, damage: bytes | None
) -> None:
    kept = place / "first" / WEIGHTS
    before = kept.read_bytes()
    kept.unlink()
    if damage is not None:
        kept.write_bytes(damage)
    try:
        model_of(Run.open(place / "first"))
    finally:
        kept.write_bytes(before)


OTHER: dict[str, Any] = {  # of every option a value that is not its default
    "corpus": HOSTILE, "split": "-x", "languages": ("fra_Latn", "deu_Latn"), "labelled": True,
    "limit": 7, "negative_only": ("deu_Latn",), "site": "linear", "pooling": "last",
    "also_pooling": ("max",),
    "batch_tokens": 9, "truncate": True, "skip_first": True, "prefix": "query: ",
    "device": "cuda:1", "dtype": "bfloat16", "parallel": "model",
    "targets": ("fra_Latn",), "ks": (3, 0.001),
    "strengths": (-1.5, 2.0), "by": "auroc", "seeds": (0, 1), "tune": 9, "choose_at": "final_norm",
    "only_chosen": True, "grow": True, "within": "script", "allow_overlap": True, "quality": True,
    "edits": ("damp", "a b.edit"), "test": "t", "rows": "3:9", "text": "dev",
    "cost_corpus": "dev",
    "neurons": ("1:2", "gate:3:4"), "top": 5,
    "label": ("tone", "yes, but"), "language_column": "lang", "separator": ";",
    "k": 0.25, "copies": ("shuffled",), "least": 0.25, "seed": 3,
    "resamples": 50, "memory": "1.5 GiB", "kinds": ("script", "lexical"), "least_coverage": 0.5,
    "permutations": 19, "predictors": ("a=b c.csv", "d=e.csv"), "responses": ("f=g.csv",),
    "transfer": True, "layers": (0, 2), "held_out": 0.25, "inverse_penalty": 0.5,
    "choose_penalty": True, "strength": -0.5, "labels": "l",
    "test_split": "test", "column": "label", "group": "document", "characteristics": "c.csv",
}  # fmt: skip


@pytest.mark.parametrize(
    "record",
    [
        *(ScoreRequest, StudyRequest, CardsRequest, ProbeRequest),
        *(SimilarityRequest, TransferRequest),
    ],
)
def test_what_is_typed_for_any_options_means_those_options(
    record: type[Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mechsteer.cli.do import probe, report, score, similarity, study, transfer

    seen: list[Options] = []
    for module, name in ((score, "score_command"), (study, "study_command")):
        monkeypatch.setattr(module, name, lambda *args: _keep(seen, args))
    for module, name in ((similarity, "similarity_command"), (transfer, "transfer_command")):
        monkeypatch.setattr(module, name, lambda *args: _keep(seen, args))
    monkeypatch.setattr(probe, "probe_command", lambda *args: _keep(seen, args))
    monkeypatch.setattr(report, "cards_command", lambda *args: _keep(seen, args))
    command = {
        ScoreRequest: "score",
        StudyRequest: "study",
        CardsRequest: "cards",
        ProbeRequest: "probe",
        SimilarityRequest: "similarity",
        TransferRequest: "transfer",
    }[record]
    for asked in _each(record):
        words = arguments(asked) + (["-o", "RUN"] if command == "score" else [])
        mechsteer(command, "X", *words, code=1)
        assert seen.pop() == asked


def _keep(seen: list[Options], args: tuple[Any, ...]) -> None:
    seen.append(args[-1])
    raise MechsteerError("asked enough")


def _each(record: type[Options]) -> list[Options]:
    """The record with one option changed at a time, and with all of them."""
    flagged = [name for name, known in options_of(record).items() if known.flag]
    needed = {
        field.name: OTHER[field.name]
        for field in dataclasses.fields(record)
        if field.default is dataclasses.MISSING
    }
    one = [record(**needed | {name: OTHER[name]}) for name in flagged]
    return [record(**needed), *one, record(**{name: OTHER[name] for name in flagged})]


def test_a_model_that_looks_like_a_flag_is_no_flag(place: Path) -> None:
    run = Run.open(place / "first")
    run.manifest["inputs"]["model"] = "--my model"
    assert how_to_repeat(run).splitlines()[0].endswith(" -o RUN -- '--my model'")


REFUSED = [
    ("study", "X", "--test", "t", "--k", "1.7"),
    ("study", "X", "--test", "t", "--k", "0"),
    ("study", "X", "--test", "t", "--k=-0.5"),
    ("study", "X", "--test", "t", "--k", "nan"),
    ("study", "X", "--test", "t", "--k", "inf"),
    ("study", "X", "--test", "t", "--k", ","),
    ("study", "X", "--test", "t", "--seeds=-3"),
    ("study", "X", "--test", "t", "--seeds", "1.5"),
    ("study", "X", "--test", "t", "--strength", "inf"),
    ("study", "X", "--test", "t", "--strength", "strong"),
    ("study", "X", "--test", "t", "--limit", "0"),
    ("study", "X", "--test", "t", "--limit=-4"),
    ("study", "X", "--test", "t", "--tune", "1"),
    ("study", "X", "--test", "t", "--targets", ","),
    ("study", "X", "--test", "t", "--by", "f1"),
    ("study", "X", "--test", "t", "--choose-at", "first"),
    ("study", "X", "--test", ""),
    ("score", "embedded", "--corpus", "embedded", "-o", "R", "--pooling", "avg"),
    ("score", "embedded", "--corpus", "embedded", "-o", "R", "--batch-tokens", "0"),
    ("score", "embedded", "--corpus", "embedded", "-o", "R", "--limit", "1"),
    ("score", "embedded", "--corpus", "embedded", "-o", "R", "--languages", ","),
    ("score", "embedded", "--corpus", "embedded", "-o", "R", "--dtype", "int8"),
    ("score", "embedded", "--corpus", "embedded", "-o", "R", "--memory", "4"),
    ("score", "embedded", "--corpus", "embedded", "-o", "R", "--memory", "lots"),
    ("study", "X", "--test", "t", "--memory=-4GB"),
    ("select", "X", "--language", "fr", "--k", "1.7"),
    ("edit", "X", "--language", "fr", "--k=-0.5", "-o", "e"),
    ("cards", "X", "--top=-1"),
]


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_values_out_of_range_are_refused_before_anything_is_read(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    mechsteer(*words, code=2)
    assert "Invalid value for" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_site_that_is_not_there_leaves_no_folder(tmp_path: Path) -> None:
    run = tmp_path / "R"
    words = ["score", "embedded", "--corpus", "embedded", "--split", "dev", "--limit", "4"]
    mechsteer(*words, "-o", str(run), "--site", "nowhere", code=1)
    mechsteer(*words, "-o", str(run), "--negative-only", "deu_Latn,xho_Latn", code=1)
    assert not run.exists()


def test_edits_of_one_name_are_refused_in_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    Path("other").mkdir(exist_ok=True)
    data = Path("my edit.edit").read_bytes()
    Path("other/my edit.edit").write_bytes(data)
    Path("damp.edit").write_bytes(data)
    for edits in (
        ("my edit.edit", "other/my edit.edit"), ("damp", "damp.edit"), ("damp", "damp"),
    ):  # fmt: skip
        words = [word for edit in edits for word in ("--edit", edit)]
        capsys.readouterr()
        mechsteer("study", "first", "--test", HOSTILE, "--split", "test", *words, code=1)
        error = capsys.readouterr().err
        assert error.startswith("error: two edits are called") and error.count("\n") == 1
