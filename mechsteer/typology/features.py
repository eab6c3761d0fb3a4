"""Feature vectors of languages, and the cosine distances between them.

URIEL (Littell et al. 2017) and its ``lang2vec`` give each language binary features of syntax,
phonology, sound inventory and family. Where sources are silent, a feature is imputed from similar
languages; ``feature_averages`` tells which are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from mechsteer.typology.codes import candidates
from mechsteer.typology.folder import arrays, part

PREFIXES = {"syntactic": "S_", "phonological": "P_", "inventory": "INV_", "featural": ""}


@dataclass(frozen=True)
class Vectors:
    """One row a language: its vector, which entries are known, under which code it was found.

    A language without vector has a row of NaN and an empty code.
    """

    values: Float[np.ndarray, "language feature"]
    known: Bool[np.ndarray, "language feature"]
    codes: tuple[str, ...]


def cosine_distances(
    values: Float[np.ndarray, "language feature"],
) -> Float[np.ndarray, "language language"]:
    """``1 - cos``; NaN where a vector is missing (NaN) or zero, which has no direction.

    >>> cosine_distances(np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))[0].tolist()
    [0.0, 1.0, nan]
    """
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    units = np.divide(values, norms, out=np.full(values.shape, np.nan), where=norms > 0)
    distances = np.clip(1 - units @ units.T, 0, 2)
    distances[np.diag_indices_from(distances)] = np.where(np.isfinite(units[:, 0]), 0, np.nan)
    return np.asarray((distances + distances.T) / 2)


def known_to_both(
    known: Bool[np.ndarray, "language feature"],
) -> Float[np.ndarray, "language language"]:
    """Share of the features that both languages are known for, 0 to 1."""
    numbers = known.astype(float)
    return np.asarray(numbers @ numbers.T / max(known.shape[1], 1))


def uriel(folder: Path, languages: tuple[str, ...], kind: str) -> Vectors:
    """URIEL's vectors with imputed features, as ``lang2vec``'s ``syntax_knn`` gives them.

    A language is read under the first of its ``candidates`` that any feature is known for, and at
    least half as many as under its own code; else under the first that has a vector.

    Raises:
        CorpusError: A file of URIEL is missing or damaged.
    """
    imputed = arrays(part(folder, "uriel/feature_predictions.npz"))
    averages = arrays(part(folder, "uriel/feature_averages.npz"))
    rows = {str(code): row for row, code in enumerate(imputed["langs"])}
    observed = averages["data"][:, :, 0] != -1
    order = {str(code): row for row, code in enumerate(averages["langs"])}
    chosen = [_best(language, order, observed) for language in languages]
    columns = np.array([str(name).startswith(PREFIXES[kind]) for name in imputed["feats"]])
    values = np.full((len(languages), int(columns.sum())), np.nan)
    known = np.zeros(values.shape, dtype=bool)
    for place, code in enumerate(chosen):
        if code in rows:
            values[place] = imputed["data"][rows[code], columns, 0]
            known[place] = observed[order[code], columns]
    return Vectors(values, known, tuple(chosen))


def family(folder: Path, languages: tuple[str, ...]) -> Vectors:
    """URIEL's membership in families and branches (Glottolog), ``lang2vec``'s ``fam``.

    A language of which URIEL knows no family has no vector.

    Raises:
        CorpusError: The file is missing or damaged.
    """
    held = arrays(part(folder, "uriel/family_features.npz"))
    member = held["data"][:, :, 0] > 0
    rows = {str(code): row for row, code in enumerate(held["langs"]) if member[row].any()}
    chosen = [next((c for c in candidates(name) if c in rows), "") for name in languages]
    found = [member[rows[code]] if code else np.zeros(member.shape[1], bool) for code in chosen]
    values = np.array(found, dtype=float).reshape(len(languages), -1)
    known = np.repeat(values.any(axis=1, keepdims=True), values.shape[1], axis=1)
    return Vectors(np.where(known, values, np.nan), known, tuple(chosen))


def _best(language: str, rows: dict[str, int], observed: Bool[np.ndarray, "row feature"]) -> str:
    held = [code for code in candidates(language) if code in rows]
    numbers = {code: int(observed[rows[code]].sum()) for code in held}
    enough = max(numbers.get(language.partition("_")[0], 0) / 2, 1)
    known = [code for code in held if numbers[code] >= enough]
    return (known or held or [""])[0]
