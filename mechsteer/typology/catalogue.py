"""What Glottolog says of languages: family, coordinates; and where they lie from each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mechsteer.typology.codes import first_in
from mechsteer.typology.folder import arrays, part, table

_COLUMNS = ("Glottocode", "Name", "Level", "ISO639P3code", "Family_ID", "Latitude", "Longitude")
# Glottolog's drawers for languages that are not related by being there.
_NO_FAMILY = frozenset({
    "arti1236", "book1242", "mixe1287", "pidg1258", "sign1238", "spee1234", "unat1236", "uncl1493",
})  # fmt: skip
_POINTS = 299  # URIEL's points on the globe
_GOLDEN = (1 + 5**0.5) / 2
_RADIUS = 6371.0088  # kilometres, IUGG mean


@dataclass(frozen=True)
class Entry:
    """A language in Glottolog; an isolate is a family of its own.

    Artificial, mixed, signed and unclassifiable languages have no family: an empty name, no size.
    """

    iso: str
    glottocode: str
    name: str
    family: str
    family_size: int | None
    latitude: float
    longitude: float


def glottolog(folder: Path, languages: tuple[str, ...]) -> Mapping[str, Entry]:
    """Entries by canonical name, of the languages that Glottolog has.

    Raises:
        CorpusError: The file is missing or damaged.
    """
    rows = table(part(folder, "glottolog/languages.csv.gz"), _COLUMNS)
    names = dict(zip(rows["Glottocode"], rows["Name"], strict=True))
    with_iso = rows[rows["ISO639P3code"] != ""]
    places = {code: at for at, code in enumerate(with_iso["ISO639P3code"])}
    is_language = rows["Level"] == "language"
    sizes = Counter(rows.loc[is_language & (rows["Family_ID"] != ""), "Family_ID"])
    found = {name: first_in(name, places) for name in languages}
    return {
        name: _entry({str(k): v for k, v in with_iso.iloc[places[code]].items()}, names, sizes)
        for name, code in found.items()
        if code
    }


def _entry(row: dict[str, str], names: dict[str, str], sizes: Counter[str]) -> Entry:
    family = row["Family_ID"] or row["Glottocode"]
    return Entry(
        iso=row["ISO639P3code"],
        glottocode=row["Glottocode"],
        name=row["Name"],
        family="" if family in _NO_FAMILY else names.get(family, family),
        family_size=None if family in _NO_FAMILY else sizes[family] or 1,
        latitude=float(row["Latitude"] or "nan"),
        longitude=float(row["Longitude"] or "nan"),
    )


def directions(
    latitude: Float[np.ndarray, "*place"], longitude: Float[np.ndarray, "*place"]
) -> Float[np.ndarray, "*place 3"]:
    """Unit vectors of points on the globe, given in degrees."""
    a, b = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)], axis=-1)


def globe_points() -> Float[np.ndarray, "point 3"]:
    """URIEL's 299 points, a Fibonacci lattice: the names of its ``GC_`` features, unrounded."""
    number = np.arange(1, _POINTS + 1)
    latitude = np.degrees(np.arcsin(2 * number / _POINTS - 1))
    return directions(latitude, number * 360 / _GOLDEN % 360 - 180)


def geo_vectors(places: Float[np.ndarray, "language 3"]) -> Float[np.ndarray, "language point"]:
    """URIEL's ``geo`` vectors: great-circle distances to its points in half circumferences.

    They are rounded to four decimals, as URIEL's are.
    """
    angles = np.arccos(np.clip(places @ globe_points().T, -1, 1))
    return np.asarray(np.round(angles / np.pi, 4))


def uriel_geo(
    folder: Path, languages: tuple[str, ...], places: Float[np.ndarray, "language 3"]
) -> Float[np.ndarray, "language point"]:
    """``geo`` vectors of ``lang2vec`` where its file lies beside URIEL's, else from Glottolog.

    Glottolog has moved a sixth of the languages since URIEL was made.
    """
    file = folder / "uriel" / "geocoord_features.npz"
    if not file.is_file():
        return geo_vectors(places)
    held = arrays(file)
    rows = {str(code): row for row, code in enumerate(held["langs"])}
    values = np.full((len(languages), held["data"].shape[1]), np.nan)
    for place, language in enumerate(languages):
        if code := first_in(language, rows):
            values[place] = held["data"][rows[code], :, 0]
    return values


def kilometres(places: Float[np.ndarray, "language 3"]) -> Float[np.ndarray, "language language"]:
    """Great-circle distances; NaN where a place is unknown.

    >>> poles = directions(np.array([90.0, -90.0]), np.array([0.0, 0.0]))
    >>> round(float(kilometres(poles)[0, 1]))
    20015
    """
    chords = np.linalg.norm(places[:, None] - places[None], axis=-1)
    return np.asarray(2 * _RADIUS * np.arcsin(np.clip(chords / 2, 0, 1)))
