"""How far apart languages are, by many definitions, each value with what it stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from mechsteer.corpus.names.languages import canonical, script_of
from mechsteer.errors import CorpusError, shown
from mechsteer.typology import catalogue, features, surveys, words
from mechsteer.typology.folder import typology_folder

ALL = (
    "genetic", "geographic", "syntactic", "phonological", "inventory", "featural", "lexical",
    "family", "script", "grambank", "wals", "kilometres",
)  # fmt: skip
KINDS = {
    "genetic": "1 - cosine of URIEL's families and branches",
    "geographic": "1 - cosine of URIEL's distances to 299 points on the globe",
    "syntactic": "1 - cosine of URIEL's 103 syntactic features, the unknown imputed",
    "phonological": "1 - cosine of URIEL's 28 phonological features, the unknown imputed",
    "inventory": "1 - cosine of URIEL's 158 sounds, the unknown imputed",
    "featural": "1 - cosine of all 289 features of URIEL, the unknown imputed",
    "lexical": "LDND of ASJP's word lists of 40 meanings",
    "family": "0 in one family of Glottolog, 1 in two",
    "script": "0 in one script, 1 in two",
    "grambank": "share of Grambank's features known to both that differ",
    "wals": "share of WALS's features known to both that differ",
    "kilometres": "great circle between Glottolog's coordinates",
}
Matrix = Float[np.ndarray, "language language"]


@dataclass(frozen=True)
class PairMeasures:
    """Measures of language pairs by name; NaN inside a matrix means: not known.

    ``coverage`` has, for each measure, the share of its features that are known for both languages,
    0 to 1. A value of coverage 0 stands on imputed features alone.
    """

    languages: tuple[str, ...]
    values: Mapping[str, Float[np.ndarray, "language language"]]
    coverage: Mapping[str, Float[np.ndarray, "language language"]]

    def table(self) -> pd.DataFrame:
        """One row for each unordered pair and measure: language, other, measure, value, coverage.

        A value that is not known is missing (``pd.NA``).
        """
        columns = ["language", "other", "measure", "value", "coverage"]
        frame = pd.DataFrame(list(self._rows()), columns=columns)
        return frame.astype({"value": "Float64", "coverage": "Float64"})

    def known(self, least: float) -> PairMeasures:
        """The same, with values of less than this coverage not known.

        Raises:
            CorpusError: ``least`` is not in [0, 1].
        """
        if not 0 <= least <= 1:
            raise CorpusError(f"expected a coverage from 0 to 1, got {shown(least)}")
        values = {
            name: np.where(self.coverage[name] >= least, matrix, np.nan)
            for name, matrix in self.values.items()
        }
        return PairMeasures(self.languages, values, self.coverage)

    def _rows(self) -> Iterator[tuple[str, str, str, float | None, float]]:
        for a, b in zip(*np.triu_indices(len(self.languages), 1), strict=True):
            for name, matrix in self.values.items():
                value = float(matrix[a, b])
                pair = self.languages[a], self.languages[b]
                shown_value = None if np.isnan(value) else value
                yield *pair, name, shown_value, float(self.coverage[name][a, b])


def distances(
    languages: Sequence[str], *, kinds: Sequence[str] = ALL, data: Path | None = None
) -> PairMeasures:
    """Distances of all pairs of languages by each kind (``KINDS`` says what each is).

    ``data`` is the folder that holds ``typology/``, by default ``$MECHSTEER_DATA``. Languages may
    be written in any convention; names are the canonical ones, in the order given. What a database
    does not know is NaN.

    Raises:
        CorpusError: Fewer than two languages, one twice or unknown, an unknown kind, or databases
            that are missing or damaged.
    """
    names = _distinct(languages)
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise CorpusError(f"unknown measure {shown(unknown[0])}: expected one of {', '.join(ALL)}")
    kinds = tuple(dict.fromkeys(kinds))
    folder = typology_folder(data) if set(kinds) - {"script"} else Path()
    found = {kind: _measure(kind)(folder, names) for kind in kinds}
    return PairMeasures(
        names,
        {kind: value for kind, (value, _) in found.items()},
        {kind: coverage for kind, (_, coverage) in found.items()},
    )


def _distinct(languages: Sequence[str]) -> tuple[str, ...]:
    names = tuple(canonical(code) for code in languages)
    if len(names) < 2:
        raise CorpusError(f"expected two or more languages, got {len(names)}")
    if twice := next((name for name in names if names.count(name) > 1), None):
        asked = ", ".join(
            code for code, name in zip(languages, names, strict=True) if name == twice
        )
        raise CorpusError(f"expected each language once: {asked} all mean {twice}")
    return names


def _measure(kind: str) -> Callable[[Path, tuple[str, ...]], tuple[Matrix, Matrix]]:
    own = {
        "genetic": _genetic, "geographic": _geographic, "lexical": _lexical, "family": _family,
        "script": _script, "grambank": _grambank, "wals": _wals, "kilometres": _kilometres,
    }  # fmt: skip
    return own.get(kind) or (lambda folder, names: _uriel(folder, names, kind))


def _uriel(folder: Path, names: tuple[str, ...], kind: str) -> tuple[Matrix, Matrix]:
    vectors = features.uriel(folder, names, kind)
    return features.cosine_distances(vectors.values), features.known_to_both(vectors.known)


def _genetic(folder: Path, names: tuple[str, ...]) -> tuple[Matrix, Matrix]:
    vectors = features.family(folder, names)
    return features.cosine_distances(vectors.values), features.known_to_both(vectors.known)


def _places(folder: Path, names: tuple[str, ...]) -> Float[np.ndarray, "language 3"]:
    entries = catalogue.glottolog(folder, names)
    nowhere = (float("nan"), float("nan"))
    degrees = [
        (entries[name].latitude, entries[name].longitude) if name in entries else nowhere
        for name in names
    ]
    return catalogue.directions(*np.array(degrees).T)


def _geographic(folder: Path, names: tuple[str, ...]) -> tuple[Matrix, Matrix]:
    vectors = catalogue.uriel_geo(folder, names, _places(folder, names))
    return _told(features.cosine_distances(vectors))


def _kilometres(folder: Path, names: tuple[str, ...]) -> tuple[Matrix, Matrix]:
    return _told(catalogue.kilometres(_places(folder, names)))


def _lexical(folder: Path, names: tuple[str, ...]) -> tuple[Matrix, Matrix]:
    found = words.word_lists(folder, names)
    lists = [found.get(name) for name in names]
    return words.ldnd(lists), words.shared_meanings(lists)


def _family(folder: Path, names: tuple[str, ...]) -> tuple[Matrix, Matrix]:
    entries = catalogue.glottolog(folder, names)
    return _told(_apart([entries[name].family if name in entries else "" for name in names]))


def _script(folder: Path, names: tuple[str, ...]) -> tuple[Matrix, Matrix]:
    del folder
    return _told(_apart([script_of(name) for name in names]))


def _wals(folder: Path, names: tuple[str, ...]) -> tuple[Matrix, Matrix]:
    return surveys.mismatches(surveys.wals(folder, names))


def _grambank(folder: Path, names: tuple[str, ...]) -> tuple[Matrix, Matrix]:
    return surveys.mismatches(surveys.grambank(folder, names))


def _apart(labels: list[str]) -> Matrix:
    """0 where two labels agree, 1 where they differ, NaN where one is empty."""
    own = np.array(labels, dtype=object)
    known = own != ""
    apart = (own[:, None] != own[None]).astype(float)
    return np.where(known[:, None] & known[None], apart, np.nan)


def _told(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """A measure that is known or not: coverage 1 or 0."""
    return matrix, np.isfinite(matrix).astype(float)
