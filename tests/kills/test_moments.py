"""The atomic writer, killed around everything it does; and what a torn file looks like."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from mechsteer.artifacts import atomic
from tests.kills.__main__ import torn
from tests.kills.moments import Moment, Steps

OLD, NEW = b"old", b"new and longer"


def forked(folder: Path, moment: Moment, act: Callable[[], object], tell: Path) -> int:
    child = os.fork()
    if child == 0:
        try:
            Steps(folder, moment, tell)()
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_file_is_old_or_new_whenever_its_writer_is_killed(tmp_path: Path) -> None:
    folder, tell = tmp_path / "here", tmp_path / "steps"
    folder.mkdir()
    target = folder / "file"

    def write() -> None:
        atomic.write_bytes(target, NEW)

    assert forked(folder, Moment(), write, tell) == 0
    steps = tell.read_text().split("\n")[:-1]
    assert {"open", "before fsync", "after fsync", "os.rename", "after replace"} <= {*steps}
    moments = [Moment(number) for number in range(len(steps))]
    moments.append(Moment(steps.index("before fsync"), torn=True))
    seen = set()
    for moment in moments:
        target.write_bytes(OLD)
        assert forked(folder, moment, write, tell) == -signal.SIGKILL, moment
        assert target.read_bytes() in {OLD, NEW}, moment
        seen |= {path.name for path in folder.iterdir()} - {"file"}
        atomic.write_bytes(target, NEW)
        assert [path.name for path in folder.iterdir()] == ["file"]
    assert len(seen) >= 3  # temporary files were left


def test_what_is_neither_old_nor_new_is_told() -> None:
    known = [{"a": OLD}, {"a": NEW, "b": NEW}]
    assert not list(torn({"a": OLD}, known))
    assert not list(torn({"a": NEW, "b": NEW, ".a.mechsteer-part": b"n"}, known))
    assert list(torn({"a": NEW[:3], "b": NEW}, known)) == ["a is torn"]
    assert list(torn({"c": NEW}, known)) == ["c is torn"]
