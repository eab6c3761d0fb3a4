"""Whether torchrun started this process beside others, and how to reach them.

Ranks meet over gloo, on the processor, whatever device models run on: what they tell each other is
small, and what is large (shards, states) goes by the disk that they share.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from mechsteer.errors import MechsteerError, shown
from mechsteer.ranks.group import ENDED, ONE, OtherRankError, Ranks

TIMEOUT = "MECHSTEER_RANK_TIMEOUT"
"""Environment variable: seconds that ranks wait for each other, a day by default."""
_DAY = 24 * 3600  # one rank may be busy while others wait; a dead one is noticed at once
_TO_START = timedelta(minutes=10)  # until they have met, nobody notices a dead one
_ACTING: ContextVar[Ranks | None] = ContextVar("acting", default=None)


def current() -> Ranks:
    """The ranks of this command: those that torchrun started, or this process alone.

    Raises:
        MechsteerError: the launcher's variables do not fit together, or the ranks do not meet.
    """
    acting = _ACTING.get()
    if acting is not None:
        return acting
    return _joined() if os.environ.get("WORLD_SIZE", "1") not in {"", "1"} else ONE


@contextmanager
def acting(ranks: Ranks) -> Iterator[None]:
    """Take some ranks for the current ones within a block."""
    token = _ACTING.set(ranks)
    try:
        yield
    finally:
        _ACTING.reset(token)


@contextmanager
def alone() -> Iterator[None]:
    """Within the block this process is one by itself, for scripts that divide the work themselves.

    >>> with alone():
    ...     current().size
    1
    """
    with acting(ONE):
        yield


def claimed(what: str) -> bool:
    """Whether no rank has claimed something before this one.

    Where they cannot be asked it is the first two: one of them kept the count, and is gone.
    """
    try:
        return int(_met()[0].add(f"mechsteer {what}", 1)) == 1
    except Exception:  # the launcher is gone, or never was
        return os.environ.get("RANK", "0") in {"0", "1"}


def patience() -> timedelta:
    """How long ranks wait for each other.

    Raises:
        MechsteerError: the environment names no number of seconds.
    """
    text = os.environ.get(TIMEOUT, str(_DAY))
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**8):
        raise MechsteerError(f"{TIMEOUT}: expected a number of seconds, got {shown(text)}")
    return timedelta(seconds=int(text))


def _to_start() -> timedelta:
    return min(_TO_START, patience())


@functools.cache
def _rendezvous() -> tuple[Any, int, int] | MechsteerError:
    """Where all ranks find each other, this one's number and how many there are; or why not.

    Kept either way, so that a rank that met nobody does not wait again to say so.
    """
    from torch.distributed.rendezvous import rendezvous

    try:
        found: tuple[Any, int, int] = next(rendezvous("env://", timeout=_to_start()))
    except (KeyError, ValueError, RuntimeError) as error:
        return _unmet(error)
    return found


def _unmet(error: Exception) -> MechsteerError:
    return MechsteerError(
        f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but the ranks do not meet ({error}): start "
        "them with torchrun, or unset WORLD_SIZE"
    )


def _met() -> tuple[Any, int, int]:
    found = _rendezvous()
    if isinstance(found, MechsteerError):
        raise found
    return found


@functools.cache
def _joined() -> Ranks:
    """Meet the others once; where the script has made a process group already, beside it."""
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore, _set_pg_timeout

    longest, soon = patience(), _to_start()
    try:
        if dist.is_initialized():
            group = dist.new_group(backend="gloo", timeout=soon)
            rank, size = dist.get_rank(), dist.get_world_size()
        else:
            store, rank, size = _met()
            own = PrefixStore("mechsteer", store)
            dist.init_process_group("gloo", store=own, rank=rank, world_size=size, timeout=soon)
            group = None
    except (KeyError, ValueError, RuntimeError) as error:
        raise _unmet(error) from error
    _set_pg_timeout(longest, group)  # met: from here on a rank that ends closes its connections

    def exchange(value: object) -> list[Any]:
        found: list[Any] = [None] * size
        try:
            dist.all_gather_object(found, value, group=group)
        except RuntimeError as error:  # its connection is closed
            if "imed out" in str(error):
                raise OtherRankError(
                    f"another rank did not come within {longest.total_seconds():.0f} s ({TIMEOUT}):"
                    " end it, and run the same command again; whole work is kept"
                ) from error
            raise OtherRankError(ENDED) from error
        return found

    return Ranks(rank, size, exchange)
