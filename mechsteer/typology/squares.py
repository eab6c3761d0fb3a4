"""Square tables of languages in text files: codes in the first row and column, a cell a pair.

Codes may follow any convention, rows and columns may stand in different orders, and either may have
languages that the other lacks. A header without a name for the column of codes, as R writes it, is
understood.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mechsteer.corpus.names.languages import canonical
from mechsteer.errors import CorpusError

EMPTY = frozenset({"", "-", "nan", "na", "n/a", "none", "null"})
Lines = list[tuple[int, list[str]]]
Square = tuple[tuple[str, ...], Float[np.ndarray, "row column"]]
Number = Callable[[str, str], float]
"""From a cell and where it stands to its value; NaN for an empty one."""


def read_lines(path: Path) -> Lines:
    """Cells of each line that is not blank, with its number; ``.tsv`` has tabs, all else commas.

    Raises:
        CorpusError: The file cannot be read as UTF-8, or is no table.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"cannot read {path}: {error}") from None
    return [(line, cells) for line, cells in lines if any(cells)]


def square(lines: Lines, path: Path, number: Number) -> Square:
    """Languages in the order of the header, then of the rows, and the values; NaN where none is.

    Raises:
        CorpusError: No header and row, a line of another length, a code that is unknown or stands
            there twice, or what ``number`` refuses; the file and the line are named.
    """
    if len(lines) < 2:
        raise CorpusError(f"{path}: expected a header of codes and a row for each")
    header, body = lines[0][1], lines[1:]
    codes = header if all(len(cells) == len(header) + 1 for _, cells in body) else header[1:]
    across = _names(codes, f"{path}:{lines[0][0]}")
    down = _names([cells[0] for _, cells in body], str(path))
    languages = tuple(dict.fromkeys((*across, *down)))
    at = {name: place for place, name in enumerate(languages)}
    values = np.full((len(languages), len(languages)), np.nan)
    columns = [at[name] for name in across]
    for name, (line, cells) in zip(down, body, strict=True):
        if len(cells) != len(across) + 1:
            raise CorpusError(
                f"{path}:{line}: expected {len(across)} numbers, got {len(cells) - 1}"
            )
        values[at[name], columns] = [number(cell, f"{path}:{line}") for cell in cells[1:]]
    return languages, values


def _names(codes: Sequence[str], where: str) -> tuple[str, ...]:
    names: dict[str, str] = {}
    for code in codes:
        try:
            name = canonical(code)
        except CorpusError as error:
            raise CorpusError(f"{where}: {error}") from None
        if name in names:
            raise CorpusError(f"{where}: {names[name]} and {code} both mean {name}: keep one")
        names[name] = code
    return tuple(names)
