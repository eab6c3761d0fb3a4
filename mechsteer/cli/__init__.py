"""The command line: each command is one call of the library; a run folder is what they share."""

from mechsteer.cli.entry import main
from mechsteer.cli.parse import (  # noqa: F401 - they add their commands
    benchmarks,
    checks,
    compare,
    edits,
    exports,
    languages,
    runs,
)
from mechsteer.cli.parse.group import cli

__all__ = ["cli", "main"]
