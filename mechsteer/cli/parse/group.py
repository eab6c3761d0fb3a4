"""The group that commands join, and the arguments they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mechsteer import __version__
from mechsteer.artifacts.places import impossible
from mechsteer.errors import shown

__all__ = ["MODEL", "RUN", "Place", "cli"]


class Place(click.Path):
    """A path that a file system can have."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or wrong usage."""
        if fault := impossible(value):
            self.fail(f"{shown(str(value))} {fault}: expected a path", param, ctx)
        return super().convert(value, param, ctx)


RUN = click.argument("run", type=Place())
MODEL = click.argument("model")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mechsteer")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Find the neurons that carry a language, move them, and see what that does.

    MODEL is a published name, a local checkpoint directory, or 'embedded'. A LIST has commas
    between its values ('"a, b",c' where a value has one itself), or the flag is repeated.
    """
