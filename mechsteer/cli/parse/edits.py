"""Commands over edits: make one, write with it, tell its cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mechsteer.cli.parse.flags import EXPERTS, flag, flags, within
from mechsteer.cli.parse.group import DEVICE, DTYPE, LANGUAGE, MODEL, RUN, Place, cli
from mechsteer.cli.requests import EDIT_FILES, EDIT_NAMES
from mechsteer.cli.show.terminal import print_json, print_table
from mechsteer.options import REQUIRED, Option
from mechsteer.options.ranking import Ranking
from mechsteer.options.rules import finite, whole, word

STRENGTH = finite("a finite strength")
POSITIONS = click.option(
    "--positions", default="all", show_default=True, help="Where the edits act.",
    type=click.Choice(["all", "content", "last", "generated"]),
)  # fmt: skip
STRENGTHS = flag(
    "strengths",
    Option(
        "λ of the edits; one for all, or one for each.", STRENGTH, "--strength",
        read=float, many="list", least=0,
    ),
)  # fmt: skip


@cli.command()
@RUN
@click.option(
    "--edit", default="clamp", show_default=True,
    help=f"Edit; the one that is made: {EDIT_NAMES}.",
)  # fmt: skip
@LANGUAGE
@flag("k", EXPERTS, REQUIRED)
@flags(Ranking)
@click.option(
    "--strength", default=1.0, show_default=True, callback=within(STRENGTH), help="λ of the edits."
)
@click.option("-o", "--output", type=Place(), required=True, help="What is written: an edit file.")
def edit(run: Path, output: Path, k: float, **options: Any) -> None:
    """Make an edit from a scored run and save it as one file."""
    from mechsteer.cli.do.edits import edit_command

    how = Ranking(by=options.pop("by"), within=options.pop("within"))
    made = edit_command(run, output, k=k, how=how, **options)
    click.echo(f"edit: {output} ({made.name}, {made.provenance['selection']})")


def edit_options(command: Callable[..., None], *, edits: Any = REQUIRED) -> Callable[..., None]:
    """What commands that steer have in common; ``edits`` is the default of ``--edit``."""
    for option in (
        DTYPE,
        DEVICE,
        POSITIONS,
        STRENGTHS,
        flag("files", Option(f"Edit; several act in order: {EDIT_FILES}.", word("a file"), "--edit",
                             many="list"), edits),
    ):  # fmt: skip
        command = option(command)
    return command


@cli.command()
@MODEL
@edit_options
@click.option("--prompt", "prompts", multiple=True, default=("",), help="One or several.")
@click.option("--language", help="The one language: of the prompts, for edits that ask.")
@click.option(
    "--max-new-tokens",
    default=40,
    show_default=True,
    callback=within(whole(1)),
    help="Tokens to write.",
)
@click.option(
    "--temperature",
    default=1.0,
    show_default=True,
    help="0 is the most probable token each time.",
    callback=within(finite("a temperature of 0 or more", lambda t: t >= 0)),
)
@click.option(
    "--top-p",
    default=0.9,
    show_default=True,
    help="Nucleus to sample from.",
    callback=within(finite("a share above 0 and up to 1", lambda p: 0 < p <= 1)),
)
@click.option("--greedy", is_flag=True, help="As --temperature 0.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    callback=within(whole(0)),
    help="Seed; the same before and after.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def generate(
    model: str,
    files: tuple[str, ...],
    prompts: tuple[str, ...],
    greedy: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write before and after an edit, side by side."""
    from mechsteer.cli.do.edits import generate_command

    if greedy:
        options["temperature"] = 0.0
    pairs = generate_command(model, files, prompts, **options)
    if as_json:
        print_json([vars(pair) for pair in pairs])
        return
    from rich.console import Console

    from mechsteer.cli.show.side_by_side import side_by_side

    console = Console(markup=False, highlight=False)
    rows = [(pair.prompt, pair.before, pair.after) for pair in pairs]
    console.print(side_by_side(rows, console.width))


@cli.command()
@MODEL
@edit_options
@click.option(
    "--corpus", type=Place(), required=True, metavar="TEXT",
    help="Text that is read; the lines of a file, or of a corpus those in the language.",
)  # fmt: skip
@click.option("--split", help="Split that is read.")
@click.option(
    "--language", required=True, help="The one language: of the text, and of what is to be written."
)
@click.option(
    "--n", default=32, show_default=True, callback=within(whole(1)), help="Generations a seed."
)
@click.option(
    "--seeds",
    default=4,
    show_default=True,
    callback=within(whole(1)),
    help="How many seeds; intervals are over them.",
)
@click.option("--prefix", default="", help="Read before each text, 'query: ' say.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def cost(model: str, files: tuple[str, ...], corpus: Path, as_json: bool, **options: Any) -> None:
    """Tell what edits cost a model: prediction of a text, language, repetition."""
    from mechsteer.cli.do.edits import cost_command

    table = cost_command(model, files, corpus, **options).table()
    if as_json:
        print_json(table.to_dict("records"))
    else:
        print_table(table, f"{model}: {corpus}")
