"""Paths of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mechsteer.artifacts.places import impossible
from mechsteer.errors import shown


class Place(click.Path):
    """A path that a file system can have."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or wrong usage."""
        if fault := impossible(value):
            self.fail(f"{shown(str(value))} {fault}: expected a path", param, ctx)
        return super().convert(value, param, ctx)
