"""Commands over benchmarks of what a model writes: let it answer, and rate its answers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mechsteer.cli.parse.edits import edit_options
from mechsteer.cli.parse.flags import flag, within
from mechsteer.cli.parse.group import MODEL, Place, cli
from mechsteer.options import Option
from mechsteer.options.rules import finite, whole
from mechsteer.studies.options import CODES

if TYPE_CHECKING:
    import pandas as pd

_LANGUAGES = flag(
    "languages",
    Option("Only these languages; all by default.", CODES, "--languages", many="list", least=0),
    (),
)
_TARGETS = flag(
    "targets",
    Option(
        "Languages steered to; of parallel questions: those of the answers, all by default.",
        CODES, "--targets", many="list", least=0,
    ),
    (),
)  # fmt: skip
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
_ANSWERS = click.argument("answers", type=Place())


@cli.command()
@MODEL
@click.option(
    "--prompts", type=Place(), required=True,
    help="The Language Confusion Benchmark (a folder of SOURCE/LANG.csv, or one table with columns "
    "prompt and language), or parallel questions: a folder of LANG.txt (CLaS-Bench), any corpus.",
)  # fmt: skip
@flag(
    "languages",
    Option(
        "Only these languages; of prompts: those of the answers, of parallel questions: those "
        "asked in.",
        CODES, "--languages", many="list", least=0,
    ),
    (),
)  # fmt: skip
@_TARGETS
@partial(edit_options, edits=())
@click.option("--name", help="What the edited model is called; its edits by default.")
@click.option(
    "--limit", type=int, callback=within(whole(1)), help="Only the first N; prompts of each source."
)
@click.option(
    "--max-new-tokens", default=100, show_default=True, callback=within(whole(1)),
    help="Tokens to write.",
)  # fmt: skip
@click.option(
    "--temperature", default=0.0, show_default=True, help="0 is the most probable token each time.",
    callback=within(finite("a temperature of 0 or more", lambda t: t >= 0)),
)  # fmt: skip
@click.option(
    "--top-p", default=1.0, show_default=True, help="Nucleus to sample from.",
    callback=within(finite("a share above 0 and up to 1", lambda p: 0 < p <= 1)),
)  # fmt: skip
@click.option(
    "--seed", default=0, show_default=True, callback=within(whole(0)),
    help="Seed; the same before and after.",
)  # fmt: skip
@click.option("--chat", is_flag=True, help="Give prompts as a user's turns of a chat.")
@click.option(
    "--batch-size", default=64, show_default=True, callback=within(whole(1)),
    help="Prompts answered at once, at most; no answer depends on it.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=Place(), required=True, help="What is written: answers, JSON lines."
)
def answer(model: str, prompts: Path, output: Path, **options: Any) -> None:
    """Answer the prompts of a benchmark without and with edits; resumable.

    An --edit with {language} in its name is one file for each language of the answers, as
    edits/{language}.edit: what makes the model answer in French acts where French is wanted.
    """
    from mechsteer.cli.do.benchmarks import answer_command

    answers = answer_command(model, prompts, output, **options)
    states = ", ".join(dict.fromkeys(each.edit for each in answers))
    click.echo(f"answers: {output} ({len(answers)} of {states})")


@cli.command()
@_ANSWERS
@_LANGUAGES
@click.option(
    "--words", type=Place(), help="English words, one a line (/usr/share/dict/words); without them "
    "any word of small Latin letters in another script is taken for English.",
)  # fmt: skip
@_JSON
def confusion(answers: Path, languages: tuple[str, ...], words: Path | None, as_json: bool) -> None:
    """Language confusion of ANSWERS: line and word pass rates, offline.

    ANSWERS is what `mechsteer answer` wrote, or any table with columns language and completion.
    """
    from mechsteer.cli.do.benchmarks import confusion_command

    table = confusion_command(answers, languages, words)
    means = table[(table["source"] == "all") | (table["language"] == "all")]
    _show(table if as_json else means, f"{answers}: pass rates", as_json=as_json)


@cli.command()
@_ANSWERS
@_LANGUAGES
@click.option("--judge", type=Place(), help="Write what a judge reads here: JSON lines with id.")
@click.option("--judged", type=Place(), help="Scores of 0 to 2 that a judge gave, by id.")
@_JSON
def forcing(
    answers: Path,
    languages: tuple[str, ...],
    judge: Path | None,
    judged: Path | None,
    as_json: bool,
) -> None:
    """Language forcing of ANSWERS, offline; with --judged also relevance and steering score.

    Forcing is the share of answers identified as the language asked for, relevance the mean score
    of a judge over 2, the steering score their harmonic mean (CLaS-Bench).
    """
    from mechsteer.cli.do.benchmarks import forcing_command

    table = forcing_command(answers, languages, judge, judged)
    _show(table, f"{answers}: language forcing", as_json=as_json)
    if judge is not None and not as_json:
        click.echo(f"for the judge: {judge} (fill in score: 0, 1 or 2)")


def _show(table: pd.DataFrame, title: str, *, as_json: bool) -> None:
    from mechsteer.cli.show.terminal import print_json, print_table

    if as_json:
        print_json(table.to_dict("records"))
    else:
        print_table(table, title)
