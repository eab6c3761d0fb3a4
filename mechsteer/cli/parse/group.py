"""The group that commands join, and the arguments they share."""

from __future__ import annotations

from pathlib import Path

import click

from mechsteer import __version__

__all__ = ["MODEL", "RUN", "cli"]

RUN = click.argument("run", type=click.Path(path_type=Path))
MODEL = click.argument("model")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mechsteer")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Find the neurons that carry a language, move them, and see what that does.

    MODEL is a published name, a local checkpoint directory, or 'embedded'.
    """
