"""Tell the user why a first call takes seconds: the CPU kernels are being compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from .backends import usable


@contextmanager
def while_compiling(say: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
    """Enter ``say()`` when a kernel of the block starts to compile, and leave it with the block.

    Nothing is said where the code is in numba's cache, or numba is not there.
    """
    if not usable("numba"):
        yield
        return
    from numba.core import event

    class First(event.Listener):  # type: ignore[misc]
        said = False

        def on_start(self, event: Any) -> None:
            if not self.said:
                self.said = True
                scope.enter_context(say())

        def on_end(self, event: Any) -> None:
            pass

    with ExitStack() as scope, event.install_listener("numba:compile", First()):
        yield
