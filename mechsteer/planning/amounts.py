"""Bytes, as a person reads them."""

from __future__ import annotations


def in_bytes(number: float) -> str:
    """Bytes in the unit that fits.

    >>> in_bytes(8.1e9), in_bytes(2_500_000), in_bytes(12)
    ('8.1 GB', '2.5 MB', '12 bytes')
    """
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} bytes"
