"""Moments at which a command is killed: around everything it does to files, or at any time."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# audit events of Python that change files, each with the places of paths among its arguments
CHANGES = {
    "os.rename": (0, 1), "os.remove": (0,), "os.mkdir": (0,), "os.rmdir": (0,), "os.chmod": (0,),
    "os.truncate": (0,), "os.link": (0, 1), "os.symlink": (1,), "shutil.rmtree": (0,),
}  # fmt: skip
DONE = (os, "fsync"), (os, "replace"), (os, "mkdir"), (fcntl, "flock"), (os, "unlink")


@dataclass(frozen=True)
class Moment:
    """When to kill: before or after a step, counted from 0, or after seconds.

    ``torn`` leaves half of the file that the step is about to flush.
    """

    step: int | None = None
    torn: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        if self.step is None:
            return f"after {self.seconds:.2f} s"
        return f"at step {self.step}{', torn' if self.torn else ''}"


class Steps:
    """Called in a command's process: counts its steps in a folder, and kills it at one of them.

    A step is a change of a file that is about to happen, whoever makes it, or one that just
    happened: a flush, a rename, a new folder, a lock, a removal.
    """

    def __init__(self, folder: Path, moment: Moment, tell: Path | None = None) -> None:
        self._folder, self._moment, self._tell = str(folder), moment, tell
        self._count = 0

    def __call__(self) -> None:
        """Begin to count."""
        os.environ["TMPDIR"] = tempfile.tempdir = f"{self._folder}/tmp"
        self._told = os.open(self._tell or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for owner, name in DONE:
            setattr(owner, name, self._reporting(getattr(owner, name), name))
        sys.addaudithook(self._audit)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and args[2] & WRITING and self._inside(args[0]):
            self._step("open")
        elif event in CHANGES and any(self._inside(args[place]) for place in CHANGES[event]):
            self._step(event)

    def _inside(self, path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):  # a descriptor
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(self._folder)  # noqa: PTH100

    def _reporting(self, done: Callable[..., Any], name: str) -> Callable[..., Any]:
        def reporting(*args: Any, **kwargs: Any) -> Any:
            if name == "fsync":
                self._step("before fsync", args[0])
            found = done(*args, **kwargs)
            self._step(f"after {name}")
            return found

        return reporting

    def _step(self, name: str, descriptor: int | None = None) -> None:
        os.write(self._told, f"{name}\n".encode())
        if self._count == self._moment.step:
            if self._moment.torn and descriptor is not None:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        self._count += 1
