"""What every command takes: how much it says, and a file of its flags."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mechsteer.cli.parse.flags import MEANT
from mechsteer.cli.parse.place import Place
from mechsteer.errors import MechsteerError
from mechsteer.progress import SILENT

__all__ = ["Command", "saying"]

# read by libraries when they are imported, which commands do late
_BARS = (SILENT, "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")


class Command(click.Command):
    """A command with ``--config``, ``-v``, ``-q`` and ``--debug`` beside its own flags."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = click.Option(
            ["--config"], type=Place(), is_eager=True, expose_value=False, callback=_configured,
            help="YAML file of flags by name; what the line has wins.",
        )  # fmt: skip
        self.params += [config, *saying()]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse a flag that only another command has with the one that is meant."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            now = MEANT.get((str(self.name), error.option_name))
            if now is None:
                raise
            raise click.UsageError(f"No such option {error.option_name}: type {now}", ctx) from None


def saying() -> list[click.Option]:
    """How much is said: flags before a command's name, and behind it."""
    return [
        click.Option(
            ["-v", "--verbose"], is_flag=True, expose_value=False, callback=_verbose,
            help="Say what is done, on the terminal or not.",
        ),
        click.Option(
            ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_quiet,
            help="No progress and no warnings.",
        ),
        click.Option(
            ["--debug"], is_flag=True, expose_value=False, help="The traceback of an error."
        ),
    ]  # fmt: skip


def _configured(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    """Let a file give what the line does not."""
    if path is None:
        return
    from mechsteer.cli.config import defaults

    try:
        context.default_map = defaults(path, context)
    except MechsteerError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def _verbose(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    del parameter
    if asked:
        context.with_resource(_logged(logging.INFO))


def _quiet(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    del parameter
    if asked:
        context.with_resource(_silenced())


@contextmanager
def _logged(level: int) -> Iterator[None]:
    log = logging.getLogger("mechsteer")
    before = log.level
    log.setLevel(min(level, log.getEffectiveLevel()))
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _silenced() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _BARS}
    os.environ.update(dict.fromkeys(_BARS, "1"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
