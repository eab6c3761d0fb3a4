"""A study of edits that are not experts', and what it is told to choose and to measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import mechsteer as ms
from mechsteer.analysis import debiased_cka, probe_accuracy, translation_margin
from mechsteer.corpus import ParallelCorpus
from mechsteer.errors import CorpusError
from mechsteer.interventions import Edit
from mechsteer.interventions.edits import fingerprint
from mechsteer.model.load import load_model
from mechsteer.steering import embed_steered
from mechsteer.studies import bench
from mechsteer.studies.bench import ByTarget
from mechsteer.studies.quality import CHEAP, COSTLY, QUALITIES, qualities
from mechsteer.studies.states import measure

LANGUAGES = ("eng_Latn", "fra_Latn", "jpn_Jpan")
LAYER = 3


OPTIONS: dict[str, Any] = {
    "targets": ["fra_Latn", "jpn_Jpan"],
    "ks": [10, 40],
    "strengths": [0.5, 1.0],
    "seeds": [0],
    "tune": 10,
    "choose_at": "last",
    "only_chosen": True,
    "quality": True,
}


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def dev() -> ParallelCorpus:
    return ParallelCorpus.embedded("dev", languages=LANGUAGES).head(20)


@pytest.fixture(scope="module")
def test() -> ParallelCorpus:
    return ParallelCorpus.embedded("test", languages=LANGUAGES).head(20)


@pytest.fixture(scope="module")
def centre(model: Any, dev: ParallelCorpus) -> Edit:
    return ms.centring(model, ms.embed(model, dev), layers=LAYER)


@pytest.fixture(scope="module")
def edits(model: Any, dev: ParallelCorpus, centre: Edit) -> dict[str, Any]:
    x = ms.embed(model, dev)
    direction = ByTarget(lambda target: ms.diffmean(model, x, target=target, layers=LAYER))
    return {"clamp": ms.clamp, "DiffMean": direction, "centre inside": centre}


@pytest.fixture(scope="module")
def found(
    model: Any, dev: Any, test: Any, edits: dict[str, Any], tmp_path_factory: Any
) -> tuple[ms.Study, Path]:
    folder = tmp_path_factory.mktemp("study")
    study = ms.study(
        model, dev=dev, test=test, edits=edits, text=dev.head(2), directory=folder, **OPTIONS
    )
    return study, folder


def test_only_experts_have_a_k_and_a_random_control(found: tuple[ms.Study, Path]) -> None:
    results = found[0].results
    assert set(results["edit"]) == {
        "none", "centring", "clamp", "random clamp", "DiffMean", "centre inside",
    }  # fmt: skip
    assert set(results[results["edit"] == "DiffMean"]["k"]) == {0}
    assert set(results[results["edit"] == "DiffMean"]["language"]) == {"fra_Latn", "jpn_Jpan"}
    assert set(results[results["edit"] == "centre inside"]["language"]) == {""}
    assert set(found[0].experts["language"]) == {"fra_Latn", "jpn_Jpan"}


def test_every_dose_was_tried_on_dev_and_only_the_chosen_one_on_test(
    found: tuple[ms.Study, Path],
) -> None:
    study, _ = found
    tried = study.doses[study.doses["metric"] == "retrieval_top1"]
    doses = tried.groupby("edit")[["k", "strength"]].apply(lambda x: len(x.drop_duplicates()))
    assert doses.to_dict() == {"none": 1, "clamp": 4, "DiffMean": 2, "centre inside": 2}
    assert set(tried["n"]) == {10}
    assert set(tried["layer"]) == {study.best_layer, study.n_layers}
    for state in study.chosen:
        rows = study.results[study.results["edit"] == state.edit]
        assert set(rows["strength"]) == {state.strength}
        at_last = tried[(tried["edit"] == state.edit) & (tried["layer"] == study.n_layers)]
        mean = at_last.groupby(["k", "strength"])["value"].mean()
        assert mean[state.k, state.strength] == pytest.approx(mean.max(), abs=1e-12)


def test_an_edit_by_language_is_that_of_each_sentence(
    model: Any, test: Any, centre: Edit, found: tuple[ms.Study, Path]
) -> None:
    study, _ = found
    strength = next(state.strength for state in study.chosen if state.edit == "centre inside")
    expected = measure(embed_steered(model, test, centre.scaled(strength)))
    rows = study.results[
        (study.results["edit"] == "centre inside")
        & (study.results["source"] == "eng_Latn")
        & (study.results["target"] == "jpn_Jpan")
        & (study.results["metric"] == "retrieval_margin")
    ].set_index("layer")
    for layer in (study.best_layer, study.n_layers):
        value = expected.margin[layer, 0, 2].float().mean().item()
        assert rows.loc[layer, "value"] == pytest.approx(value, abs=1e-6)


def test_the_difference_to_centring_is_paired(found: tuple[ms.Study, Path]) -> None:
    rows = found[0].results
    rows = rows[(rows["source"] == "*") & (rows["target"] == "fra_Latn")]
    rows = rows[rows["language"].isin(["", "fra_Latn"])]
    rows = rows.set_index(["edit", "metric", "layer"])["value"].sort_index()
    layers = rows["clamp", "mexa"].index
    difference = rows["clamp", "mexa"][layers] - rows["centring", "mexa"][layers]
    pd.testing.assert_series_equal(
        rows["clamp", "mexa.vs_centring"], difference, check_names=False, atol=1e-6
    )
    assert ("random clamp", "mexa.vs_centring", 1) not in rows.index
    assert ("centring", "mexa.vs_centring", 1) not in rows.index


def test_qualities_are_those_of_the_metrics(model: Any, test: Any, found: Any) -> None:
    x = {language: each.double() for language, each in ms.embed(model, test).items()}
    study, _ = found
    rows = study.results[study.results["edit"] == "none"].set_index(["metric", "layer"])["value"]
    last = {language: each[study.n_layers] for language, each in x.items()}
    pairs = [("eng_Latn", "fra_Latn"), ("eng_Latn", "jpn_Jpan"), ("fra_Latn", "jpn_Jpan")]
    cka = sum(debiased_cka(last[s], last[t]) for s, t in pairs) / 3
    margin = sum(translation_margin(last[s], last[t]).mean() for s, t in pairs) / 3
    assert rows["cka_debiased", study.n_layers] == pytest.approx(cka, abs=1e-6)
    assert rows["translation_margin", study.n_layers] == pytest.approx(float(margin), abs=1e-6)
    assert rows["probe_accuracy", study.n_layers] == pytest.approx(probe_accuracy(last))
    assert set(rows["probe_accuracy"].index) == {study.best_layer, study.n_layers}
    measured = study.results[study.results["metric"] == "silhouette"]["edit"]
    assert set(measured) == {"none", "centring", "clamp", "DiffMean", "centre inside"}


def test_a_finished_study_of_any_edit_runs_no_model(
    model: Any, edits: Any, found: tuple[ms.Study, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was run again")

    for name in ("embed", "embed_steered"):
        monkeypatch.setattr(bench, name, forward)
    texts = {
        split: ParallelCorpus.embedded(split, languages=LANGUAGES).head(20)
        for split in ("dev", "test")
    }
    text = texts["dev"].head(2)
    again = ms.study(model, **texts, edits=edits, text=text, directory=found[1], **OPTIONS)
    pd.testing.assert_frame_equal(again.results, found[0].results)
    pd.testing.assert_frame_equal(again.doses, found[0].doses)


def test_equal_edits_have_one_fingerprint_and_no_other_has_it(model: Any, dev: Any) -> None:
    x = ms.embed(model, dev)
    fits = [
        ms.diffmean(model, x, target=target, layers=layer)
        for target in ("fra_Latn", "jpn_Jpan")
        for layer in (2, 3)
    ]
    several = [*fits, *(fit.scaled(0.5) for fit in fits)]
    assert len({fingerprint(edit) for edit in several}) == 8
    again = ms.diffmean(model, x, target="fra_Latn", layers=2)
    assert fingerprint(again) == fingerprint(fits[0])


@pytest.mark.parametrize("name", ["DiffMean", "centre inside"])
def test_a_study_without_experts_reads_as_a_page(
    model: Any, edits: Any, name: str, tmp_path: Path
) -> None:
    texts = {
        split: ParallelCorpus.embedded(split, languages=LANGUAGES).head(12)
        for split in ("dev", "test")
    }
    study = ms.study(model, **texts, targets=["fra_Latn"], edits={name: edits[name]}, seeds=())
    assert study.experts.empty
    assert {state.language for state in study.chosen} == {"fra_Latn"}
    page = ms.report(study, tmp_path / "page.html").read_text(encoding="utf-8")
    assert name in page


def test_too_few_sentences_to_tune_on_are_refused(model: Any, dev: Any, test: Any) -> None:
    for tune in (1, 21):
        with pytest.raises(CorpusError, match="2 to 20 sentences"):
            ms.study(model, dev=dev, test=test, tune=tune)


def test_costly_qualities_are_measured_where_asked() -> None:
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(3, 20, 8, generator=generator)
    x = {c: shared + torch.randn(3, 20, 8, generator=generator) for c in LANGUAGES}
    found = qualities(x, [1])
    rows = dict(zip(QUALITIES, found, strict=True))
    assert all(rows[name].isfinite().all() for name in CHEAP)
    assert all(rows[name].isfinite().tolist() == [False, True, False] for name in COSTLY)
