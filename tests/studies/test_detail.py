"""The smaller tables of a study, each against a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest
from sklearn.decomposition import PCA

import mechsteer as ms
from mechsteer.analysis.statistics import holm
from mechsteer.costs import perplexity
from mechsteer.experts.scores import NeuronScores
from mechsteer.model.load import load_model
from mechsteer.studies.detail import expert_overlap, experts_per_layer
from mechsteer.studies.doses import choose
from mechsteer.studies.plane import Plane
from mechsteer.studies.states import Measures, State, measure
from mechsteer.studies.tabulate import tabulate

LANGUAGES = ("eng_Latn", "fra_Latn", "jpn_Jpan")


def embeddings(seed: int, *, n: int = 30, layers: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(layers, n, 8, generator=generator)
    return {code: shared + torch.randn(layers, n, 8, generator=generator) for code in LANGUAGES}


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def dev() -> ms.ParallelCorpus:
    return ms.ParallelCorpus.embedded("dev", languages=LANGUAGES).head(16)


@pytest.fixture(scope="module")
def scores(model: Any, dev: ms.ParallelCorpus) -> NeuronScores:
    return ms.score(model, dev)


@pytest.fixture(scope="module")
def found(model: Any, dev: ms.ParallelCorpus) -> ms.Study:
    test = ms.ParallelCorpus.embedded("test", languages=LANGUAGES).head(16)
    return ms.study(
        model,
        dev=dev,
        test=test,
        targets=["fra_Latn"],
        ks=[5, 40],
        strengths=[0.5, 1.0],
        seeds=[0],
        text=dev,
    )


def test_a_layers_best_neurons_are_those_of_its_columns(scores: NeuronScores) -> None:
    table = experts_per_layer(scores, 20)
    assert table.groupby("language")["count"].sum().eq(20).all()
    for row in table.itertuples():
        point = scores.site.points[row.layer]
        offset = scores.site.offsets[row.layer]
        ap = scores.ap[scores.row(row.language), offset : offset + point.width].numpy()
        assert row.ap_max == ap.max()
        # float32 interpolation between two neighbours in rank: one rounding
        assert row.ap_p99 == pytest.approx(np.quantile(ap, 0.99), rel=1e-6)


def test_overlap_counts_shared_experts(scores: NeuronScores) -> None:
    table = expert_overlap(scores, 2400).set_index(["language", "other"])
    own, other = (set(scores.top(c, 2400).index.tolist()) for c in ("eng_Latn", "fra_Latn"))
    row = table.loc[("eng_Latn", "fra_Latn")]
    assert row["shared"] == len(own & other) > 0
    assert row["jaccard"] == len(own & other) / len(own | other)
    assert (table.loc[[(c, c) for c in LANGUAGES], "jaccard"] == 1).all()


def test_the_plane_is_that_of_the_base_and_no_states_own() -> None:
    base, edited = embeddings(0), embeddings(1)
    plane = Plane.fit(base, 1)
    pca = PCA(2, svd_solver="full").fit(torch.cat([x[1] for x in base.values()]).double().numpy())
    for state in (base, edited):
        place = plane.project(state)
        for i, code in enumerate(LANGUAGES):
            expected = pca.transform(state[code][1].double().numpy())
            # two solvers in float64, stored in float32; both turn an axis by its largest entry
            np.testing.assert_allclose(place[i].numpy(), expected, atol=1e-5)


def test_measures_keep_hubs_and_places_only_with_a_plane() -> None:
    x = embeddings(0)
    bare, full = measure(x), measure(x, Plane.fit(x, 0))
    assert bare.occurrence.numel() == bare.place.numel() == 0
    assert int(full.occurrence.sum()) == 6 * 30
    assert full.place.shape == (3, 30, 2)


def test_the_p_of_a_pair_is_mcnemars_corrected_over_pairs() -> None:
    before, after = measure(embeddings(0)), measure(embeddings(1))
    clamp = State("clamp", "fra_Latn", 5)
    table = tabulate({State(): before, clamp: after}, LANGUAGES, targets=[], resamples=100)
    rows = table[(table["metric"] == "retrieval_top1.p") & (table["layer"] == 1)]
    raw = []
    for row in rows.itertuples():
        s, t = LANGUAGES.index(row.source), LANGUAGES.index(row.target)
        won = int((after.top1[1, s, t] & ~before.top1[1, s, t]).sum())
        lost = int((before.top1[1, s, t] & ~after.top1[1, s, t]).sum())
        raw.append(binomtest(won, won + lost).pvalue if won + lost else 1.0)
    assert min(raw) < 1
    np.testing.assert_allclose(rows["value"], holm(torch.tensor(raw)), rtol=1e-12)


def test_pairs_are_kept_where_asked_and_means_everywhere() -> None:
    measured = {State(): measure(embeddings(0)), State("centring"): measure(embeddings(1))}
    every = tabulate(measured, LANGUAGES, targets=[], resamples=100)
    some = tabulate(measured, LANGUAGES, targets=[], resamples=100, pairs_at=[1])
    pairs = (every["source"] != "*") & (every["target"] != "*")
    expected = every[~pairs | (every["layer"] == 1)]
    pd.testing.assert_frame_equal(
        some.reset_index(drop=True), expected.reset_index(drop=True), check_exact=True
    )


def test_without_single_pairs_there_are_the_means() -> None:
    measured = {State(): measure(embeddings(0)), State("clamp"): measure(embeddings(1))}
    means = tabulate(measured, LANGUAGES, targets=[], resamples=100, pairs_at=[])
    single = (means["source"] != "*") & (means["target"] != "*")
    assert not single.any()
    assert "retrieval_top1.delta" in set(means["metric"])


def test_a_study_stores_every_dose(found: ms.Study) -> None:
    doses = found.doses[found.doses["edit"] == "clamp"]
    got = set(doses[["k", "strength"]].itertuples(index=False, name=None))
    assert got == {(5, 0.5), (5, 1.0), (40, 0.5), (40, 1.0)}
    base = found.doses[found.doses["edit"] == "none"].set_index("metric")
    assert base.loc["retrieval_top1", "k"] == 0
    shares = found.doses[found.doses["metric"] != "bits_per_byte"]
    assert (shares["ci_low"] <= shares["value"]).all()


def test_a_dose_costs_what_perplexity_says(
    model: Any, dev: ms.ParallelCorpus, scores: NeuronScores, found: ms.Study
) -> None:
    costs = found.doses[found.doses["metric"] == "bits_per_byte"].set_index(["k", "strength"])
    texts = dev.sentences["fra_Latn"]
    assert len(costs) == 1 + 4
    base = perplexity(model, texts, progress=False).bits_per_byte
    assert costs.loc[(0, 1.0), "value"] == base
    with ms.steer(model, ms.clamp(scores.top("fra_Latn", 40)).scaled(0.5)):
        edited = perplexity(model, texts, progress=False).bits_per_byte
    assert costs.loc[(40, 0.5), "value"] == edited != base


def test_text_without_a_steered_language_is_refused(model: Any, dev: ms.ParallelCorpus) -> None:
    test = ms.ParallelCorpus.embedded("test", languages=LANGUAGES).head(4)
    text = dev.select(["eng_Latn"])
    with pytest.raises(ms.MechsteerError, match="lacks fra_Latn"):
        ms.study(model, dev=dev, test=test, targets=["fra_Latn"], ks=[5], text=text)


def test_the_dose_chosen_is_the_best_on_dev(found: ms.Study) -> None:
    doses = found.doses.query("edit == 'clamp' and metric == 'retrieval_top1'")
    best = doses["value"].max()
    (state,) = found.chosen
    chosen = doses[(doses["k"] == state.k) & (doses["strength"] == state.strength)]
    assert chosen["value"].item() == best


def test_of_equal_doses_the_smallest_is_taken() -> None:
    measures: Measures = measure(embeddings(0))
    options = [State("clamp", "fra_Latn", k, s) for k in (40, 5) for s in (1.0, 0.5)]
    assert choose(dict.fromkeys(options, measures), options, 0) == [options[3]]


def test_a_study_shows_base_chosen_and_centred_sentences_on_one_plane(found: ms.Study) -> None:
    place = found.projection
    assert set(place["edit"]) == {"none", "clamp", "centring"}
    assert (place.groupby(["edit", "source"]).size() == 16).all()
    assert 0 < place["y_share"].iat[0] <= place["x_share"].iat[0] < 1


def test_a_study_counts_hubs_in_every_state(found: ms.Study) -> None:
    hubs = found.hubness
    mass = hubs.groupby(["edit", "k", "strength", "seed"])["count"].sum()
    assert (mass == 6 * 16).all()
    assert len(mass) == 1 + 1 + 4 + 1
