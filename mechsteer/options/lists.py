"""Several values in one text: commas between them, and quotes as a CSV file has them."""

from __future__ import annotations

import csv


def parts_of(text: str) -> list[str]:
    """The values of a list as it is typed; blank ones are none.

    >>> parts_of('fra, deu,'), parts_of('"yes, but",no')
    (['fra', 'deu'], ['yes, but', 'no'])

    Raises:
        ValueError: a quote that does not end, or ends within a value.
    """
    try:
        (parts,) = csv.reader([text], skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return [part.strip() for part in parts if part.strip()]


def joined(parts: list[str]) -> str:
    """The text that ``parts_of`` reads these values from.

    >>> joined(["fra", "yes, but"])
    'fra,"yes, but"'
    """
    return ",".join(map(_quoted, parts))


def _quoted(part: str) -> str:
    doubled = part.replace('"', '""')
    return f'"{doubled}"' if "," in part or part.startswith('"') else part
