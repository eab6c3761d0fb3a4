"""Commands that look at a model and at this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mechsteer.cli.parse.flags import flag
from mechsteer.cli.parse.group import DEVICE, DTYPE, MODEL, cli
from mechsteer.cli.show.terminal import print_json, print_table
from mechsteer.options import Option
from mechsteer.options.rules import word

if TYPE_CHECKING:
    from mechsteer.throughput.measure import Device


@cli.command()
@MODEL
@flag(
    "sites",
    Option(
        "Where neurons are read; post and linear by default.", word("a site"), "--site", many="list"
    ),
    (),
)
@DEVICE
@DTYPE
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def check(model: str, sites: tuple[str, ...], as_json: bool, **options: str | None) -> None:
    """Test in seconds whether a model's neurons are read and edited as promised."""
    from mechsteer.cli.do.check import check_command
    from mechsteer.errors import ModelError

    checked = check_command(model, sites or ("post", "linear"), **options)
    if as_json:
        print_json(checked.as_dict())
    else:
        title = f"{checked.model}: {checked.architecture}, {checked.dtype}, {checked.device}"
        print_table(checked.sites_table(), title)
        print_table(checked.checks_table(), "self-test")
    bad = [check for check in checked.checks if check.verdict in ("failed", "refused")]
    if bad:
        raise ModelError(f"{checked.verdict}: {bad[0].name}: {bad[0].reason or bad[0].compared}")


@cli.command()
@click.option("--quick", is_flag=True, help="Ten seconds on small sizes instead of a minute.")
@click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), metavar="TEXT",
    help="cpu, cuda, …; a GPU where there is one.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def bench(quick: bool, device: Device | None, as_json: bool) -> None:
    """Measure what the kernels reach on this machine, beside its own copy and product rates."""
    from mechsteer.throughput import bench as throughput

    floors, results = throughput.bench(quick=quick, device=device)
    if as_json:
        print_json(throughput.table(results).to_dict("records"))
        return
    print_table(throughput.brief(results), throughput.describe(floors, results))
    click.echo("ns: per element and core. x floor: time over that of moving the least bytes")
    click.echo("by a copy, or computing the least products. Every result was checked first.")
