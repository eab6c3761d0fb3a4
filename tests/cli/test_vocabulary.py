"""One word has one meaning, whatever the command: flags, lists, and words that were others'."""

from __future__ import annotations

import re
from collections import defaultdict

import click
import pytest

from mechsteer.cli import cli
from mechsteer.cli.do.score import names_of
from mechsteer.cli.parse.flags import MEANT
from mechsteer.errors import MechsteerError
from mechsteer.experts.score import score_recording
from tests.made import made_recording

OPTIONS = [
    (name, option)
    for name, command in sorted(cli.commands.items())
    for option in command.params
    if isinstance(option, click.Option)
]
READERS = {"score", "plan", "study", "transfer", "answer", "probe", "cards"}
SEVERAL = {"--k", "--strength", "--edit", "--site", "--label"}  # one in some commands


def meaning(option: click.Option) -> str:
    """What a flag means in every command, before what it means in this one."""
    return re.split(r"[.:;,]", option.help or "")[0]


def metavar(option: click.Option, command: str) -> str:
    return option.make_metavar(click.Context(cli.commands[command]))


@pytest.mark.parametrize("flag", sorted({flag for _, each in OPTIONS for flag in each.opts}))
def test_a_flag_means_one_thing(flag: str) -> None:
    found = defaultdict(list)
    kinds = set()
    for command, option in OPTIONS:
        if flag in option.opts:
            found[meaning(option)].append(command)
            kinds.add(metavar(option, command))
    assert len(found) == 1, dict(found)
    assert "" not in found
    assert len(kinds - {"LIST"} if flag in SEVERAL else kinds) == 1, kinds


def test_every_flag_of_several_values_is_a_list() -> None:
    for command, option in OPTIONS:
        if option.multiple and option.opts != ["--prompt"]:  # text, in which commas are commas
            assert metavar(option, command) == "LIST", (command, option.opts)


def test_every_command_that_reads_text_in_several_languages_chooses_among_them() -> None:
    takes = {command for command, option in OPTIONS if "--languages" in option.opts}
    assert takes >= READERS


@pytest.mark.parametrize(("command", "former"), sorted(MEANT))
def test_a_flag_of_other_commands_is_refused_with_what_to_type(command: str, former: str) -> None:
    now = MEANT[command, former]
    assert now in {flag for name, each in OPTIONS if name == command for flag in each.opts}
    for words in ([former, "x"], [f"{former}=x"]):
        with pytest.raises(click.UsageError) as refused:
            cli.main([command, "place", *words], standalone_mode=False)
        assert f": type {now}" in refused.value.format_message()


def test_languages_are_named_once() -> None:
    scores = score_recording(made_recording())
    assert names_of(scores, ["fr", "de"]) == ["fra_Latn", "deu_Latn"]
    with pytest.raises(MechsteerError, match="asked for twice: fr, fra"):
        names_of(scores, ["fr", "fra"])
    with pytest.raises(MechsteerError, match="was not scored"):
        names_of(scores, ["sw"])
