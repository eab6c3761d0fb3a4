"""What a study tries, chooses and measures, told from outside on made-up embeddings."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch
from torch import Tensor

from mechsteer.analysis import choose_k, largest_dimensions, standardisation, without_dimensions
from mechsteer.corpus import ParallelCorpus
from mechsteer.errors import CorpusError, CorpusWarning, MechsteerError
from mechsteer.interventions import Edit, clamp
from mechsteer.interventions.edits import fingerprint
from mechsteer.studies.conditions import BASE, CENTRING, Condition
from mechsteer.studies.doses import mean_top1
from mechsteer.studies.edit_factory import ByTarget, EditFactory
from mechsteer.studies.measurements import measure
from tests.made import LANGUAGES, made_scores
from tests.studies.made import LAYERS, Model, N, made_study, renamed, space, text

KEYS = ["kind", "edit", "language", "k", "strength", "seed"]


def conditions(frame: pd.DataFrame) -> set[tuple]:
    return set(frame[KEYS].itertuples(index=False, name=None))


def test_a_study_holds_every_condition_once_and_no_cell_of_its_name_is_missing() -> None:
    study = made_study(ks=[4, 9], strengths=[0.5, 1.0], seeds=[0, 1])
    (chosen,) = study.chosen
    edits = {("edit", "clamp", "fra_Latn", k, s, -1) for k in (4, 9) for s in (0.5, 1.0)}
    drawn = {("random", "clamp", "fra_Latn", chosen.k, chosen.strength, seed) for seed in (0, 1)}
    kinds = ("base", "centring", "dimensions", "standardisation")
    plain = {(kind, "", "", 0, 1.0, -1) for kind in kinds}
    assert conditions(study.results) == edits | drawn | plain
    assert study.results[KEYS].notna().all(axis=None)
    assert study.results["value"].notna().all()
    assert conditions(study.hubness) == edits | drawn | plain


def test_ks_that_are_one_number_of_neurons_are_tried_once() -> None:
    study = made_study(ks=[3, 0.1, 3])  # a tenth of 30 neurons
    assert set(study.doses["kind"]) == {"base"}  # nothing to choose
    assert not study.results.duplicated([*KEYS, "layer", "source", "target", "metric"]).any()


def test_every_dose_is_kept_and_the_chosen_one_is_the_best_on_dev() -> None:
    study = made_study(ks=[4, 9, 20], strengths=[0.5, 1.0, 3.0], tune=10, choose_at="last_block")
    tried = study.doses[study.doses["metric"] == "retrieval_top1"]
    assert set(tried["n"]) == {10}
    assert set(tried["layer"]) == set(study.places.values())
    at_last = tried[(tried["kind"] == "edit") & (tried["layer"] == study.n_layers)]
    assert len(at_last) == 9
    best = at_last[at_last["value"] == at_last["value"].max()].sort_values(["k", "strength"])
    (chosen,) = study.chosen
    assert (chosen.k, chosen.strength) == tuple(best[["k", "strength"]].iloc[0])


class Peaked(Model):
    """Retrieves best where eight neurons are moved at strength 2."""

    def embed(self, corpus: ParallelCorpus, edit: Edit | None) -> dict[str, Tensor]:
        x = super().embed(corpus, None)
        if edit is None:
            return x
        self.asked[-1] = ("embed", fingerprint(edit))
        off = abs(math.log2(len(edit) / 8)) + abs(math.log2(edit.provenance["strength"] / 2))
        noise = space(1, n=corpus.n_sentences, shared=0.0)
        return {code: x[LANGUAGES[0]] + off * noise[code] for code in x}


def test_a_grid_grows_until_its_best_dose_stands_inside() -> None:
    model = Peaked()
    study = made_study(model=model, ks=[1, 2], strengths=[0.5, 1.0], grow=True, only_chosen=True)
    tried = study.doses[study.doses["kind"] == "edit"]
    assert sorted(set(tried["k"])) == [1, 2, 4, 8, 16]
    assert sorted(set(tried["strength"])) == [0.5, 1.0, 2.0, 4.0]
    assert (study.chosen[0].k, study.chosen[0].strength) == (8, 2.0)
    embedded = [what for name, what in model.asked if name == "embed" and what != "none"]
    assert len(embedded) == len(set(embedded)) + 1  # each dose once on dev, the best on test too
    fixed = made_study(model=Peaked(), ks=[1, 2], strengths=[0.5, 1.0], only_chosen=True)
    assert (fixed.chosen[0].k, fixed.chosen[0].strength) == (2, 1.0)


def test_only_chosen_measures_no_other_dose_on_test() -> None:
    study = made_study(ks=[4, 9], only_chosen=True)
    own = study.results[study.results["kind"] == "edit"]
    assert set(own["k"]) == {study.chosen[0].k}


def test_the_best_layer_is_that_of_the_base_on_dev_and_never_the_embedding() -> None:
    model = Model()
    embed = model.embed

    def aligned_before_any_neuron(corpus, edit):  # type: ignore[no-untyped-def]
        x = embed(corpus, edit)
        shared = x[LANGUAGES[0]][0]
        return {code: torch.cat((shared[None], e[1:])) for code, e in x.items()}

    model.embed = aligned_before_any_neuron  # type: ignore[method-assign]
    study = made_study(model=model)
    base = measure(model.embed(text("dev"), None)).top1.sum((1, 2, 3))
    assert base.argmax() == 0
    assert study.best_layer == 1 + int(base[1:-1].argmax())


def test_controls_can_be_left_out_all_or_the_random_ones() -> None:
    assert set(made_study(controls=False).results["kind"]) == {"base", "edit"}
    assert set(made_study(seeds=[]).results["kind"]) == {
        "base",
        "edit",
        "centring",
        "dimensions",
        "standardisation",
    }


def test_edits_without_experts_have_no_k_and_no_random_control() -> None:
    scores = made_scores()
    finished = renamed(clamp(scores.top("fra_Latn", 5)), "finished")
    direction = ByTarget(lambda target: clamp(scores.top(target, 3)))
    edits = {"clamp": clamp, "direction": direction, "finished": finished}
    study = made_study(edits=edits, targets=["fra_Latn", "jpn_Jpan"], strengths=[0.5, 1.0])
    rows = study.results
    assert set(rows.loc[rows["kind"] == "random", "edit"]) == {"clamp"}
    assert set(rows.loc[rows["edit"] == "direction", "k"]) == {0}
    assert set(rows.loc[rows["edit"] == "direction", "language"]) == {"fra_Latn", "jpn_Jpan"}
    assert set(rows.loc[rows["edit"] == "finished", "language"]) == {""}
    assert {c.language for c in study.chosen if c.edit == "finished"} == {None}
    assert set(study.experts["language"]) == {"fra_Latn", "jpn_Jpan"}
    alone = made_study(edits={"finished": finished}, seeds=[0])
    assert {c.language for c in alone.chosen} == {"fra_Latn"}
    assert alone.experts.empty and list(alone.experts) == list(study.experts)


def test_a_condition_without_experts_or_edit_is_refused_by_name() -> None:
    factory = EditFactory(made_scores(), {"clamp": clamp})
    for condition in (
        Condition("edit", "clamp", None, 5, 1.0),
        Condition("edit", "clamp", "fra_Latn", None, 1.0),
    ):
        with pytest.raises(MechsteerError, match="has no experts"):
            factory.experts(condition)
    for condition in (BASE, CENTRING):
        with pytest.raises(MechsteerError, match="has no edit"):
            factory.edit(condition)


def test_an_edit_without_a_name_is_refused() -> None:
    with pytest.raises(MechsteerError, match="named edit"):
        made_study(edits={"": clamp})


def test_corpora_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CorpusError, match="the same sentences"):
        made_study(test=text("dev"))
    with pytest.raises(CorpusError, match=r"jpn_Jpan.*not in both"):
        made_study(test=text("test", languages=LANGUAGES[:2]), targets=["jpn_Jpan"])
    with pytest.raises(MechsteerError, match="'ita_Latn' was not scored"):
        made_study(targets=["ita_Latn"])
    for tune in (2, N):
        made_study(tune=tune)
    with pytest.raises(CorpusError, match=f"2 to {N} sentences"):
        made_study(tune=N + 1)


def test_test_sentences_that_stand_in_dev_are_refused_unless_allowed() -> None:
    dev, test = text("dev"), text("test")
    half = {c: (*dev.sentences[c][:14], *test.sentences[c][:10]) for c in LANGUAGES}
    mixed = ParallelCorpus(half)
    with pytest.raises(CorpusError, match="14 of 24"):
        made_study(test=mixed)
    with pytest.warns(CorpusWarning, match="14 of 24"):
        made_study(test=mixed, allow_overlap=True)


def test_text_is_charged_for_every_dose_and_must_be_in_the_targets() -> None:
    study = made_study(ks=[4, 9], costed=text("cost", n=3))
    costs = study.doses[study.doses["metric"] == "bits_per_byte"].set_index(["kind", "k"])["value"]
    scores = made_scores()
    assert costs["base", 0] == pytest.approx(2.003, abs=1e-12)
    for k in (4, 9):
        moved = clamp(scores.top("fra_Latn", k)).b.abs().sum().item()
        assert costs["edit", k] == pytest.approx(2.003 + moved, abs=1e-12)
    with pytest.raises(MechsteerError, match="lacks fra_Latn"):
        made_study(costed=text("cost", languages=("deu_Latn",)))


def test_the_tables_are_of_the_shape_of_the_model() -> None:
    study = made_study(quality=True)
    assert study.n_layers == LAYERS - 2
    assert set(study.results["layer"]) == set(range(LAYERS))
    assert study.n_sentences == N
    measured = study.results[study.results["metric"] == "silhouette"]
    assert set(measured["kind"]) == {"base", "edit", "centring"}
    assert set(measured["layer"]) == set(study.places.values())
    place = study.projection
    assert set(place["kind"]) == {"base", "edit", "centring"}
    assert (place.groupby(["kind", "source"]).size() == N).all()
    assert 0 < place["y_share"].iat[0] <= place["x_share"].iat[0] < 1
    assert study.headline()["layer"].isin(study.places.values()).all()


def test_experts_carry_the_value_they_are_held_at() -> None:
    experts = made_study().experts
    assert (experts["value"] == experts["median"]).all()
    assert set(experts["language"]) == {"fra_Latn"}
    scores = made_scores()
    assert experts["prevalence"].unique().tolist() == [scores.prevalence("fra_Latn")]


def test_a_model_without_a_final_norm_has_two_places() -> None:
    model = Model()
    embed = model.embed

    def repeated(corpus, edit):  # type: ignore[no-untyped-def]
        return {code: torch.cat((x[:-1], x[-2:-1])) for code, x in embed(corpus, edit).items()}

    model.embed = repeated  # type: ignore[method-assign]
    study = made_study(model=model, ks=[4, 9], choose_at="final_norm")
    assert study.final_norm is None
    assert list(study.places) == ["best_layer", "last_block"]
    assert set(study.doses["layer"]) == set(study.places.values())
    usual = made_study()
    assert usual.places == {
        "best_layer": usual.best_layer, "last_block": LAYERS - 2, "final_norm": LAYERS - 1,
    }  # fmt: skip
    pairs = usual.results[(usual.results["source"] != "*") & (usual.results["target"] != "*")]
    hits = pairs[pairs["metric"] == "retrieval_top1"]
    assert set(hits["layer"]) == set(usual.places.values())


def test_baselines_without_neurons_are_fitted_on_dev_and_measured_on_test() -> None:
    model = Model()
    embed = model.embed

    def massive(corpus, edit):  # type: ignore[no-untyped-def]
        plain = embed(corpus, edit)
        return {c: torch.cat((50 + x[..., :1], x[..., 1:]), -1) for c, x in plain.items()}

    model.embed = massive  # type: ignore[method-assign]
    study = made_study(model=model)
    dev, test = (model.embed(text(split), None) for split in ("dev", "test"))
    order = largest_dimensions(dev)
    removed = choose_k(dev, order)
    rows = study.results[study.results["metric"] == "dimensions_removed"]
    assert rows["value"].tolist() == removed.tolist()
    assert (removed > 0).any()
    expected = {
        "dimensions": measure(without_dimensions(test, order, removed)),
        "standardisation": measure(standardisation(dev)(test)),
    }
    means = study.results[(study.results["source"] == "*") & (study.results["target"] == "*")]
    for kind, own in expected.items():
        found = means[(means["kind"] == kind) & (means["metric"] == "retrieval_top1")]
        assert found.sort_values("layer")["value"].tolist() == pytest.approx(
            mean_top1(own).tolist(), abs=1e-6
        )
        beyond = means[means["metric"] == f"retrieval_top1.vs_{kind}"]
        assert set(beyond["kind"]) == {"edit"} and len(beyond) == LAYERS
