"""The command that puts runs side by side."""

from __future__ import annotations

from pathlib import Path

import click

from mechsteer.cli.parse.group import Place, cli
from mechsteer.cli.show.terminal import print_table


@cli.command()
@click.argument("runs", metavar="RUN RUN...", nargs=-1, required=True, type=Place())
@click.option(
    "-o",
    "--output",
    type=Place(),
    default=Path("compare.html"),
    show_default=True,
    help="What is written: a page.",
)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
def compare(runs: tuple[Path, ...], output: Path, show: bool) -> None:
    """Put two or more studied runs side by side on one page.

    Differences are paired by sentence where the runs read the same test sentences; else the page
    says that they are not.
    """
    from mechsteer.cli.do.compare import compare_command

    said, found = compare_command(runs, output)
    for sentence in said:
        click.echo(sentence.replace("\u2068", "").replace("\u2069", ""))
    rows = found[(found["metric"] == "retrieval_top1") & (found["place"] == "best_layer")]
    shares = ["first", "second", "difference", "low", "high"]
    rows = rows.assign(**{name: 100 * rows[name].astype(float) for name in shares})
    kinds = zip(rows["of"], rows["kind"], rows["edit"], rows["language"], strict=True)
    what = [
        of if of == "level" else " ".join(filter(None, (edit or kind, language)))
        for of, kind, edit, language in kinds
    ]
    heads = {"second": "its", "first": "theirs", "difference": "minus"}
    rows = rows.assign(what=what).rename(columns=heads)
    columns = ["run", "its", "against", "theirs", "what", "minus", "low", "high"]
    print_table(rows[columns], "top-1 at the best layer, percentage points: run minus against")
    click.echo(f"comparison: {output.resolve()}")
    if show:
        click.launch(output.resolve().as_uri())
