"""Say why the first scoring on a machine takes seconds longer: its kernels are compiled."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

from mechsteer.kernels.common.compiling import while_compiling
from mechsteer.progress import stage


def compiling() -> AbstractContextManager[None]:
    """Say so on the terminal from when a kernel of the block compiles until the block ends."""
    return while_compiling(partial(stage, "compiling the kernels, once on this machine"))
