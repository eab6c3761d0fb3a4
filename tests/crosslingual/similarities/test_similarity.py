"""A study's pairs beside distances: planted likeness is found, what cannot be told is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mechsteer.crosslingual.similarities import languages_of, read_matrix, responses_of, similarity
from mechsteer.errors import MechsteerError
from tests.crosslingual.similarities.made import LANGUAGES, N, near, study


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
