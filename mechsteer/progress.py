"""One progress bar a stage, with unit and time left; silent where nobody watches.

Of several ranks the first has bars.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from time import time
from typing import TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")
log = logging.getLogger(__name__)
SILENT = "MECHSTEER_QUIET"
"""Environment variable: where it is set to something, no bar is shown."""
_LINE = "{desc} ({elapsed})"
_EVERY = 1.0  # seconds between two looks at the clock


def hidden(*, show: bool = True) -> bool | None:
    """``disable`` of tqdm: None shows a bar where a terminal watches."""
    show = show and os.environ.get("RANK", "0") == "0" and not os.environ.get(SILENT)
    return None if show else True


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
