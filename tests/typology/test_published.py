"""Pairs of a published study: names that are parted, and distances that are lang2vec's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mechsteer.errors import CorpusError
from mechsteer.typology import PublishedPairs, read_published_pairs, split_pair
from mechsteer.typology.features import PREFIXES, cosine_distances
from mechsteer.typology.folder import arrays

NAMES = (
    "Thai", "Thai (tokenised)", "Chinese", "Chinese (tokenised)", "K\u2019iche\u2019",
    "K\u2019iche\u2019 (SIL orthography)", "Romani", "Romanian", "Barasana-Eduria",
    "Haitian Creole", "Cabécar", "English", "English (WEB translation)",
)  # fmt: skip


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("Thai-Chinese", ("Thai", "Chinese")),
        ("Thai-tok-Chinese", ("Thai (tokenised)", "Chinese")),
        ("Thai-Chinese-tok", ("Thai", "Chinese (tokenised)")),
        ("Thai-tok-Thai", ("Thai (tokenised)", "Thai")),
        ("K'iche'-SIL-K'iche'", ("K\u2019iche\u2019 (SIL orthography)", "K\u2019iche\u2019")),
        ("Romani-Romanian", ("Romani", "Romanian")),
        ("Barasana-Creole", ("Barasana-Eduria", "Haitian Creole")),
        ("Cabecar-English-WEB", ("Cabécar", "English (WEB translation)")),
    ],
)
def test_a_pair_is_parted_where_least_is_left_unsaid(pair: str, expected: tuple[str, str]) -> None:
    assert split_pair(pair, NAMES) == expected


@pytest.mark.parametrize("pair", ["Thai", "Thai-Klingon", "Thai-Thai", "-", "tok-tok", ""])
def test_what_names_no_two_languages_is_refused(pair: str) -> None:
    with pytest.raises(CorpusError, match="expected two of the study's 13 languages"):
        split_pair(pair, NAMES)


def test_a_table_with_a_bad_number_or_a_pair_twice_is_refused(tmp_path: Path) -> None:
    languages = "ISO 639-3,Language\ntha,Thai\nron,Romanian\neng,English\n"
    (tmp_path / "bible_all_features_LANGUAGE.csv").write_text(languages)
    dependent = tmp_path / "bible_dependent_vars_LANGUAGE_PAIR.csv"
    dependent.write_text("Language pair,F1\nThai-English,0.5\n")
    predictors = tmp_path / "bible_predictors_LANGUAGE_PAIR.csv"
    predictors.write_text("Language pair,Geo\nThai-English,0.5\nThai-Romanian,\n")
    found = read_published_pairs(tmp_path)
    assert found.measures.values["Geo"][0, 2] == found.measures.values["Geo"][2, 0] == 0.5
    assert np.isnan(found.measures.values["Geo"][0, 1])
    predictors.write_text("Language pair,Geo\nThai-English,far\n")
    with pytest.raises(CorpusError, match="expected numbers in 'Geo', got 'far'"):
        read_published_pairs(tmp_path)
    predictors.write_text("Language pair,Geo\nThai-English,0.5\nEnglish-Thai,0.5\n")
    with pytest.raises(CorpusError, match="expected each pair once"):
        read_published_pairs(tmp_path)


@pytest.fixture(scope="module")
def published(data_root: Path) -> PublishedPairs:
    return read_published_pairs(data_root / "typology/published/xlanalysis5k")


def test_every_pair_of_the_study_is_read(published: PublishedPairs) -> None:
    assert len(published.codes) == 101
    for matrix in published.measures.values.values():
        assert np.isnan(matrix).sum() == 101  # the diagonal


@pytest.mark.parametrize("kind", ["syntactic", "phonological", "inventory"])
def test_its_distances_are_those_of_lang2vecs_vectors(
    kind: str, published: PublishedPairs, data_root: Path
) -> None:
    """Exactly, once each of two codes that the study shifted by spelling is back at its name.

    The pairs spell four languages so that they sort before ``Kabyle``; the table so that they sort
    behind ``Kannada``. Their codes were joined by position.
    """
    names, codes = published.measures.languages, published.codes
    plain = [pd.Series(name).str.normalize("NFKD")[0].replace("\u2019", "'") for name in names]
    as_joined = dict(zip(sorted(plain), codes, strict=True))
    uriel = arrays(data_root / "typology/uriel/feature_predictions.npz")
    columns = np.array([name.startswith(PREFIXES[kind]) for name in uriel["feats"]])
    rows = {code: row for row, code in enumerate(uriel["langs"])}
    given = published.measures.values[f"{kind.title()} Distance (lang2vec)"]
    upper = np.triu_indices(len(names), 1)
    equal = {}
    for rule, chosen in {"table": codes, "joined": [as_joined[name] for name in plain]}.items():
        vectors = uriel["data"][[rows[code] for code in chosen]][:, columns, 0].astype(float)
        apart = np.abs(cosine_distances(vectors) - given)[upper]
        equal[rule] = (apart <= 5.1e-5).mean()
    assert equal["joined"] == 1.0
    assert equal["table"] == pytest.approx(4658 / 5050)  # all pairs of the four but a few
