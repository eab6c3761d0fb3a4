"""The commands that are killed, and what each makes of a folder when nobody kills it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from tests.kills.forked import Command
from tests.kills.moments import Moment, Steps

COMMANDS: Mapping[str, list[str]] = {
    "score": [
        "score", "embedded", "--corpus", "embedded", "--split", "dev", "--limit", "6",
        "--languages", "eng_Latn,fra_Latn,jpn_Jpan", "--batch-tokens", "256", "-o", "RUN",
    ],
    "select": ["select", "RUN", "--language", "fra_Latn", "--k", "20"],
    "select --fdr": ["select", "RUN", "--language", "fra_Latn", "--fdr", "0.2", "--draws", "20"],
    "study": [
        "study", "RUN", "--test", "embedded", "--split", "test", "--limit", "6",
        "--targets", "fra_Latn", "--k", "10,20", "--seeds", "1", "--cost-corpus", "dev",
    ],
    "cards": ["cards", "RUN", "--top", "1"],
    "report": ["report", "RUN"],
    "report -o": ["report", "RUN", "-o", "elsewhere/page.html"],
    "edit": ["edit", "RUN", "--language", "fra_Latn", "--k", "5", "-o", "elsewhere/french.edit"],
}  # fmt: skip
FOREIGN = {  # the user's own, beside ours
    "RUN/notes.txt": b"mine", "RUN/.env.local": b"SECRET=1", "RUN/.x.mechsteer-part": b"no hex",
    "RUN/experts/.mine.csv.swp": b"", "RUN/states/mine.json": b"{}",
    "RUN/0123456789abcdef.mechsteer-part": b"no dot", "elsewhere/.french.edit.swp": b"mine",
    "elsewhere/page.mine.parquet": b"mine", "tmp/theirs": b"mine",
}  # fmt: skip
UNCOMPARED = "run.log"  # holds times


@dataclass(frozen=True)
class Whole:
    """A command that nobody killed: folders before and after it, its steps and its time."""

    before: Path
    after: Path
    steps: tuple[str, ...]
    seconds: float


def walk(root: Path) -> dict[str, Whole]:
    """Run all commands in a row twice: in this process, so that forks find it warm, then in forks.

    Raises:
        SystemExit: a command fails, or does not give the same bytes twice.
    """
    found: dict[str, Whole] = {}
    warm, here = root / "0", root / "whole"
    plant(warm)
    for name, words in COMMANDS.items():
        _in_this_process(words, warm)
        before = root / "before" / name
        _copy(here, before) if found else plant(before)
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(before, here)
        tell = root / "steps"
        ended = Command(words, here, root / "log", Steps(here, Moment(), tell)).wait()
        if ended.code:
            sys.exit(f"{name} fails with nobody killing it: {ended.output}")
        after = root / "after" / name
        _copy(here, after)
        steps = tuple(tell.read_text(encoding="utf-8").splitlines())
        found[name] = Whole(before, after, steps, ended.seconds)
    if different := differences(contents(warm), contents(here)):
        sys.exit(f"two whole runs differ: {', '.join(different)}")
    return found


def plant(folder: Path) -> None:
    """Put files of the user's in a new folder."""
    for name, data in FOREIGN.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path; a folder without files, too, as nothing."""
    paths = [path for path in folder.rglob("*") if path.name != UNCOMPARED]
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"folder"
        for path in paths
    }


def differences(expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> list[str]:
    """Names that are in one alone, or hold other bytes."""
    names = sorted({*expected, *found})
    return [name for name in names if expected.get(name) != found.get(name)]


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target)


def _in_this_process(words: list[str], folder: Path) -> None:
    from mechsteer.cli import main

    before, argv = Path.cwd(), sys.argv
    os.chdir(folder)
    sys.argv = ["mechsteer", *words]
    try:
        with redirect_stdout(StringIO()):
            main()
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        os.chdir(before)
        sys.argv = argv
