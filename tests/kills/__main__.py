"""Are killed commands taken up to the same bytes? SIGKILLs at chosen and at random moments.

    python -m tests.kills 200 --seed 1

Each case begins in a folder as the commands before left it, with files of the user's beside. A
command (``COMMANDS`` of ``tests/kills/road.py``) is killed around a step it takes, with the file it
writes torn or whole, or at any time; a third of the cases kill the restarted one too. Then it is
run until it ends. Every file must be that of a command nobody killed, byte for byte, except
``run.log``; no temporary file, no lock and no new file may be left, and the user's files must be
as they were. The embedded model, one process start for all cases, 2 s each; Linux and macOS.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.kills.forked import Command, load_everything
from tests.kills.moments import Moment, Steps
from tests.kills.road import COMMANDS, FOREIGN, Whole, contents, differences, walk

BETWEEN = ("manifest.json", "weights.json", "plan.json")  # which have states in between, signed
TEMPORARY = ".mechsteer-part"


@dataclass(frozen=True)
class Case:
    """A command and the moments at which it is killed, one a start."""

    command: str
    moments: tuple[Moment, ...]

    def __str__(self) -> str:
        return f"{self.command} killed {', then '.join(map(str, self.moments))}"


def cases(wholes: Mapping[str, Whole], seed: int) -> Iterator[Case]:
    """Commands in turn, each killed at moments of its own; the same seed gives the same."""
    draw = random.Random(seed)
    while True:
        for command, whole in wholes.items():
            starts = 1 + (draw.random() < 1 / 3)
            yield Case(command, tuple(drawn(whole, draw) for _ in range(starts)))


def drawn(whole: Whole, draw: random.Random) -> Moment:
    """A third at any time, the others at a step, half of those that flush a file with it torn."""
    if draw.random() < 1 / 3:
        return Moment(seconds=draw.uniform(0, whole.seconds))
    step = draw.randrange(len(whole.steps))
    return Moment(step, torn=whole.steps[step] == "before fsync" and draw.random() < 1 / 2)


def faults(case: Case, whole: Whole, folder: Path) -> Iterator[str]:
    """What is wrong after a case, in words; nothing where all is well."""
    shutil.copytree(whole.before, folder)
    times = {name: (folder / name).stat().st_mtime_ns for name in FOREIGN}
    known = [contents(whole.before), contents(whole.after)]
    log = folder.with_suffix(".log")
    for moment in case.moments:
        command = Command(COMMANDS[case.command], folder, log, Steps(folder, moment))
        if moment.step is None:
            time.sleep(moment.seconds)
            command.kill()
        command.wait()
        yield from torn(contents(folder), known)
    ended = Command(COMMANDS[case.command], folder, log, Steps(folder, Moment())).wait()
    if ended.code:
        yield f"the same command ends with {ended.code}: {ended.output.strip()[-300:]}"
    yield from (f"{name} differs" for name in differences(known[1], contents(folder)))
    for name, before in times.items():
        if (folder / name).stat().st_mtime_ns != before:
            yield f"{name}, the user's, was touched"
    yield from locks(folder)


def torn(found: Mapping[str, bytes], known: list[dict[str, bytes]]) -> Iterator[str]:
    """Files that are neither as before nor as after, straight after a kill."""
    for name, data in found.items():
        if name.endswith(TEMPORARY) or Path(name).name in BETWEEN or data == b"folder":
            continue
        if data not in [content.get(name) for content in known]:
            yield f"{name} is torn"


def locks(folder: Path) -> Iterator[str]:
    """Locks that somebody still holds."""
    from mechsteer.artifacts.locks import locked
    from mechsteer.errors import ArtifactError

    for name in ("RUN", "RUN/recording"):
        try:
            with locked(folder / name):
                pass
        except ArtifactError as error:
            yield f"{name} is still locked: {error}"


def main() -> None:
    """Run cases, print those that fail, and end with 1 if any did."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("cases", nargs="?", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=list(COMMANDS), default=list(COMMANDS))
    options = parser.parse_args()
    start = time.monotonic()
    load_everything()
    failed, killed = 0, Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve()
        wholes = {name: w for name, w in walk(root).items() if name in options.only}
        say(f"ready after {time.monotonic() - start:.0f} s")
        for number, case in zip(range(options.cases), cases(wholes, options.seed), strict=False):
            folder = root / "cases" / str(number)
            wrong = list(faults(case, wholes[case.command], folder))
            shutil.rmtree(folder)
            killed.update(
                "at a step" if m.step is not None else "at any time" for m in case.moments
            )
            failed += bool(wrong)
            for what in wrong:
                say(f"{number}: {case}: {what}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(killed.items()))
    say(f"{options.cases} cases, kills: {kinds}; {failed} failed; {time.monotonic() - start:.0f} s")
    sys.exit(failed > 0)


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
