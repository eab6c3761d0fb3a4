"""What explains layers, on matrices made of known distances; and the slips of xlanalysis5k."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.linguistic_similarity.explained import ranked
from experiments.linguistic_similarity.layers import of_model
from experiments.linguistic_similarity.published_distances import agreement
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
