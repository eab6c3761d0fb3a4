"""Commands that look at a model and at this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mechsteer.cli.group import MODEL, cli
from mechsteer.terminal import print_table

if TYPE_CHECKING:
    from mechsteer.throughput.measure import Device


@cli.command()
@MODEL
@click.option("--site", default="post", show_default=True, help="Where neurons are read.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def check(model: str, site: str, as_json: bool) -> None:
    """Show which neurons of a model can be read, verified layer by layer."""
    from mechsteer.errors import SiteError
    from mechsteer.pipeline import check_command

    table = check_command(model, site)
    if as_json:
        click.echo(table.to_json(orient="records"))
    else:
        print_table(table, f"{model}: site {site}")
    refused = table.loc[table["verdict"] != "ok", "verdict"]
    if len(refused):
        raise SiteError(
            f"{len(refused)} of {len(table)} hook points cannot be read: {refused.iat[0]}"
        )


@cli.command()
@click.option("--quick", is_flag=True, help="Ten seconds on small sizes instead of a minute.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="A GPU where there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def bench(quick: bool, device: Device | None, as_json: bool) -> None:
    """Measure what the kernels reach on this machine, beside its own copy and product rates."""
    from mechsteer.throughput import bench as throughput

    floors, results = throughput.bench(quick=quick, device=device)
    if as_json:
        click.echo(throughput.table(results).to_json(orient="records"))
        return
    print_table(throughput.brief(results), throughput.describe(floors, results))
    click.echo("ns: per element and core. x floor: time over that of moving the least bytes")
    click.echo("by a copy, or computing the least products. Every result was checked first.")
