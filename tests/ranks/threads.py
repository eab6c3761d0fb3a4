"""Ranks that are threads of one process, which meet at a board."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Condition, Lock
from typing import Any, TypeVar

from mechsteer.ranks import OtherRankError, Ranks
from mechsteer.ranks.current import acting

Result = TypeVar("Result")
PATIENCE = 60  # seconds: a test that waits longer hangs


def on_threads(
    size: int, do: Callable[[Ranks], Result], *, one_at_a_time: bool = False
) -> list[Result | BaseException]:
    """What each of several ranks gets from the same call, or what it raises.

    ``one_at_a_time`` is for ranks that share a model, whose hooks are not for two threads.
    """
    turn_of = Lock() if one_at_a_time else None
    said: list[list[object]] = [[] for _ in range(size)]
    ended: set[int] = set()
    news = Condition()

    def run(rank: int) -> Result | BaseException:
        def exchange(value: object) -> list[Any]:
            if turn_of:
                turn_of.release()
            try:
                return meet(value)
            finally:
                if turn_of:
                    turn_of.acquire()

        def meet(value: object) -> list[Any]:
            with news:
                turn = len(said[rank])
                said[rank].append(value)
                news.notify_all()
                ready = news.wait_for(
                    lambda: all(len(s) > turn or r in ended for r, s in enumerate(said)), PATIENCE
                )
                if not ready or any(len(own) <= turn for own in said):
                    raise OtherRankError("a rank has ended")
                return [own[turn] for own in said]

        ranks = Ranks(rank, size, exchange)
        try:
            with acting(ranks), turn_of or nullcontext():
                return do(ranks)
        except BaseException as error:
            return error
        finally:
            with news:
                ended.add(rank)
                news.notify_all()

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))
