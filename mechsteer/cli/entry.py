"""How a command ends: its exit code, errors in one line."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any

import click

from mechsteer.cli.parse.group import cli
from mechsteer.cli.ranked import on_ranks, speaks

__all__ = ["main"]


def main() -> None:
    """Entry point: errors in one line and exit code 1, wrong usage 2, traces only with --debug."""
    debug = "--debug" in sys.argv
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(message)s")
    if not debug:
        warnings.showwarning = _show_warning
    sys.exit(
        on_ranks(lambda: _run(lambda: cli(prog_name="mechsteer", standalone_mode=False), debug))
    )


def _run(command: Callable[[], Any], debug: bool) -> int:
    from mechsteer.errors import MechsteerError, presentable

    try:
        command()
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        if speaks():
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; the same command takes up where it stopped", err=True)
        return 1
    except MechsteerError as error:
        if debug:
            raise
        if speaks():
            click.echo(f"error: {error}", err=True)
        return 1
    except Exception as error:
        if debug:
            raise
        what = f"{type(error).__name__}: {presentable(error)}"
        if speaks():
            click.echo(f"error: {what} (--debug shows where)", err=True)
        return 1
    return 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {message}", err=True)
