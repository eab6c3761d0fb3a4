"""The ranks of a command: what each takes, and the points at which all of them meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from mechsteer.errors import MechsteerError, presentable, shown

Item = TypeVar("Item")
ENDED = (
    "another rank has ended before its work was done: run the same command again, with as many "
    "ranks as you like, and it takes up where they stopped"
)
_KNOWN = "_known_to_all_ranks"  # marks an error
Exchange = Callable[[object], list[Any]]
"""Gives every rank what each of them brought, in their order; returns when all have come."""


class OtherRankError(MechsteerError):
    """Another rank failed or ended, and has said why; this one only stops."""


@dataclass(frozen=True)
class Ranks:
    """The processes that run one command together, seen from one of them.

    All make the same calls in the same order. What costs is divided with ``share``; where all must
    be done before any goes on, they meet: ``together``, ``gather`` and ``wait`` are such points. A
    rank that comes to another point than the rest is refused, since it would wait for ever.

    Attributes:
        rank: number of this process, from 0.
        size: how many there are.
        exchange: how they meet; None for one alone.
    """

    rank: int = 0
    size: int = 1
    exchange: Exchange | None = None

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes what all have made and speaks for all."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> list[Item]:
        """What this rank takes of some items: every ``size``-th, so that long ones spread.

        >>> Ranks(1, 3).share("abcdefg")
        ['b', 'e']
        """
        return list(items[self.rank :: self.size])

    def gather(self, what: str, value: Any = None) -> list[Any]:
        """What every rank has of something, by rank.

        Raises:
            MechsteerError: the ranks are at different points.
            OtherRankError: one of them has ended.
        """
        if self.exchange is None:
            return [value]
        said = self.exchange((what, value))
        if others := sorted({point for point, _ in said} - {what}):
            raise MechsteerError(
                f"rank {self.rank} came to {what!r} and others to {shown(others)}: every rank must "
                "make the same calls; where a script divides the work itself, call mechsteer within"
                " `with mechsteer.ranks.alone():`"
            )
        return [value for _, value in said]

    def wait(self, what: str) -> None:
        """Go on when every rank has come here."""
        self.gather(what)

    def agreed(self, what: str, value: Item) -> Item:
        """What rank 0 has of something, for all: a list of files that others may be adding to."""
        found: Item = self.gather(what, value if self.first else None)[0]
        return found

    def from_first(self, what: str, make: Callable[[], Item]) -> Item:
        """What rank 0 makes, for all."""
        with self.together(what):
            made = make() if self.first else None
        found: Item = self.gather(f"{what}, made", made)[0]
        return found

    def same(self, what: str, facts: Mapping[str, Any]) -> None:
        """Require equal facts of all ranks: that they are at one and the same run.

        Raises:
            MechsteerError: a rank has others; it is named, with them.
        """
        said = [dict(_flat(other)) for other in self.gather(what, dict(facts))]
        for rank, other in enumerate(said):
            for name in sorted({*other, *said[0]}):
                if other.get(name) != said[0].get(name):
                    raise MechsteerError(
                        f"rank {rank} has another {name} than rank 0 ({shown(other.get(name))} ≠ "
                        f"{shown(said[0].get(name))}): start all ranks with one command, in equal "
                        "environments"
                    )

    @contextmanager
    def together(self, what: str) -> Iterator[None]:
        """A block that every rank passes, or none: an error on one ends it on all.

        Raises:
            OtherRankError: the block failed on another rank, and not here or there first.
        """
        error: Exception | None = None
        try:
            yield
        except Exception as found:
            if isinstance(found, OtherRankError) or hasattr(found, _KNOWN):
                raise  # all have met over it within the block
            error = found
        said = self.gather(what, None if error is None else presentable(error))
        failed = [rank for rank, why in enumerate(said) if why is not None]
        if error is not None and failed[0] == self.rank:
            setattr(error, _KNOWN, True)
            raise error
        if failed:
            raise OtherRankError(f"rank {failed[0]}: {said[failed[0]]}") from error

    @contextmanager
    def in_turn(self, what: str) -> Iterator[None]:
        """A block that rank 0 passes before the others do, each of them or none."""
        for point, own in ((what, self.first), (f"{what}, the others", not self.first)):
            with self.together(point):
                if own:
                    yield


def _flat(facts: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Facts without facts in them, by names such as ``model.dtype``."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


ONE = Ranks()
"""A process by itself."""
