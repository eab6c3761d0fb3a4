"""A matrix of languages from a file: transfer, shared words, anything a person has measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from mechsteer.corpus.languages import canonical
from mechsteer.errors import CorpusError, MechsteerError, shown

_LONG = {"source", "target", "value"}


def read_matrix(path: Path, languages: Sequence[str]) -> Float[np.ndarray, "language language"]:
    """Values of pairs of languages from CSV, in the order of ``languages``; NaN where none is.

    Either a square table, codes in the first row and the first column (rows are sources), or one
    row a pair with the columns ``source``, ``target`` and ``value``. Codes in any convention;
    languages that are not asked for are left out.

    Raises:
        MechsteerError: no such file, a cell that is no number, a language or pair twice, an unknown
            code, or fewer than two of the languages.
    """
    frame = _read(path)
    long = set(frame.columns) >= _LONG
    pairs = frame if long else _unpivoted(frame, path)
    values = np.full((len(languages), len(languages)), np.nan)
    place = {code: at for at, code in enumerate(languages)}
    seen: set[tuple[str, str]] = set()
    rows = zip(pairs["source"], pairs["target"], pairs["value"], strict=True)
    for line, (source, target, value) in enumerate(rows, 2):
        where = f"{path}:{line}" if long else f"{path}, {source} and {target}"
        pair = _language(source, where), _language(target, where)
        if pair in seen:
            raise MechsteerError(f"{where}: expected each pair once, got {' '.join(pair)} again")
        seen.add(pair)
        if pair[0] in place and pair[1] in place:
            values[place[pair[0]], place[pair[1]]] = _number(value, where)
    known = np.isfinite(values) & ~np.eye(len(languages), dtype=bool)
    if not known.any():
        raise MechsteerError(f"{path} has no pair of {', '.join(languages)}")
    return values


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, UnicodeError, pd.errors.ParserError, pd.errors.EmptyDataError):
        raise MechsteerError(
            f"expected a CSV of pairs of languages at {shown(str(path))}: a square table with "
            "codes, or columns source, target and value"
        ) from None


def _unpivoted(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if frame.shape[1] < 3:
        raise MechsteerError(
            f"{path}: expected a square table with codes in its first row and column, or the "
            f"columns source, target and value, got columns {shown(list(frame.columns))}"
        )
    first = frame.columns[0]
    return frame.melt(id_vars=first, var_name="target", value_name="value").rename(
        columns={first: "source"}
    )


def _language(code: str, where: str) -> str:
    try:
        return canonical(code)
    except CorpusError as error:
        raise MechsteerError(f"{where}: {error}") from None


def _number(text: str, where: str) -> float:
    if not text.strip():
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = float("inf")
    if np.isinf(value):
        raise MechsteerError(f"{where}: expected a number, got {shown(text)}")
    return value
