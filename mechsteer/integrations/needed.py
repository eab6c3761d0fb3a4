"""A library that only some need, imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mechsteer.errors import MechsteerError


def needed(module: str, extra: str) -> Any:
    """A module of a library that an extra of mechsteer installs.

    Raises:
        MechsteerError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        raise MechsteerError(
            f"this needs {library} ({error.name} is not installed): "
            f"pip install 'mechsteer[{extra}]'"
        ) from None
