from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mechsteer as ms
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.experts.scores import NeuronScores
from mechsteer.model.sites import HookSite, Site

SITE = Site(
    "post",
    (
        HookSite("post", 0, "blocks.0.mlp.hook_post", 40),
        HookSite("post", 1, "blocks.1.mlp.hook_post", 50),
        HookSite("post", 2, "blocks.2.mlp.hook_post", 40),
    ),
)
LANGUAGES = ("fra_Latn", "jpn_Jpan")


def made_scores(seed: int = 0, **given: torch.Tensor) -> NeuronScores:
    generator = torch.Generator().manual_seed(seed)
    names = ("ap", "auroc", "mean", "median", "std", "rest_mean", "rest_std")
    tables = {name: torch.rand(2, SITE.n_neurons, generator=generator) for name in names} | given
    return NeuronScores(LANGUAGES, SITE, "max", (30, 50), 100, **tables)


def test_top_k_is_sorted_by_score_then_effect_then_layer_then_neuron() -> None:
    # few distinct values, so that every key of the order decides somewhere
    coarse = torch.randint(0, 3, (2, SITE.n_neurons)).float()
    steps = torch.randint(0, 2, (2, SITE.n_neurons)).float()
    ones = torch.ones(2, SITE.n_neurons)
    scores = made_scores(ap=coarse, mean=steps, rest_mean=0 * ones, std=ones, rest_std=ones)
    expected = sorted(
        range(SITE.n_neurons), key=lambda m: (-coarse[1, m].item(), -steps[1, m].item(), m)
    )
    assert scores.top("jpn_Jpan", 77).index.tolist() == expected[:77]


def test_the_number_tied_at_the_cut_counts_those_left_out_too() -> None:
    saturated = torch.zeros(2, SITE.n_neurons)
    saturated[0, 10:40] = 1.0
    experts = made_scores(auroc=saturated).top("fra_Latn", 20, by="auroc")
    assert experts.tied_at_cut == 30
    assert len(experts) == 20


@pytest.mark.parametrize(("k", "expected"), [(0, 0), (130, 130), (0.1, 13), (0.001, 1), (5.0, 5)])
def test_k_is_a_number_or_a_fraction(k: float, expected: int) -> None:
    assert len(made_scores().top("fra_Latn", k)) == expected


@pytest.mark.parametrize("k", [-1, 131, 2.5, float("nan")])
def test_an_impossible_k_is_refused(k: float) -> None:
    with pytest.raises(MechsteerError, match="0 to 130"):
        made_scores().top("fra_Latn", k)


def test_an_unknown_language_is_refused_with_the_closest() -> None:
    with pytest.raises(MechsteerError, match="closest: fra_Latn"):
        made_scores().top("fra_Latm", 3)


def test_an_unknown_criterion_is_refused() -> None:
    with pytest.raises(MechsteerError, match="by='ap' or by='auroc'"):
        made_scores().top("fra_Latn", 3, by="f1")  # type: ignore[arg-type]


def test_effect_size_is_cohens_d_and_zero_where_nothing_varies() -> None:
    scores = made_scores()
    spread = ((scores.std.double() ** 2 + scores.rest_std.double() ** 2) / 2).sqrt()
    expected = (scores.mean.double() - scores.rest_mean.double()) / spread
    # one rounding to float32 of a float64 value: relative 6e-8, values below 100
    assert (scores.effect_size - expected).abs().max() < 1e-5
    still = torch.zeros(2, SITE.n_neurons)
    assert (made_scores(std=still, rest_std=still).effect_size == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_random_control_matches_layers_and_avoids_experts(seed: int) -> None:
    scores = made_scores()
    experts = scores.top("fra_Latn", 40)
    control = ms.experts.random_like(scores, experts, seed=seed)
    layers = [[SITE.locate(i)[1] for i in e.index.tolist()] for e in (experts, control)]
    assert np.bincount(layers[0]).tolist() == np.bincount(layers[1]).tolist()
    assert not set(experts.index.tolist()) & set(control.index.tolist())
    assert torch.equal(control.median, scores.median[0, control.index])


def test_a_control_depends_on_its_seed_alone() -> None:
    scores = made_scores()
    experts = scores.top("fra_Latn", 30)
    draws = [ms.experts.random_like(scores, experts, seed=s).index.tolist() for s in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_a_control_that_cannot_be_matched_is_refused() -> None:
    ap = torch.zeros(2, SITE.n_neurons)
    ap[0, :30] = 1  # 30 of the 40 neurons of layer 0: 10 are left
    scores = made_scores(ap=ap)
    with pytest.raises(MechsteerError, match="layer 0 has 40 neurons, 30 of them experts"):
        ms.experts.random_like(scores, scores.top("fra_Latn", 30), seed=0)


def test_the_table_names_places_and_ranks() -> None:
    table = made_scores().top("jpn_Jpan", 7).table()
    assert table["rank"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert set(table["layer"]) <= {0, 1, 2}
    assert table["ap"].is_monotonic_decreasing


@pytest.mark.parametrize("index", [[3, 3], [130], [-1]])
def test_listed_neurons_must_be_distinct_and_exist(index: list[int]) -> None:
    with pytest.raises(MechsteerError, match="distinct neuron numbers from 0 to 129"):
        made_scores().take("fra_Latn", index)


def test_prevalence_counts_sentences_of_negative_only_languages() -> None:
    assert made_scores().prevalence("fra_Latn") == pytest.approx(0.30)


def test_scores_of_a_language_of_one_sentence_are_saved_and_loaded(
    bridge: Callable[..., Any], tmp_path: Path
) -> None:
    text = {"eng_Latn": ["the cat sat", "a dog"], "fra_Latn": ["le chat"]}
    scores = ms.score(bridge("llama"), text, progress=False)
    assert scores.std[1].isnan().all() and scores.std[0].isfinite().all()
    ms.experts.save_scores(scores, tmp_path / "one")
    assert ms.experts.load_scores(tmp_path / "one") == scores
    holed = replace(scores, std=scores.std.clone())
    holed.std[0, 3] = float("nan")
    ms.experts.save_scores(holed, tmp_path / "holed")
    with pytest.raises(ArtifactError, match="not finite"):
        ms.experts.load_scores(tmp_path / "holed")
