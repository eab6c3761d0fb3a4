"""Are xlanalysis5k's distances those of URIEL's vectors, and what is it where they are not?"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import least_squares

from mechsteer.typology import PublishedPairs
from mechsteer.typology.catalogue import directions, geo_vectors, globe_points, kilometres
from mechsteer.typology.features import PREFIXES, cosine_distances
from mechsteer.typology.folder import arrays, table

ROUNDED = 5.1e-5  # the study gives four decimals
KINDS = ("syntactic", "phonological", "inventory")
Vectors = Float[np.ndarray, "language feature"]


def plain(name: str) -> str:
    """A name as the study's pairs spell it: without diacritics, with straight apostrophes."""
    parts = unicodedata.normalize("NFKD", name.replace("\u2019", "'"))
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def joined_codes(published: PublishedPairs) -> tuple[str, ...]:
    """The codes that names have when both columns are sorted and joined by position."""
    names = [plain(name) for name in published.measures.languages]
    by_place = dict(zip(sorted(names), published.codes, strict=True))
    return tuple(by_place[name] for name in names)


def uriel_vectors(folder: Path, kind: str, codes: Sequence[str]) -> Vectors:
    """``lang2vec``'s imputed vectors of ISO codes."""
    held = arrays(folder / "uriel/feature_predictions.npz")
    rows = {str(code): row for row, code in enumerate(held["langs"])}
    columns = np.array([str(name).startswith(PREFIXES[kind]) for name in held["feats"]])
    return held["data"][[rows[code] for code in codes]][:, columns, 0].astype(float)


def places(folder: Path, codes: Sequence[str]) -> Float[np.ndarray, "language 2"]:
    """Latitude and longitude in Glottolog; NaN where it has none."""
    rows = table(folder / "glottolog/languages.csv.gz", ("ISO639P3code", "Latitude", "Longitude"))
    known = {c: (a, b) for c, a, b in rows.itertuples(index=False) if c}
    numbers = [known.get(code, ("", "")) for code in codes]
    return np.array([[float(x or "nan") for x in pair] for pair in numbers])


def agreement(folder: Path, published: PublishedPairs) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How many pairs equal the study's under each reading, and every language that differs."""
    joined, listed = joined_codes(published), published.codes
    rows, notes = [], _shifted(published, joined) + wrong_families(folder, published)
    for kind in KINDS:
        given = _given(published, kind)
        for reading, codes in (("codes as listed", listed), ("codes as joined", joined)):
            vectors = uriel_vectors(folder, kind, codes)
            rows.append(_row(kind, reading, cosine_distances(vectors), given))
    given, degrees = _given(published, "geographic"), places(folder, joined)
    fitted, moved = _fitted(degrees, given)
    for reading, where in (("Glottolog's places", degrees), ("places as fitted", fitted)):
        distances = cosine_distances(geo_vectors(directions(*where.T)))
        rows.append(_row("geographic", reading, distances, given))
    away = kilometres(directions(*np.concatenate([degrees, fitted]).T))
    for place in moved:
        name, n = published.measures.languages[place], len(fitted)
        told = "{:.2f}, {:.2f}".format(*fitted[place])
        reason = "not in Glottolog" if np.isnan(degrees[place, 0]) else "moved in Glottolog since"
        notes.append((name, listed[place], "geographic", reason, told, away[place, n + place]))
    columns = ["language", "code", "measures", "reason", "the distances show", "kilometres"]
    return pd.DataFrame(rows), pd.DataFrame(notes, columns=columns)


def _given(published: PublishedPairs, kind: str) -> Float[np.ndarray, "language language"]:
    return np.asarray(published.measures.values[f"{kind.title()} Distance (lang2vec)"])


def _row(kind: str, reading: str, own: np.ndarray, given: np.ndarray) -> dict[str, object]:
    upper = np.triu_indices(len(given), 1)
    apart = np.abs(own - given)[upper]
    equal = int((apart <= ROUNDED).sum())
    return {
        "measure": kind,
        "reading": reading,
        "pairs": apart.size,
        "unknown": int(np.isnan(apart).sum()),
        "equal": equal,
        "share": equal / apart.size,
    }


def _shifted(published: PublishedPairs, joined: Sequence[str]) -> list[tuple[object, ...]]:
    """Languages whose code stands at another name once both columns are joined by position."""
    told = zip(published.measures.languages, published.codes, joined, strict=True)
    reason = "names sorted in two ways, codes joined by position"
    return [(n, own, "all four", reason, other, None) for n, own, other in told if own != other]


def wrong_families(folder: Path, published: PublishedPairs) -> list[tuple[object, ...]]:
    """Languages whose code is one of another family, by WALS, than the study's table says.

    The published distances stand for that other language: they equal its vectors'.
    """
    rows = table(folder / "wals/languages.csv.gz", ("ISO639P3code", "Name", "Family"))
    known = {code: (name, family) for code, name, family in rows.itertuples(index=False) if code}
    families = set(rows["Family"])
    found: list[tuple[object, ...]] = []
    for name, code, said in zip(
        published.measures.languages, published.codes, published.languages["Family"], strict=True
    ):
        other, family = known.get(code, ("", said))
        if family != said and said in families:
            found.append((name, code, "all four", f"the code is of {family}", other, None))
    return found


def _fitted(
    degrees: Float[np.ndarray, "language 2"], given: Float[np.ndarray, "language language"]
) -> tuple[Float[np.ndarray, "language 2"], list[int]]:
    """Places that the published distances show, of languages that are elsewhere in Glottolog.

    Languages agree that have most of their distances in common; each other one gets the place on
    the globe that fits its distances to those best.
    """
    own = cosine_distances(geo_vectors(directions(*degrees.T)))
    equal = np.abs(own - given) <= ROUNDED
    firm = list(range(len(given)))
    while (shares := equal[np.ix_(firm, firm)].sum(axis=1) / (len(firm) - 1)).min() < 1:
        firm.pop(int(shares.argmin()))
    moved = [place for place in range(len(given)) if place not in firm]
    fitted = degrees.copy()
    anchors = geo_vectors(directions(*degrees[firm].T))
    for place in moved:
        fitted[place] = _locate(anchors, given[place, firm])
    return fitted, moved


def _locate(
    anchors: Float[np.ndarray, "anchor point"], distances: Float[np.ndarray, " anchor"]
) -> Float[np.ndarray, " 2"]:
    units = anchors / np.linalg.norm(anchors, axis=1, keepdims=True)

    def off(at: np.ndarray) -> np.ndarray:
        vector = np.arccos(np.clip(directions(at[:1], at[1:])[0] @ globe_points().T, -1, 1)) / np.pi
        return 1 - units @ vector / np.linalg.norm(vector) - distances

    starts = np.stack(np.meshgrid(np.arange(-75.0, 90.0, 15.0), np.arange(-180.0, 180.0, 20.0)), -1)
    best = min(starts.reshape(-1, 2), key=lambda at: float((off(at) ** 2).sum()))
    return np.asarray(least_squares(off, best, xtol=1e-12, ftol=1e-12).x)
