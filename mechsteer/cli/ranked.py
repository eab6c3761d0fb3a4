"""A command on several ranks: the first speaks, all work, and what goes wrong is said once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHARED = ("score", "study")
"""Commands whose work ranks divide; any other is run by the first rank alone."""


def launched() -> bool:
    """Whether a launcher (torchrun) started this process as one of several."""
    return os.environ.get("WORLD_SIZE", "1") not in {"", "1"}


def speaks() -> bool:
    """Whether this process is the one that says why the command ends: the first to ask."""
    if not launched():
        return True
    from mechsteer.ranks.current import claimed

    chosen = claimed("why the command ends")
    if chosen:
        sys.stderr = sys.__stderr__ or sys.stderr  # see _silenced
    return chosen


def on_ranks(command: Callable[[], int]) -> int:
    """Run a command as one rank of several.

    Returns:
        Its exit code.
    """
    if not launched():
        return command()
    first = os.environ.get("RANK", "0") == "0"
    if next((word for word in sys.argv[1:] if not word.startswith("-")), "") not in SHARED:
        return _alone(command) if first else 0
    signal.signal(signal.SIGTERM, _stopped)
    if not first and "--debug" not in sys.argv:
        _silence()
    return command()


def _silence() -> None:
    """Let this process print nothing, libraries in C++ neither, until ``speaks`` chooses it."""
    kept = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace", buffering=1)
    silence = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
    os.dup2(silence.fileno(), 1)
    os.dup2(silence.fileno(), 2)
    sys.stdout = sys.stderr = silence
    sys.__stderr__ = kept  # type: ignore[misc]


def _alone(command: Callable[[], int]) -> int:
    from mechsteer.ranks import alone

    with alone():
        return command()


def _stopped(*_: Any) -> None:
    """The launcher ends all ranks when one has ended: leave the folders whole."""
    from mechsteer.ranks import OtherRankError
    from mechsteer.ranks.group import ENDED

    raise OtherRankError(ENDED)
