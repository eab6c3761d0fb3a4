"""``memory``: how many bytes of memory a run may take, as people write it."""

from __future__ import annotations

import re
from typing import Any

from mechsteer.errors import MechsteerError, shown
from mechsteer.options.records import option
from mechsteer.options.rules import Rule

USUAL_MEMORY = "4GB"
LEAST = 100_000
"""Bytes: fewer are a number whose unit was forgotten."""
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*(?:([kmgt])(i?)b?|b|bytes)?", re.IGNORECASE)
_POWERS = "kmgt"
_EXPECTED = "a size such as 4GB, 500 MB, 1.5GiB or a number of bytes, at least 100 kB"


def memory_bytes(size: int | str) -> int:
    """A size in bytes: kB, MB, GB, TB of 1000, KiB, MiB, GiB, TiB of 1024; the B may be left out.

    Raises:
        MechsteerError: no size, one without its unit, or none that a machine has.

    >>> memory_bytes("4GB"), memory_bytes("1.5 GiB"), memory_bytes("500m"), memory_bytes(200_000)
    (4000000000, 1610612736, 500000000, 200000)
    """
    number = _bytes(size)
    if number is None or not LEAST <= number < 2**60:
        raise MechsteerError(f"expected {_EXPECTED}, got {shown(size)}")
    return number


def _is_size(size: Any) -> bool:
    number = _bytes(size)
    return number is not None and LEAST <= number < 2**60


SIZE = Rule(_EXPECTED, _is_size)
"""What ``memory_bytes`` reads."""


def memory_option() -> Any:
    """The field of a record: no number depends on it, so no manifest keeps it."""
    return option(
        USUAL_MEMORY,
        "What values may take of the memory, beside the model's weights: beyond it they go to "
        "disk, and are read in parts. No number depends on it.",
        SIZE,
        flag="--memory",
        determines=False,
    )


def _bytes(size: Any) -> int | None:
    if isinstance(size, int) and not isinstance(size, bool):
        return size
    found = _SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if found is None or not size.isascii():
        return None
    number, unit, binary = found.groups()
    scale = (1024 if binary else 1000) ** (_POWERS.index(unit.lower()) + 1) if unit else 1
    return int(float(number) * scale)
