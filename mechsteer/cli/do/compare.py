"""What ``mechsteer compare`` does: several studied runs on one page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from mechsteer.artifacts.described import fitting
from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.runs import Run
from mechsteer.errors import MechsteerError, shown
from mechsteer.reporting.compare import compared, spoken_difference, write_comparison
from mechsteer.reporting.runs import Compared, notes
from mechsteer.reporting.settled import checked
from mechsteer.reporting.write import report_data
from mechsteer.studies.beside import Side
from mechsteer.studies.files import load_study


def compare_command(paths: Sequence[Path], output: Path) -> tuple[list[str], pd.DataFrame]:
    """Write the page; return what it says first, and the differences at the best layer."""
    runs = [_opened(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    command = shlex.join(["mechsteer", "compare", *map(str, paths), "-o", str(output)])
    with ExitStack() as held:
        for path in paths:
            held.enter_context(locked(path))
        found = compared(runs)
        write_comparison(runs, output, command=command, found=found)
    return [spoken_difference(runs, found), *notes(runs)], found


def _opened(path: Path, name: str) -> Compared:
    run = Run.open(path)
    if "study" not in run.manifest["stages"]:
        raise MechsteerError(
            f"{path} has no study, and pages are compared by their studies: mechsteer study {path} "
            "--test …; a run of labels has none, its page is that of mechsteer report"
        )
    with fitting(path):
        study = load_study(run)
        data = checked(report_data(study, manifest=run.manifest))
        return Compared(Side(name, study, path / "states" / "test"), str(path), run.manifest, data)


def _names(paths: Sequence[Path]) -> list[str]:
    """What runs are called: their folders, with as many parents as tell them apart.

    Raises:
        MechsteerError: fewer than two, or one twice.
    """
    whole = [path.resolve() for path in paths]
    if len(paths) < 2 or len(set(whole)) < len(whole):
        given = ", ".join(shown(str(path)) for path in paths)
        raise MechsteerError(f"expected two or more different run folders, got {given or 'none'}")
    deepest = max(len(path.parts) for path in whole)
    for depth in range(1, deepest + 1):
        found = ["/".join(path.parts[-depth:]) for path in whole]
        if len(set(found)) == len(found):
            return found
    return [str(path) for path in whole]
