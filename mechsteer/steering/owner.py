"""Whose scope it is: a model that one thread steers is not run by another."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident

from mechsteer.errors import ModelError


def own_thread() -> Callable[[], None]:
    """What refuses to go on in any other thread than the one that calls this.

    Whether a pass of another thread is edited would depend on when the scope opens and closes, and
    the positions of an edit are those of one pass at a time.
    """
    owner = get_ident()

    def require() -> None:
        if get_ident() != owner:
            raise ModelError(
                "another thread steers this model: enter `ms.steer` in the thread that runs it, "
                "run one after the other, or load the model once for each"
            )

    return require
