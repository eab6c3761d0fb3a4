"""Files that one rank wrote, before every rank: on a shared disk they are, else they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mechsteer.ranks.group import Ranks


def everywhere(paths: Sequence[Path], ranks: Ranks, what: str) -> Iterator[tuple[Path, bytes]]:
    """The files that this rank lacks and others have, for the caller to write, one at a time.

    On a file system that the ranks share there are none, and nothing is read.
    """
    lacks = ranks.gather(f"{what}: files", [not path.exists() for path in paths])
    for number, path in enumerate(paths):
        has = [rank for rank, lacking in enumerate(lacks) if not lacking[number]]
        if has and len(has) < ranks.size:
            mine = path.read_bytes() if ranks.rank == has[0] else None
            sent = ranks.gather(f"{what}: a file", mine)[has[0]]
            if ranks.rank not in has:
                yield path, sent
