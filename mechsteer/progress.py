"""One progress bar a stage, with unit and time left; silent where nobody watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")


def progress(items: Sequence[Item], what: str, unit: str) -> Iterable[Item]:
    """Iterate with a bar on the terminal: ``what``, items a second, time left."""
    return tqdm(items, desc=what, unit=f" {unit}", disable=None, dynamic_ncols=True)


@contextmanager
def stage(what: str) -> Iterator[None]:
    """Say on the terminal what is happening, and for how long, while the block runs."""
    with tqdm(total=0, desc=what, bar_format="{desc} ({elapsed})", disable=None, leave=False):
        yield
