"""A matrix of languages from a file: transfer, shared words, anything a person has measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mechsteer.corpus.names.languages import canonical
from mechsteer.errors import CorpusError, MechsteerError, shown
from mechsteer.typology.squares import EMPTY, Lines, read_lines, square

_LONG = ("source", "target", "value")


def read_matrix(path: Path, languages: Sequence[str]) -> Float[np.ndarray, "language language"]:
    """Values of pairs of languages from CSV (or .tsv), in the order of ``languages``.

    Either a square table, codes in the first row and the first column (rows are sources), or one
    row a pair with the columns ``source``, ``target`` and ``value``. Codes in any convention;
    languages that are not asked for are left out. NaN where no value is.

    Raises:
        MechsteerError: no such file, a cell that is no number, a language or pair twice, an unknown
            code, or fewer than two of the languages.
    """
    try:
        lines = read_lines(path)
    except CorpusError as error:
        raise MechsteerError(f"{error}; {_expected(path)}") from None
    header = lines[0][1] if lines else []
    if set(header) >= set(_LONG):
        values = _long(lines, path, languages)
    elif max((len(cells) for _, cells in lines[1:]), default=0) > 2:
        named, whole = square(lines, path, _number)
        values = _ordered(named, whole, languages)
    else:
        raise MechsteerError(f"{_expected(path)}, got columns {shown(header)}")
    known = np.isfinite(values) & ~np.eye(len(languages), dtype=bool)
    if not known.any():
        raise MechsteerError(f"{path} has no pair of {', '.join(languages)}")
    return values


def _expected(path: Path) -> str:
    return (
        f"expected a CSV of pairs of languages at {shown(str(path))}: a square table with codes in "
        "its first row and column, or the columns source, target and value"
    )


def _ordered(
    named: Sequence[str], whole: Float[np.ndarray, "row column"], languages: Sequence[str]
) -> Float[np.ndarray, "language language"]:
    values = np.full((len(languages), len(languages)), np.nan)
    there = [place for place, code in enumerate(languages) if code in named]
    at = [named.index(languages[place]) for place in there]
    values[np.ix_(there, there)] = whole[np.ix_(at, at)]
    return values


def _long(
    lines: Lines, path: Path, languages: Sequence[str]
) -> Float[np.ndarray, "language language"]:
    values = np.full((len(languages), len(languages)), np.nan)
    place = {code: at for at, code in enumerate(languages)}
    seen: set[tuple[str, str]] = set()
    for where, source, target, value in _rows(lines, path):
        pair = _language(source, where), _language(target, where)
        if pair in seen:
            others = [name for name in lines[0][1] if name and name not in _LONG]
            told = f"; keep one {', '.join(others)}" if others else ""
            raise MechsteerError(
                f"{where}: expected each pair once, got {' '.join(pair)} again{told}"
            )
        seen.add(pair)
        number = _number(value, where)
        if pair[0] in place and pair[1] in place:
            values[place[pair[0]], place[pair[1]]] = number
    return values


def _rows(lines: Lines, path: Path) -> Iterator[tuple[str, str, str, str]]:
    header = lines[0][1]
    columns = [header.index(name) for name in _LONG]
    for line, cells in lines[1:]:
        where = f"{path}:{line}"
        if len(cells) != len(header):
            raise MechsteerError(f"{where}: expected {len(header)} cells, got {len(cells)}")
        source, target, value = (cells[column] for column in columns)
        yield where, source, target, value


def _language(code: str, where: str) -> str:
    try:
        return canonical(code)
    except CorpusError as error:
        raise MechsteerError(f"{where}: {error}") from None


def _number(text: str, where: str) -> float:
    if text.lower() in EMPTY:
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = float("inf")
    if np.isinf(value):
        raise MechsteerError(f"{where}: expected a number, got {shown(text)}")
    return value
