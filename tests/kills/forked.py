"""Commands in children of one process that has imported and loaded everything already.

A command on a few sentences takes less than importing torch does, so each runs in a fork: a real
process with its own locks and its own death, without its start.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, minus the signal's number where one killed it."""

    code: int
    output: str
    seconds: float


def load_everything() -> None:
    """Import what commands import, and keep one embedded model that all of them get."""
    import mechsteer.cli.do.corpora
    import mechsteer.cli.do.edits
    import mechsteer.cli.do.models
    import mechsteer.cli.do.report
    import mechsteer.cli.do.significance
    import mechsteer.cli.do.study
    import mechsteer.reporting
    import mechsteer.selftest
    from mechsteer.kernels import score  # noqa: F401

    model = mechsteer.cli.do.models.open_model("embedded")
    model.identity()
    mechsteer.cli.do.models.load_model = lambda *_, **__: model


class Command:
    """One command of the command line, running in a child."""

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        log: Path,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        """Start it in ``folder``; what it prints goes to ``log``.

        ``prepare`` is called in the child before the command.
        """
        self._log, self._start = log, time.monotonic()
        self.process = os.fork()
        if self.process == 0:
            os._exit(_run(words, folder, log, prepare))

    def kill(self) -> None:
        """Kill it outright, as nobody can prevent."""
        os.kill(self.process, signal.SIGKILL)

    def wait(self, longest: float = float("inf")) -> Ended:
        """Wait until it ends; after ``longest`` seconds kill it."""
        limit = time.monotonic() + longest
        while not (found := os.waitpid(self.process, os.WNOHANG))[0]:
            if time.monotonic() > limit:
                self.kill()
            time.sleep(0.002)
        status = found[1]
        output = self._log.read_text(encoding="utf-8", errors="replace")
        seconds = time.monotonic() - self._start
        return Ended(os.waitstatus_to_exitcode(status), output, seconds)


def _run(words: Sequence[str], folder: Path, log: Path, prepare: Callable[[], object]) -> int:
    from mechsteer.cli import main

    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.chdir(folder)
    sys.argv = ["mechsteer", *words]
    code = 70
    try:
        prepare()
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code
