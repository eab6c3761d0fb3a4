"""Distances of languages against values that others computed from the same databases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mechsteer.corpus.names.languages import canonical
from mechsteer.errors import CorpusError
from mechsteer.typology import ALL, PairMeasures, characteristics, distances

REFERENCE = ("syntactic", "phonological", "inventory", "featural", "genetic", "lexical")


@pytest.fixture(scope="module")
def reference(data_root: Path) -> pd.DataFrame:
    frame = pd.read_csv(data_root / "typology" / "distances.csv")
    return frame.rename(columns={"lexical_ldnd": "lexical"})


@pytest.fixture(scope="module")
def measured(reference: pd.DataFrame, data_root: Path) -> PairMeasures:
    return distances(sorted({*reference["lang1"], *reference["lang2"]}), data=data_root)


@pytest.mark.parametrize("kind", REFERENCE)
def test_distances_are_those_of_lang2vecs_vectors_and_of_ldnd(
    kind: str, reference: pd.DataFrame, measured: PairMeasures
) -> None:
    at = {name: place for place, name in enumerate(measured.languages)}
    rows, columns = (
        [at[canonical(code)] for code in reference[side]] for side in ("lang1", "lang2")
    )
    np.testing.assert_allclose(measured.values[kind][rows, columns], reference[kind], atol=5.1e-5)


def test_every_measure_is_a_symmetric_matrix_with_its_coverage(measured: PairMeasures) -> None:
    assert tuple(measured.values) == tuple(measured.coverage) == ALL
    for name, matrix in measured.values.items():
        np.testing.assert_array_equal(matrix, matrix.T)
        assert set(np.diag(matrix)[np.isfinite(np.diag(matrix))]) == {0.0}, name
        share = measured.coverage[name]
        assert ((share >= 0) & (share <= 1)).all()


def test_what_is_not_known_is_missing(data_root: Path) -> None:
    found = distances(["fra_Latn", "eus_Latn"], kinds=["genetic", "syntactic"], data=data_root)
    table = found.table().set_index(["language", "other", "measure"])
    # URIEL knows no family of Basque
    assert pd.isna(table.loc[("fra_Latn", "eus_Latn", "genetic"), "value"])
    assert table.loc[("fra_Latn", "eus_Latn", "genetic"), "coverage"] == 0
    assert not np.isnan(table["value"].dropna().to_numpy(dtype=float)).any()


def test_other_conventions_of_codes_mean_the_same_language(data_root: Path) -> None:
    kinds = ("syntactic", "genetic", "lexical")
    one = distances(["cmn_Hani", "ekk_Latn", "lav"], kinds=kinds, data=data_root)
    other = distances(["zho_Hans", "est", "lvs_Latn"], kinds=kinds, data=data_root)
    assert one.languages == other.languages
    for kind in kinds:
        np.testing.assert_array_equal(one.values[kind], other.values[kind])
        assert np.isfinite(one.values[kind]).all()


def test_too_little_coverage_can_be_left_out(measured: PairMeasures) -> None:
    strict = measured.known(0.5)
    kept = np.isfinite(strict.values["phonological"])
    np.testing.assert_array_equal(kept, measured.coverage["phonological"] >= 0.5)
    with pytest.raises(CorpusError, match="coverage from 0 to 1, got 2"):
        measured.known(2)


def test_scripts_need_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MECHSTEER_DATA", raising=False)
    found = distances(["fr", "de", "ru"], kinds=["script"])
    assert found.values["script"].tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]


def test_without_data_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MECHSTEER_DATA", raising=False)
    with pytest.raises(CorpusError, match="set MECHSTEER_DATA=FOLDER"):
        distances(["fr", "de"])
    with pytest.raises(CorpusError, match="expected typology/uriel"):
        distances(["fr", "de"], data=tmp_path)


@pytest.mark.parametrize(
    ("languages", "kinds", "said"),
    [
        (["fr"], ALL, "two or more languages, got 1"),
        (["fr", "fra_Latn"], ALL, "fr, fra_Latn all mean fra_Latn"),
        (["fr", "Klingonish"], ALL, "unknown language"),
        (["fr", "de"], ["syntax"], "unknown measure 'syntax': expected one of genetic"),
    ],
)
def test_what_is_refused(languages: list[str], kinds: list[str], said: str) -> None:
    with pytest.raises(CorpusError, match=said):
        distances(languages, kinds=kinds)


def test_artificial_languages_are_no_family(data_root: Path) -> None:
    found = distances(["lfn_Latn", "epo_Latn", "fra_Latn"], kinds=["family"], data=data_root)
    assert np.isnan(found.values["family"][:2]).all()
    known = characteristics(["epo", "eus", "nno"], data=data_root).set_index("language")
    assert known["family_size"].isna().tolist() == [True, False, False]
    assert known.loc["eus_Latn", ["family", "family_size", "word_order"]].tolist() == [
        "Basque", 1, "SOV",
    ]  # fmt: skip
    assert known.loc["nno_Latn", "uriel"] == "nor"  # of Nynorsk itself nothing is known
