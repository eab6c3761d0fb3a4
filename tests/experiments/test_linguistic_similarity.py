"""What explains layers, on matrices made of known distances; and the slips of xlanalysis5k."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.linguistic_similarity.explained import ranked
from experiments.linguistic_similarity.layers import of_model
from experiments.linguistic_similarity.published_distances import agreement
from experiments.linguistic_similarity.run import main
from mechsteer.corpus.names.languages import canonical
from mechsteer.errors import CorpusError
from mechsteer.typology import distances, read_published_pairs

CODES = (
    "fra", "deu", "spa", "rus", "fin", "tur", "hin", "cmn_Hani", "jpn", "kor", "vie", "ind",
    "swh", "ell", "heb", "tam", "hun", "pol",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Layer 0 follows script, layer 1 syntax; both with noise, codes in another convention."""
    folder = tmp_path_factory.mktemp("made") / "other-model_flores200"
    folder.mkdir()
    by = distances(CODES, kinds=["script", "syntactic"], data=data_root).values
    generator = np.random.default_rng(0)
    for layer, kind in enumerate(by):
        noise = generator.normal(scale=0.02, size=(len(CODES), len(CODES)))
        cosines = pd.DataFrame(0.8 - by[kind] + (noise + noise.T) / 2, index=CODES, columns=CODES)
        np.fill_diagonal(values := cosines.to_numpy(copy=True), np.nan)
        pd.DataFrame(values, CODES, CODES).to_csv(folder / f"sents_layer{layer}.tsv", sep="\t")
    return folder


def test_a_layer_is_explained_by_what_made_it(made: Path, data_root: Path) -> None:
    table, read = of_model(made, data_root, permutations=99)
    assert read.loc[0, ["model", "layers", "languages"]].tolist() == ["other-model", 2, 18]
    for definition, part in table.groupby("definition"):
        shares = part.pivot(index="layer", columns="predictor", values="share")
        assert shares.idxmax(axis=1).tolist() == ["script", "syntactic"], definition
        sure = part[part["p"] <= 0.05].groupby("layer")["predictor"].apply(set)
        assert "script" in sure[0] and "syntactic" in sure[1]
    assert not table.isna().any().any()


def test_ranks_are_shares_of_the_known_pairs() -> None:
    matrix = np.array([[np.nan, 3, 1], [3, np.nan, np.nan], [1, np.nan, np.nan]])
    np.testing.assert_array_equal(
        ranked(matrix), [[np.nan, 1, 0.5], [1, np.nan, np.nan], [0.5, np.nan, np.nan]]
    )


def test_every_difference_from_the_published_distances_has_a_reason(data_root: Path) -> None:
    folder = data_root / "typology"
    found, reasons = agreement(folder, read_published_pairs(folder / "published/xlanalysis5k"))
    shares = found.set_index(["measure", "reading"])["share"]
    for kind in ("syntactic", "phonological", "inventory"):
        assert shares[kind, "codes as joined"] == 1.0
    assert shares["geographic", "places as fitted"] > 0.99
    moved = reasons[reasons["measures"] == "geographic"].set_index("language")
    assert moved.loc["Russian", "the distances show"] == "53.92, 72.39"  # lang2vec's own
    assert (
        reasons["code"].isin({"kab", "kan", "quc", "shn"}) | reasons["kilometres"].notna()
    ).sum() == len(reasons) - 1  # Jakalteko has no place in Glottolog to be away from


def _layers(folder: Path, values: list[np.ndarray], codes: Sequence[str] = CODES) -> Path:
    folder.mkdir()
    for layer, matrix in enumerate(values):
        pd.DataFrame(matrix, codes, codes).to_csv(folder / f"layer_{layer}.csv")
    return folder


def _random(seed: int, n: int = len(CODES)) -> np.ndarray:
    half = np.random.default_rng(seed).uniform(0.2, 0.9, size=(n, n))
    return (half + half.T) / 2


def test_gaps_halves_and_a_constant_layer_are_handled_and_named(
    data_root: Path, tmp_path: Path
) -> None:
    values = [_random(layer) for layer in range(5)]
    values[0] = np.full_like(values[0], 0.99)  # equal at the embedding
    values[1][0, 1] = values[1][1, 0] = np.nan
    values[2] = np.where(np.tri(len(CODES), k=-1, dtype=bool), values[2], np.nan)
    values[3][0, 1] += 0.05
    for matrix in values:
        matrix[:, 2] = matrix[2] = np.nan  # Spanish was never measured
    table, read = of_model(_layers(tmp_path / "deep", values), data_root, permutations=19)
    assert sorted(set(table["layer"])) == [1, 2, 3, 4]
    assert not table.isna().any().any()
    assert "spa_Latn" in read.loc[0, "left_out"].split()
    for note in ("all pairs are equal at layer 0", "asymmetric at 1 of 5", "not measured"):
        assert note in read.loc[0, "notes"]
    half = table[(table["layer"] == 2) & (table["definition"] == "cosine")]
    assert half["n_pairs"].iloc[0] == table["n_pairs"].max()


def test_some_languages_alone_and_distances_that_these_cannot_tell(
    made: Path, data_root: Path
) -> None:
    latin = [canonical(code) for code in CODES if canonical(code).endswith("Latn")]
    table, read = of_model(made, data_root, permutations=19, only=latin, name="latin")
    assert set(table["model"]) == {"latin"}
    assert "script" in read.loc[0, "constant"].split()
    assert read.loc[0, "languages"] == len(latin)
    with pytest.raises(CorpusError, match="got isl_Latn"):
        of_model(made, data_root, permutations=19, only=["isl_Latn"])


def test_what_explains_nothing_is_refused_in_one_line(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = _layers(tmp_path / "flat", [np.full((len(CODES), len(CODES)), 0.5)])
    few = _layers(tmp_path / "few", [_random(0, 4)], CODES[:4])
    apart = _random(1)
    np.fill_diagonal(apart, 0.0)
    for folder, words in (
        (flat, "equally similar at every layer"),
        (few, "languages or more"),
        (_layers(tmp_path / "apart", [apart]), "expected similarities, got distances"),
        (tmp_path / "absent", "no folder"),
    ):
        with pytest.raises(SystemExit):
            main([str(folder), "--data", str(data_root), "-o", str(tmp_path / "out")])
        assert words in capsys.readouterr().err
