"""Are commands on several ranks taken up to the same bytes when one of them is killed?

    python -m tests.kills.ranks 200 --seed 1

Each case begins in a folder as the commands before left it. Two ranks start; one is killed at a
step it takes or at any time, and the other must end by itself, in one line. A third of the cases do
so twice. Then one, two, three or five ranks take the command up: every file must be that of one
process which nobody killed, as in ``python -m tests.kills``.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mechsteer.cli.ranked import SHARED
from mechsteer.ranks.current import TIMEOUT
from tests.kills.__main__ import drawn, locks, say, torn
from tests.kills.forked import Command, Ended, load_everything
from tests.kills.moments import Moment, Steps
from tests.kills.road import COMMANDS, Whole, contents, differences, walk

PATIENCE = 60  # seconds that ranks wait for each other; whole commands take a few
HANGS = 5 * PATIENCE  # of a busy machine, too


@dataclass(frozen=True)
class Case:
    """A command, the ranks that are killed, one a start, and how many ranks take it up."""

    command: str
    kills: tuple[tuple[int, Moment], ...]
    resumed_by: int

    def __str__(self) -> str:
        killed = ", then ".join(f"rank {rank} {moment}" for rank, moment in self.kills)
        return f"{self.command} killed: {killed}; taken up by {self.resumed_by}"


Wholes = Mapping[str, tuple[Whole, ...]]
"""For each command what it makes, with the steps and the time of each of two ranks."""


def started(words: Sequence[str], folder: Path, prepared: Sequence[Steps]) -> list[Command]:
    """One rank for each of what is prepared."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def rank(number: int) -> None:
        given = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": len(prepared)}
        given |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, TIMEOUT: PATIENCE}
        os.environ.update({name: str(value) for name, value in given.items()})
        prepared[number]()

    return [
        Command(words, folder, folder.with_suffix(f".{i}.log"), lambda i=i: rank(i))
        for i in range(len(prepared))
    ]


def walk_on_two(root: Path) -> Wholes:
    """What one process makes of each command, and how two take their steps to the same.

    Raises:
        SystemExit: two ranks fail, or make other bytes.
    """
    found = {}
    for name, whole in walk(root).items():
        if name in SHARED:
            folder, tell = root / "two" / name, [root / f"steps.{rank}" for rank in range(2)]
            shutil.copytree(whole.before, folder)
            prepared = [Steps(folder, Moment(), told) for told in tell]
            ended = [one.wait(HANGS) for one in started(COMMANDS[name], folder, prepared)]
            if different := differences(contents(whole.after), contents(folder)):
                sys.exit(f"two ranks make other bytes: {different} {[one.output for one in ended]}")
            steps = [tuple(told.read_text(encoding="utf-8").splitlines()) for told in tell]
            pairs = zip(steps, ended, strict=True)
            found[name] = tuple(replace(whole, steps=s, seconds=e.seconds) for s, e in pairs)
    return found


def cases(wholes: Wholes, seed: int) -> Iterator[Case]:
    """Commands in turn; the same seed gives the same."""
    draw = random.Random(seed)
    while True:
        for command, whole in wholes.items():
            victims = [draw.randrange(2) for _ in range(1 + (draw.random() < 1 / 3))]
            kills = tuple((rank, drawn(whole[rank], draw)) for rank in victims)
            yield Case(command, kills, draw.choice([1, 2, 2, 3, 5]))


def faults(case: Case, whole: Whole, folder: Path, seen: Counter[str]) -> Iterator[str]:
    """What is wrong after a case, in words; nothing where all is well."""
    shutil.copytree(whole.before, folder)
    known = [contents(whole.before), contents(whole.after)]
    words = COMMANDS[case.command]
    for victim, moment in case.kills:
        prepared = [Steps(folder, moment if rank == victim else Moment()) for rank in range(2)]
        ranks = started(words, folder, prepared)
        if moment.step is None:
            time.sleep(moment.seconds)
            ranks[victim].kill()
        ended = [rank.wait(HANGS) for rank in ranks]
        seen["killed" if ended[victim].code < 0 else "had ended"] += 1
        yield from _survived(ended[1 - victim])
        yield from torn(contents(folder), known)
    resumed = started(words, folder, [Steps(folder, Moment())] * case.resumed_by)
    for rank, ended_by in enumerate([one.wait(HANGS) for one in resumed]):
        if ended_by.code:
            yield f"taken up, rank {rank} ends with {ended_by.code}: {ended_by.output[-300:]}"
    yield from (f"{name} differs" for name in differences(known[1], contents(folder)))
    yield from locks(folder)


def _survived(ended: Ended) -> Iterator[str]:
    """The other rank: it waits for nobody, and says in a line why it stops, if it does."""
    if ended.code < 0:
        yield f"the other rank waited for more than {HANGS} s"
    said = [line for line in ended.output.splitlines() if line.startswith("error")]
    if "Traceback" in ended.output or (ended.code > 0 and len(said) != 1):
        yield f"the other rank ends with {ended.code}, and says {ended.output[-300:]!r}"


def main() -> None:
    """Run cases, print those that fail, and end with 1 if any did."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("cases", nargs="?", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start, failed, seen = time.monotonic(), 0, Counter[str]()
    load_everything()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve()
        wholes = walk_on_two(root)
        say(f"ready after {time.monotonic() - start:.0f} s")
        for number, case in zip(range(options.cases), cases(wholes, options.seed), strict=False):
            folder = root / "cases" / str(number)
            wrong = list(faults(case, wholes[case.command][0], folder, seen))
            shutil.rmtree(folder)
            failed += bool(wrong)
            for what in wrong:
                say(f"{number}: {case}: {what}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(seen.items()))
    say(f"{options.cases} cases, ranks: {kinds}; {failed} failed; {time.monotonic() - start:.0f} s")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
