"""Similarity matrices of languages, one file a layer, as mPLM-Sim (Lin et al. 2023) publishes them.

A folder of a model holds ``sents_layer0.tsv``, ``sents_layer1.tsv``, …: a header of codes, and rows
of a code and cosines. The diagonal may be empty. Codes may follow any convention.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mechsteer.errors import CorpusError, shown
from mechsteer.typology.squares import EMPTY, read_lines, square

_NAME = re.compile(
    r"(?P<what>.*?)[-_]?layer[-_]?(?P<layer>\d+)\.(?P<suffix>tsv|csv)", re.IGNORECASE
)
_ROUNDING = 1e-6  # cosines of the same pair that differ by more are two measurements


@dataclass(frozen=True)
class LayerSimilarities:
    """Mean similarity of the sentences of two languages, at each layer of a model.

    ``values`` is symmetric, its diagonal NaN; NaN elsewhere means: not measured. ``notes`` says in
    words what was not as expected, and what was done about it.
    """

    model: str
    layers: tuple[int, ...]
    languages: tuple[str, ...]
    values: Float[np.ndarray, "layer language language"]
    notes: tuple[str, ...] = ()


def read_layers(folder: Path) -> LayerSimilarities:
    """Read the matrices of one model; layers in order, languages by canonical name.

    The two halves of an asymmetric matrix are averaged, a half that is missing is taken from the
    other, and a language that some layer lacks is left out; ``notes`` says so.

    Raises:
        CorpusError: No such files or two sets of them; a cell that is no cosine, a code that is
            unknown or there twice (the file and line are named), distances (the diagonal is 0);
            fewer than three languages.
    """
    found = _files(folder)
    tables = {layer: _read(path) for layer, path in found.items()}
    shared = set.intersection(*(set(table.languages) for table in tables.values()))
    everything = sorted(set().union(*(table.languages for table in tables.values())))
    languages = tuple(name for name in everything if name in shared)
    if len(languages) < 3:
        raise CorpusError(f"expected three or more languages in {folder}, got {len(languages)}")
    values = np.stack([table.among(languages) for table in tables.values()])
    notes = _notes(tables, languages, everything, values)
    return LayerSimilarities(folder.name, tuple(found), languages, values, notes)


@dataclass(frozen=True)
class _Table:
    path: Path
    languages: tuple[str, ...]
    values: Float[np.ndarray, "language language"]
    asymmetry: float

    def among(self, languages: Sequence[str]) -> Float[np.ndarray, "language language"]:
        rows = [self.languages.index(name) for name in languages]
        return self.values[np.ix_(rows, rows)]


def _files(folder: Path) -> dict[int, Path]:
    """Files by layer."""
    if not folder.is_dir():
        raise CorpusError(f"no folder {folder}: expected one with sents_layer0.tsv, …")
    matches = [(m, path) for path in sorted(folder.iterdir()) if (m := _NAME.fullmatch(path.name))]
    if not matches:
        raise CorpusError(f"no matrices in {folder}: expected files such as sents_layer0.tsv")
    kinds = sorted({f"{m['what'] or 'layer'} (.{m['suffix']})" for m, _ in matches})
    layers = [int(m["layer"]) for m, _ in matches]
    if len(kinds) > 1 or len(set(layers)) < len(layers):
        raise CorpusError(f"expected one set of matrices in {folder}, got {', '.join(kinds)}")
    return dict(sorted(zip(layers, (path for _, path in matches), strict=True)))


def _read(path: Path) -> _Table:
    languages, whole = square(read_lines(path), path, _cosine)
    same = np.diag(whole)
    if (same == 0).all() and np.nanmax(whole, initial=0.0) > 0:
        raise CorpusError(
            f"{path}: expected similarities, got distances (0 of each language to itself): write "
            "1 - distance, or leave the diagonal empty"
        )
    return _Table(path, languages, *_symmetric(whole))


def _cosine(text: str, where: str) -> float:
    if text.lower() in EMPTY:
        return float("nan")
    try:
        number = float(text)
    except ValueError:
        number = float("inf")
    if not abs(number) <= 1 + _ROUNDING:
        raise CorpusError(f"{where}: expected a cosine from -1 to 1, got {shown(text)}")
    return number


def _symmetric(
    whole: Float[np.ndarray, "language language"],
) -> tuple[Float[np.ndarray, "language language"], float]:
    """The mean of both halves, where both are there, and their largest difference."""
    filled = np.where(np.isnan(whole), whole.T, whole)
    apart = np.abs(filled - filled.T)
    np.fill_diagonal(filled, np.nan)
    largest = float(np.nanmax(apart, initial=0.0)) if np.isfinite(apart).any() else 0.0
    return (filled + filled.T) / 2, largest


def _notes(
    tables: dict[int, _Table],
    languages: tuple[str, ...],
    everything: Sequence[str],
    values: Float[np.ndarray, "layer language language"],
) -> tuple[str, ...]:
    notes = []
    if left_out := [name for name in everything if name not in languages]:
        notes.append(f"left out, not in every layer: {', '.join(left_out)}")
    layers = list(tables)
    if gaps := sorted(set(range(layers[0], layers[-1])) - set(layers)):
        notes.append(f"no file for layer {', '.join(map(str, gaps))}")
    uneven = {layer: t.asymmetry for layer, t in tables.items() if t.asymmetry > _ROUNDING}
    if uneven:
        worst = max(uneven, key=lambda layer: uneven[layer])
        notes.append(
            f"asymmetric at {len(uneven)} of {len(layers)} layers, by up to {uneven[worst]:.3g} "
            f"(layer {worst}): both halves averaged"
        )
    rows, columns = np.triu_indices(len(languages), 1)
    upper = values[:, rows, columns]
    if missing := int(np.isnan(upper).sum()):
        notes.append(f"{missing} of {upper.size} pairs and layers not measured")
    return tuple(notes)
