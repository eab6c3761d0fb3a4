"""How other libraries' loaders are run: quietly, and without installing anything."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the loaders' prints and progress bars off the terminal."""
    from transformers.utils import logging

    barred = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        if barred:
            logging.enable_progress_bar()


@contextmanager
def nothing_installed() -> Iterator[None]:
    """Keep TransformerLens from installing packages while it opens a model.

    Where a model sees or hears, it runs ``pip install torchvision`` if that is missing, which can
    replace torch. A model's words need none of it.
    """
    from transformer_lens.model_bridge.sources.transformers import helpers

    found = helpers._ensure_torchvision
    helpers._ensure_torchvision = lambda: find_spec("torchvision") is not None
    try:
        yield
    finally:
        helpers._ensure_torchvision = found
