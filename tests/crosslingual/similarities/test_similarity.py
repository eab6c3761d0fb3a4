"""A study's pairs beside distances: planted likeness is found, what cannot be told is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mechsteer.crosslingual.similarities import (
    languages_of,
    read_characteristics,
    read_matrix,
    responses_of,
    similarity,
)
from mechsteer.crosslingual.similarities.singles import means_of
from mechsteer.errors import MechsteerError
from tests.crosslingual.similarities.made import LANGUAGES, N, near, rows, study


def test_responses_are_the_base_and_gains_at_the_chosen_dose() -> None:
    found = {response.name: response for response in responses_of(study())}
    assert list(found) == [
        "none: retrieval_top1 at best_layer",
        "none: mexa at best_layer",
        "clamp fra_Latn: retrieval_top1.delta at last_block",
    ]
    gain = found["clamp fra_Latn: retrieval_top1.delta at last_block"].values
    noise = np.random.default_rng(9).normal(size=(3, N, N))[1]
    np.testing.assert_allclose(gain[~np.eye(N, dtype=bool)], noise[~np.eye(N, dtype=bool)])
    assert languages_of(study()) == LANGUAGES


def test_planted_likeness_is_found_and_the_rest_is_said() -> None:
    given = {"planted": near(0), "other": near(1), "twin": 2 * near(0), "flat": np.ones((N, N))}
    found = similarity(study(), kinds=(), predictors=given, permutations=199)
    base = found.effects[found.effects["state"] == "none"].set_index("predictor")
    assert list(base.index) == ["planted", "other"]
    assert base.loc["planted", "r"] < -0.9
    assert base.loc["planted", "p_holm"] <= 0.02
    assert base.loc["planted", "share"] > 0.7
    assert base["r2_unseen"].iloc[0] > 0.7
    assert not found.effects.isna().any(axis=None)
    answers = found.answers().set_index("state")
    assert answers.loc["none", ["alone", "ranks", "together", "share"]].eq("planted").all()
    assert answers.loc["none", "agree"]
    assert [note.split(":")[1].strip() for note in found.notes[:2]] == ["twin", "flat"]
    assert "1 responses are the same for all pairs." in found.notes
    assert "planted 1" in found.sentences()[0]
    assert len(found.pairs) == 2 * N * (N - 1)
    assert found.brief()["planted"].iloc[0].endswith("%*")


def test_another_response_is_explained_too() -> None:
    transfer = 1 - near(1)
    given = {"a": near(1), "b": near(2)}
    responses = {"transfer": transfer}
    found = similarity(study(), kinds=(), predictors=given, responses=responses, permutations=19)
    own = found.effects[found.effects["metric"] == "transfer"]
    assert own["r2"].iloc[0] == pytest.approx(1)


def test_what_nothing_can_be_said_of_is_refused() -> None:
    whole = study()
    none = replace(whole, results=whole.results.assign(source="*"))
    with pytest.raises(MechsteerError, match="no single pairs"):
        similarity(none, kinds=())
    few = whole.results["source"].isin(LANGUAGES[:3]) & whole.results["target"].isin(LANGUAGES[:3])
    with pytest.raises(MechsteerError, match="five languages or more, got 3"):
        similarity(replace(whole, results=whole.results[few]), kinds=())
    with pytest.raises(MechsteerError, match="no predictor can be used"):
        similarity(whole, kinds=(), predictors={"flat": np.ones((N, N))})


@pytest.mark.parametrize(
    "text",
    ["source,target,value\nen,fr,0.5\nfr,en,0.25\n", ",eng_Latn,fr\nen,,0.5\nfra_Latn,0.25,\n"],
)
def test_matrices_are_read_by_code(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(text)
    found = read_matrix(tmp_path / "m.csv", ["fra_Latn", "eng_Latn", "deu_Latn"])
    assert found[1, 0] == 0.5
    assert found[0, 1] == 0.25
    assert np.isnan(found[2]).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a CSV"),
        ("a,b\n1,2\n", "square table"),
        ("source,target,value\nen,fr,x\n", "m.csv:2: expected a number"),
        ("source,target,value\nen,fr,inf\n", "expected a number"),
        ("source,target,value\nen,fr,1\neng_Latn,fra,1\n", "m.csv:3: expected each pair once"),
        ("source,target,value\nqqq,fr,1\n", "m.csv:2"),
        ("source,target,value\nde,ru,1\n", "has no pair of"),
    ],
)
def test_files_that_are_no_matrix_are_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(MechsteerError, match=words):
        read_matrix(tmp_path / "m.csv", ["fra_Latn", "eng_Latn"])
    with pytest.raises(MechsteerError, match="expected a CSV"):
        read_matrix(tmp_path / "none.csv", ["fra_Latn", "eng_Latn"])


def known() -> pd.DataFrame:
    share = -near(0).sum(1)
    return pd.DataFrame({"share": share, "order": ["SVO", "SOV"] * (N // 2), "name": LANGUAGES})


def test_characteristics_of_single_languages_explain_their_means() -> None:
    found = similarity(
        study(), kinds=(), predictors={"near": near(0)}, characteristics=known(), permutations=199
    )
    base = found.characteristics[found.characteristics["state"] == "none"]
    base = base.set_index("characteristic")
    assert base.loc["share", ["kind", "n_languages"]].tolist() == ["number", N]
    assert base.loc["share", "r"] > 0.8
    assert base.loc["share", "p_holm"] <= 0.05
    assert base.loc["order", "kind"] == "group"
    assert found.traits()["share"].iloc[0].endswith("%*")
    assert any(note.startswith("Left out: name: ") for note in found.notes)
    assert set(found.characteristics["state"]) == {"none", "clamp fra_Latn"}


def test_a_mean_is_over_known_pairs_in_both_orders() -> None:
    values = np.array([[9, 1, np.nan], [3, 9, np.nan], [np.nan, np.nan, 9.0]])
    np.testing.assert_array_equal(means_of(values), [2, 2, np.nan])


def test_sources_are_ranked_for_what_is_transferred() -> None:
    given = {"near": near(0), "other": near(1)}
    found = similarity(
        study(), kinds=(), predictors=given, responses={"transfer": 1 - near(0)}, permutations=19
    )
    ranked = found.rankings.set_index("ranking")
    assert set(found.rankings["state"]) == {"given"}
    assert ranked.loc["near", "ndcg"] == pytest.approx(1)
    assert ranked.loc["retrieval_top1 at best_layer", "lead_low"] > 0
    assert {"all together", "usual best", "random", "other"} <= set(ranked.index)
    assert found.best_sources()["near"].iloc[0] == "100.0%*"
    alone = similarity(study(), kinds=(), predictors=given, permutations=19)
    assert alone.rankings.empty


def test_a_ranking_that_cannot_be_judged_is_named() -> None:
    flat = np.where(np.arange(N) < 6, 0.5, near(0))
    found = similarity(
        study(), kinds=(), predictors={"near": near(0)}, responses={"t": flat}, permutations=19
    )
    assert found.rankings.empty
    assert any(note.startswith("No ranking of sources by given: t") for note in found.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("code,n\nfr,1\n", "a column language"),
        ("language\nfr\n", "a column language"),
        ("language,n,n\nfr,1,2\n", "each name once"),
        ("language,n\nfr,1\nfra,2\n", "m.csv:3: expected each language once, got fra_Latn"),
        ("language,n\nqqq,1\n", "m.csv:2: "),
        ("language,n\nfr,1,2\n", "m.csv:2: expected 2 cells, got 3"),
        ("language,n\nis,1\n", "has none of"),
        ("", "a column language"),
    ],
)
def test_characteristics_that_cannot_be_read_are_refused(
    text: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(MechsteerError, match=words):
        read_characteristics(tmp_path / "m.csv", LANGUAGES)
    with pytest.raises(MechsteerError, match="cannot read"):
        read_characteristics(tmp_path / "none.csv", LANGUAGES)


def test_characteristics_are_read_by_code_and_missing_is_missing(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("n,language,g\n3,fr,a\n,en,\n-1.5,ell_Grek,4\n")
    found = read_characteristics(
        tmp_path / "m.csv", ["eng_Latn", "fra_Latn", "deu_Latn", "ell_Grek"]
    )
    assert found["n"].isna().tolist() == [True, False, True, False]
    assert found["n"].dropna().tolist() == [3, -1.5]
    assert found["g"].dropna().tolist() == ["a", "4"]
    with pytest.raises(MechsteerError, match="one row for each of 8"):
        similarity(study(), kinds=(), predictors={"near": near(0)}, characteristics=found)


@pytest.mark.parametrize("name", ["m.csv", "m.tsv"])
@pytest.mark.parametrize("corner", [True, False])
def test_square_tables_may_be_ordered_and_named_in_any_way(
    name: str, corner: bool, tmp_path: Path
) -> None:
    gap = "\t" if name.endswith("tsv") else ","
    table = pd.DataFrame(near(0), LANGUAGES, LANGUAGES).iloc[::-1, [3, 1, 0, 2, 7, 6, 5]]
    text = table.to_csv(sep=gap)
    (tmp_path / name).write_text(text if corner else text.lstrip(gap))
    found = read_matrix(tmp_path / name, LANGUAGES)
    expected = near(0)
    expected[:, 4] = np.nan  # a column that the table lacks
    np.testing.assert_allclose(found, expected)


def test_one_row_a_pair_may_have_other_columns(tmp_path: Path) -> None:
    long = rows(near(0), kind="base", metric="accuracy", layer=3)[
        ["source", "target", "value", "layer"]
    ]
    long.to_csv(tmp_path / "one.csv")
    found = read_matrix(tmp_path / "one.csv", LANGUAGES)
    np.testing.assert_allclose(found[~np.eye(N, dtype=bool)], near(0)[~np.eye(N, dtype=bool)])
    pd.concat([long, long.assign(layer=4)]).to_csv(tmp_path / "two.csv")
    with pytest.raises(MechsteerError, match=r"each pair once, got .* again; keep one layer"):
        read_matrix(tmp_path / "two.csv", LANGUAGES)
