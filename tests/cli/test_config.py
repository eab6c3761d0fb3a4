"""A file of flags says what the line does not; every command takes one, and says more or less."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from mechsteer.cli import cli
from mechsteer.cli.config import written
from mechsteer.cli.do import score, study
from mechsteer.cli.requests import CardsRequest, ScoreRequest, StudyRequest
from mechsteer.errors import MechsteerError
from mechsteer.options import Options
from mechsteer.progress import hidden


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    """What ``score`` and ``study`` were called with; nothing runs."""
    seen: list[tuple[Any, ...]] = []

    def see(*args: Any) -> None:
        seen.append(args)
        logging.getLogger("mechsteer.study").info("at work")
        warnings.warn("look at this", UserWarning, stacklevel=2)
        seen.append((hidden(),))
        raise MechsteerError("asked enough")

    monkeypatch.setattr(score, "score_command", see)
    monkeypatch.setattr(study, "study_command", see)
    monkeypatch.chdir(tmp_path)
    return seen


def typed(*words: str) -> None:
    with pytest.raises(MechsteerError, match="asked enough"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cli.main(list(words), standalone_mode=False)


def refused(*words: str) -> str:
    with pytest.raises(click.UsageError) as error:
        cli.main(list(words), standalone_mode=False)
    message = error.value.format_message()
    assert "\n" not in message
    return message


def file(text: str) -> str:
    Path("run.yaml").write_text(text, encoding="utf-8")
    return "run.yaml"


ONE = """
model: no
device: cpu
score:
  corpus: my text.csv
  languages: [no, "yes, but", fr]
  also_pooling: last
  --limit: 5
  truncate: true
  split: null
study:
  test: other
  k: 7, 0.5
  strength: [-1, 2.5]
  seeds: 2
"""


def test_flags_come_from_a_file_as_if_they_were_typed(asked: list[Any]) -> None:
    typed("score", "--config", file(ONE), "-o", "R")
    model, output, request = asked[0]
    assert (model, output) == ("no", Path("R"))
    assert request == ScoreRequest(
        corpus="my text.csv", languages=("no", "yes, but", "fr"), also_pooling=("last",), limit=5,
        truncate=True, device="cpu",
    )  # fmt: skip


def test_a_file_serves_a_whole_run_and_the_line_wins(asked: list[Any]) -> None:
    typed("study", "R", "--config", file(ONE), "--seeds", "1", "--strength", "3")
    assert asked[0][1] == StudyRequest(test="other", ks=(7, 0.5), strengths=(3.0,), seeds=(0,))


def test_flags_at_the_top_serve_one_command(asked: list[Any]) -> None:
    typed("study", "R", "--config", file("test: t\nedit: [damp, 'a,b.edit']\nonly-chosen: yes"))
    assert asked[0][1] == StudyRequest(test="t", edits=("damp", "a,b.edit"), only_chosen=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tests: t", "run.yaml:1: study has no 'tests': did you mean test"),
        ("study:\n  ks: 3", "run.yaml:2: study has no 'ks': did you mean k"),
        ("scor:\n  test: t", "run.yaml:2: study has no 'scor': did you mean score"),
        ("test: t\npooling: max", "run.yaml:2: study has no 'pooling'"),
        ("score:\n  test: t", "run.yaml:2: score has no 'test'"),
        ("test: t\ntest: u", "run.yaml:2: 'test' stands twice"),
        ("test: [t, u]", "run.yaml:1: test: expected one value"),
        ("edit: [[a]]", "run.yaml:1: edit: expected a value or a list of values"),
        ("test: {a: b}", "run.yaml:1: test: expected one value"),
        ("- test", "run.yaml: expected flags by name"),
        ("test: [", "run.yaml:1 is no YAML"),
        ("study: 3", "run.yaml:1: study: expected flags by name"),
        ("test: t\nzzz: 1", "run.yaml:2: study has no 'zzz': expected allow-overlap, by, "),
        ("test: \x00", "run.yaml is no YAML: unacceptable character"),
        ("score:\nstudy: ~\n", "Missing option '--test'"),
        ("config: other.yaml", "run.yaml:1: study has no 'config'"),
        ("test: t\nk: 1.7", "Invalid value for '--k'"),
        ("test: t\nby: f1", "Invalid value for '--by'"),
        ("test: t\ngrow: perhaps", "Invalid value for '--grow'"),
        ("", "Missing option '--test'"),
    ],
)
def test_what_a_file_cannot_mean_is_wrong_usage(asked: list[Any], text: str, said: str) -> None:
    assert said in refused("study", "R", "--config", file(text))
    assert not asked


def test_no_such_file_is_wrong_usage(tmp_path: Path) -> None:
    assert "cannot read" in refused("study", "R", "--config", str(tmp_path / "none.yaml"))
    assert "cannot read" in refused("study", "R", "--config", str(tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        StudyRequest(test="true", targets=("no", 'say "a, b"', "5"), seeds=(0, 1), ks=(3, 1e-05)),
        StudyRequest(test="é: #x", strengths=(-0.5,), edits=("a,b.edit",), quality=True, tune=9),
        CardsRequest(neurons=("1:2", "gate:3:4"), top=0),
        ScoreRequest(corpus="0x1", prefix="query: ", languages=("null", "~"), rows="3:9"),
    ],
)
def test_what_is_written_asks_the_same(
    options: Options, asked: list[Any], monkeypatch: Any
) -> None:
    from mechsteer.cli.do import report

    monkeypatch.setattr(report, "cards_command", study.study_command)
    words = {StudyRequest: ["study", "R"], CardsRequest: ["cards", "R"]}.get(
        type(options), ["score", "M", "-o", "R"]
    )
    typed(*words, "--config", file(written({words[0]: ({}, options)})))
    assert asked[0][-1] == options


def test_the_file_of_a_run_knows_its_folder(asked: list[Any]) -> None:
    Path("R").mkdir()
    Path("R/manifest.json").write_text("{}")
    Path("R/config.yaml").write_text("score: {model: m, corpus: c}\nstudy: {test: t}")
    typed("study", "--config", "R/config.yaml")
    typed("score", "--config", "R/config.yaml")
    typed("score", "--config", "R/config.yaml", "-o", "again")
    assert [call[0] for call in asked[::2]] == [Path("R"), "m", "m"]
    assert [call[1] for call in asked[2::2]] == [Path("R"), Path("again")]


@pytest.mark.parametrize("first", [False, True])
def test_more_and_less_is_said(
    asked: list[Any], caplog: pytest.LogCaptureFixture, *, first: bool
) -> None:
    command = ["study", "R", "--test", "t"]
    for flags in ([], ["-v"], ["-q"], ["--quiet", "--verbose"]):
        caplog.clear()
        with warnings.catch_warnings(record=True) as warned, pytest.raises(MechsteerError):
            warnings.simplefilter("always")
            line = [*flags, *command] if first else [*command, *flags]
            cli.main(line, standalone_mode=False)
        assert ("at work" in caplog.messages) == ("-v" in flags or "--verbose" in flags)
        assert bool(warned) == (not {"-q", "--quiet"} & set(flags))
        assert asked[-1][0] is (True if {"-q", "--quiet"} & set(flags) else None)
    assert hidden() is None


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_takes_them(name: str) -> None:
    said = CliRunner().invoke(cli, [name, "--help"]).output
    assert all(flag in said for flag in ("--config", "-v, --verbose", "-q, --quiet", "--debug"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes(shell: str) -> None:
    code = "import sys; sys.argv = ['mechsteer']; from mechsteer.cli.entry import main; main()"
    words = {"COMP_WORDS": "mechsteer study R --tar", "COMP_CWORD": "3"}
    given = {"fish": {"COMP_WORDS": "mechsteer study R", "COMP_CWORD": "--tar"}}.get(shell, words)
    env = os.environ | given | {"_MECHSTEER_COMPLETE": f"{shell}_complete"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert "--targets" in done.stdout, done.stderr


def test_a_file_of_flags_is_yaml_that_others_read() -> None:
    text = written({"score": ({"model": "m"}, ScoreRequest(corpus="c", languages=("no", "fr")))})
    assert yaml.safe_load(text) == {
        "score": {"model": "m", "corpus": "c", "languages": ["no", "fr"]}
    }
