"""One progress bar a stage, with unit and time left; silent where nobody watches.

Of several ranks the first has bars. Every function that may show one takes ``progress=False``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from threading import Event, Thread
from time import time
from typing import Any, TypeVar, cast

from tqdm.auto import tqdm

Item = TypeVar("Item")
Function = TypeVar("Function", bound=Callable[..., Any])
_SHOWN: ContextVar[bool] = ContextVar("shown", default=True)
log = logging.getLogger(__name__)
SILENT = "MECHSTEER_QUIET"
"""Environment variable: where it is set to something, no bar is shown."""
_LINE = "{desc} ({elapsed})"
_EVERY = 1.0  # seconds between two looks at the clock


def hidden(*, show: bool = True) -> bool | None:
    """``disable`` of tqdm: None shows a bar where a terminal watches."""
    said = _SHOWN.get() and os.environ.get("RANK", "0") == "0" and not os.environ.get(SILENT)
    return None if show and said else True


@contextmanager
def bars(*, show: bool) -> Iterator[None]:
    """Within the block bars are shown, unless an outer block hides them."""
    token = _SHOWN.set(show and _SHOWN.get())
    try:
        yield
    finally:
        _SHOWN.reset(token)


def with_bars(function: Function) -> Function:
    """A function whose keyword ``progress`` says whether bars are shown while it runs.

    >>> @with_bars
    ... def asked(*, progress: bool = True) -> bool | None:
    ...     return hidden()
    >>> asked(), asked(progress=False)
    (None, True)
    """

    @wraps(function)
    def wrapped(*args: Any, progress: bool = True, **named: Any) -> Any:
        with bars(show=progress):
            return function(*args, progress=progress, **named)

    return cast("Function", wrapped)


def progress(items: Sequence[Item], what: str, unit: str) -> Iterable[Item]:
    """Iterate with a bar on the terminal: ``what``, items a second, time left."""
    log.info("%s: %d %s", what, len(items), unit if len(items) == 1 else f"{unit}s")
    return tqdm(items, desc=what, unit=f" {unit}", disable=hidden(), dynamic_ncols=True)


@contextmanager
def stage(what: str, *, after: float = 0.0) -> Iterator[None]:
    """Say on the terminal what is happening, and for how long, while the block runs.

    Args:
        what: in a few words.
        after: seconds that it may take without a word.
    """
    log.info("%s", what)
    done = Event()

    def show(began: float) -> None:
        if done.wait(after):
            return
        with tqdm(total=0, desc=what, bar_format=_LINE, disable=hidden(), leave=False) as bar:
            bar.start_t = began
            bar.refresh()
            while not done.wait(_EVERY):
                bar.refresh()

    telling = Thread(target=show, args=(time(),), daemon=True)
    telling.start()
    try:
        yield
    finally:
        done.set()
        telling.join()
