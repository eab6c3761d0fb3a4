"""The command that says how languages resemble each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mechsteer.cli.parse.flags import flag
from mechsteer.cli.parse.group import Place, cli
from mechsteer.display import number
from mechsteer.options import Option
from mechsteer.options.rules import word

if TYPE_CHECKING:
    import pandas as pd


@cli.command()
@click.argument("languages", nargs=-1, required=True)
@flag(
    "kinds",
    Option(
        "Distances between languages; all by default.",
        word("a measure"),
        "--kinds",
        many="list",
        least=0,
    ),
)
@click.option("--data", type=Place(), help="Folder that holds typology/. Default: $MECHSTEER_DATA.")
@click.option("--corpus", help="Text that is read; adds shared characters.")
@click.option("--split", help="Split that is read.")
@click.option("--tokenizer", help="With --corpus: adds shared subwords and tokens per sentence.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def typology(languages: tuple[str, ...], as_json: bool, as_csv: bool, **asked: Any) -> None:
    """Print how far apart LANGUAGES are, each value with the share of features known for both."""
    from mechsteer.cli.do.typology import typology_command
    from mechsteer.cli.show.terminal import print_json, print_table

    if as_json and as_csv:
        raise click.UsageError("expected --json or --csv, got both")
    if asked["tokenizer"] and not asked["corpus"]:
        raise click.UsageError("--tokenizer needs text: give --corpus too")
    pairs, single = typology_command(languages, **asked)
    if as_json:
        tables = {"pairs": pairs, "languages": single}
        print_json({name: table.to_dict("records") for name, table in tables.items()})
    elif as_csv:
        click.echo(pairs.to_csv(index=False, lineterminator="\n"), nl=False)
    else:
        wide = ["script", "latitude", "longitude", "glottocode", "word_list"]
        print_table(_dashed(single.drop(columns=wide)), "languages (--json has more)")
        print_table(_dashed(pairs), "pairs (coverage: share of features known for both)")


def _dashed(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers as text, a dash for what is not known."""

    def told(value: object) -> str:
        return number(value).rstrip("0").rstrip(".") if isinstance(value, float) else str(value)

    return frame.astype(object).where(frame.notna(), "-").map(told)
