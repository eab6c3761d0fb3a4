"""What is known of single languages beside their mean alignment and their mean gain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from mechsteer import typology
from mechsteer.corpus.names.languages import canonical
from mechsteer.crosslingual.similarities.responses import Response
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.pairwise import explain_languages
from mechsteer.typology.squares import EMPTY, read_lines

KNOWN = ("script", "family", "family_size", "word_order")
COLUMNS = (
    "state", "metric", "layer", "place", "characteristic", "kind", "r", "r2", "chance", "p",
    "p_holm", "p_bh", "n_languages", "n_groups",
)  # fmt: skip


def characteristics_of(
    languages: Sequence[str], more: pd.DataFrame | None, data: Path | None
) -> pd.DataFrame:
    """Script, family, its size and word order of each language, and what was given beside.

    One row a language, in order; missing where nobody knows. Without data there is only what was
    given.

    Raises:
        MechsteerError: something given has the name of what is known, or other languages.
    """
    try:
        known = typology.characteristics(languages, data=data)[list(KNOWN)]
    except CorpusError:
        known = pd.DataFrame(index=range(len(languages)))
    if more is None:
        return known
    if twice := sorted(set(known.columns) & set(more.columns)):
        raise MechsteerError(f"characteristics: expected other names than {', '.join(twice)}")
    if len(more) != len(known):
        raise MechsteerError(
            f"characteristics: expected one row for each of {len(known)} languages, got {len(more)}"
        )
    return pd.concat([known, more.reset_index(drop=True)], axis=1)


def means_of(values: Float[np.ndarray, "language language"]) -> Float[np.ndarray, " language"]:
    """Mean of each language's known pairs, in both orders; NaN where none is known."""
    both = np.concatenate([values, values.T], axis=1)
    there = np.isfinite(both) & ~np.tile(np.eye(len(values), dtype=bool), 2)
    counts = there.sum(1)
    sums = np.where(there, both, 0.0).sum(1)
    means: Float[np.ndarray, " language"] = np.where(counts, sums / np.maximum(counts, 1), np.nan)
    return means


def of_languages(
    responses: Sequence[Response], known: pd.DataFrame, *, permutations: int, seed: int
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """One row a response and characteristic of ``mechsteer.pairwise.explain_languages``; and notes.

    A characteristic that these languages cannot tell is left out and named.
    """
    rows, notes = [], dict[str, str]()
    for response in responses if len(known.columns) else ():
        means = {"mean": means_of(response.values)}
        try:
            (found,) = explain_languages(
                means, known, permutations=permutations, seed=seed
            ).values()
        except MechsteerError as error:
            notes[response.name] = str(error)
            continue
        notes |= found.left_out
        told = {name: getattr(response, name) for name in COLUMNS[:4]}
        rows.append(found.table().assign(**told)[list(COLUMNS)])
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(COLUMNS))
    return table, tuple(f"Left out: {why}." for why in notes.values())


def read_characteristics(path: Path, languages: Sequence[str]) -> pd.DataFrame:
    """A CSV (or .tsv) with a column ``language`` and one column a characteristic, in their order.

    A column whose cells are all numbers is one, any other makes groups; empty cells are missing.

    Raises:
        MechsteerError: no such file or column, a language twice, an unknown code, or none of the
            languages.
    """
    lines = read_lines(path)
    header = lines[0][1] if lines else []
    if "language" not in header or len(set(header)) < max(2, len(header)):
        raise MechsteerError(
            f"{path}: expected a column language and one column or more of characteristics, each "
            f"name once, got {', '.join(header) or 'nothing'}"
        )
    at, cells = header.index("language"), dict[str, list[str]]()
    for line, row in lines[1:]:
        if len(row) != len(header):
            raise MechsteerError(f"{path}:{line}: expected {len(header)} cells, got {len(row)}")
        try:
            code = canonical(row[at])
        except CorpusError as error:
            raise MechsteerError(f"{path}:{line}: {error}") from None
        if code in cells:
            raise MechsteerError(f"{path}:{line}: expected each language once, got {code} again")
        cells[code] = row
    if not set(languages) & set(cells):
        raise MechsteerError(f"{path} has none of {', '.join(languages)}")
    return pd.DataFrame(
        {
            name: _column([cells[code][place] if code in cells else "" for code in languages])
            for place, name in enumerate(header)
            if name != "language"
        }
    )


def _column(cells: Sequence[str]) -> pd.Series:
    told = pd.Series([None if cell.lower() in EMPTY else cell for cell in cells], dtype=object)
    numbers = pd.to_numeric(told, errors="coerce")
    return told if (numbers.isna() & told.notna()).any() else numbers.astype("Float64")
