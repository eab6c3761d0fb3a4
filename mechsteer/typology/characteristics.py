"""What is known of single languages: family and its size, place, word order, features known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mechsteer.corpus.names.languages import canonical, script_of
from mechsteer.typology import features, words
from mechsteer.typology.catalogue import Entry, glottolog
from mechsteer.typology.codes import first_in
from mechsteer.typology.folder import part, table, typology_folder

_ORDER = "Order of Subject, Object and Verb"


def characteristics(languages: Sequence[str], *, data: Path | None = None) -> pd.DataFrame:
    """One row a language, in the order given; what is not known is missing.

    Columns: ``language`` (canonical), ``name``, ``script``, ``family`` and ``family_size``
    (languages of it in Glottolog), ``word_order`` (WALS 81A), ``latitude``, ``longitude``,
    ``features_known`` (share of URIEL's 289 features), and under which entry it was found:
    ``uriel``, ``glottocode``, ``word_list``.

    Raises:
        CorpusError: A language is unknown, or databases are missing or damaged.
    """
    names = tuple(canonical(code) for code in languages)
    folder = typology_folder(data)
    entries = glottolog(folder, names)
    vectors = features.uriel(folder, names, "featural")
    orders, lists = _word_orders(folder), words.word_lists(folder, names)
    rows = []
    for place, name in enumerate(names):
        code = vectors.codes[place]
        rows.append(
            {"language": name, "script": script_of(name)}
            | _entered(entries.get(name))
            | {
                "word_order": orders.get(first_in(name, orders) or ""),
                "features_known": float(vectors.known[place].mean()) if code else None,
                "uriel": code or None,
                "word_list": lists[name].name if name in lists else None,
            }
        )
    numbers = ("family_size", "latitude", "longitude", "features_known")
    return pd.DataFrame(rows).astype(dict.fromkeys(numbers, "Float64"))


def _entered(entry: Entry | None) -> dict[str, object]:
    fields = ("name", "family", "family_size", "latitude", "longitude", "glottocode")
    found = {field: getattr(entry, field, None) for field in fields}
    return {
        field: None if pd.isna(value) or value == "" else value for field, value in found.items()
    }


def _word_orders(folder: Path) -> dict[str, str]:
    rows = table(part(folder, "wals/wals_wide.csv.gz"), ("ISO", _ORDER))
    known = rows[(rows["ISO"] != "") & (rows[_ORDER] != "")]
    return dict(zip(known["ISO"], known[_ORDER], strict=True))
