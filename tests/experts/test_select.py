from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import mechsteer as ms
from mechsteer.errors import MechsteerError
from mechsteer.experts import select as selections
from mechsteer.experts.scores import NeuronScores
from tests.made import LANGUAGES, SITE, made_scores

N = SITE.n_neurons
SPANS = [
    range(offset, offset + p.width) for p, offset in zip(SITE.points, SITE.offsets, strict=True)
]


def coarse() -> NeuronScores:
    """Scores of few distinct values, so that ties decide; effect sizes of few values as well."""
    generator = torch.Generator().manual_seed(4)
    ap, step = (torch.randint(0, 4, (3, N), generator=generator).float() for _ in range(2))
    one = torch.ones(3, N)
    return made_scores(ap=ap, mean=step, rest_mean=0 * one, std=one, rest_std=one)


def ranked(scores: NeuronScores, row: int, by: str = "ap") -> list[int]:
    score, effect = getattr(scores, by)[row].tolist(), scores.effect_size[row].tolist()
    return sorted(range(N), key=lambda m: (-score[m], -effect[m], m))


@pytest.mark.parametrize("by", ["ap", "auroc"])
@pytest.mark.parametrize("k", [0, 1, 5, 13, 0.3])
def test_the_best_of_each_layer(k: float, by: str) -> None:
    scores = coarse()
    found = selections.per_layer(scores, "fra_Latn", k, by=by)
    order = ranked(scores, 1, by)
    counts = [round(0.3 * len(span)) if k == 0.3 else k for span in SPANS]
    kept = {
        m
        for span, count in zip(SPANS, counts, strict=True)
        for m in [m for m in order if m in span][:count]
    }
    assert found.index.tolist() == [m for m in order if m in kept]


def test_ties_at_the_cut_of_each_layer_add_up() -> None:
    ap = torch.zeros(3, N)
    ap[1, :4] = 1  # 4 of layer 0 share the score at the cut, 17 of layer 1
    assert selections.per_layer(made_scores(ap=ap), "fra_Latn", 2).tied_at_cut == 4 + 17


def test_more_than_a_layer_has_is_refused() -> None:
    with pytest.raises(MechsteerError, match="0 to 13"):
        selections.per_layer(coarse(), "fra_Latn", 14)


@pytest.mark.parametrize("least", [0.0, 1.0, 2.0, 2.5, 9.0])
def test_a_threshold_keeps_all_that_reach_it(least: float) -> None:
    scores = coarse()
    found = selections.threshold(scores, "jpn_Jpan", least)
    assert found.index.tolist() == [m for m in ranked(scores, 2) if scores.ap[2, m] >= least]
    assert found.tied_at_cut == 0


def test_a_threshold_that_is_no_number_is_refused() -> None:
    with pytest.raises(MechsteerError, match="NaN"):
        selections.threshold(coarse(), "fra_Latn", math.nan)


@pytest.mark.parametrize("k", [0, 1, 6, N // 2])
def test_top_and_bottom_are_the_ends_of_the_ranking(k: int) -> None:
    scores = coarse()
    order = ranked(scores, 0)
    found = selections.top_and_bottom(scores, "deu_Latn", k)
    assert found.index.tolist() == order[:k] + order[N - k :]
    cuts = [order[k - 1], order[N - k]] if k else []
    assert found.tied_at_cut == sum(int((scores.ap[0] == scores.ap[0, m]).sum()) for m in cuts)


def test_both_ends_must_not_meet() -> None:
    with pytest.raises(MechsteerError, match=f"up to {N // 2}"):
        selections.top_and_bottom(coarse(), "deu_Latn", N // 2 + 1)


def test_a_list_of_places_is_kept_in_its_order() -> None:
    found = selections.listed(made_scores(), "fra_Latn", [(1, 3), (0, 12), (1, 0)])
    assert found.index.tolist() == [16, 12, 13]
    assert found.table()[["layer", "neuron"]].to_numpy().tolist() == [[1, 3], [0, 12], [1, 0]]


@pytest.mark.parametrize("places", [[(0, 13)], [(2, 0)], [(0, -1)], [(1, 2), (1, 2)]])
def test_places_must_exist_and_be_distinct(places: list[tuple[int, int]]) -> None:
    with pytest.raises(MechsteerError, match=r"has no post neuron|distinct"):
        selections.listed(made_scores(), "fra_Latn", places)


def test_an_unknown_component_is_refused() -> None:
    with pytest.raises(MechsteerError, match="no gate neuron 1 in layer 0"):
        selections.listed(made_scores(), "fra_Latn", [(0, 1)], component="gate")


@pytest.fixture
def sets() -> list[ms.Experts]:
    scores = made_scores()
    indices = [[5, 2, 9, 20], [9, 1, 5], [20, 9, 28]]
    return [scores.take(code, index) for code, index in zip(LANGUAGES, indices, strict=True)]


def test_sets_keep_the_statistics_of_the_first_that_has_a_neuron(sets: list[ms.Experts]) -> None:
    a, b, c = sets
    scores = made_scores()
    union = selections.union(a, b, c)
    assert union.index.tolist() == [5, 2, 9, 20, 1, 28]
    rows = torch.tensor([0, 0, 0, 0, 1, 2])
    for name in ("ap", "auroc", "effect_size", "mean", "median", "std"):
        assert torch.equal(getattr(union, name), getattr(scores, name)[rows, union.index])
    assert union.language == "deu_Latn+fra_Latn+jpn_Jpan"
    both = selections.intersection(a, b)
    assert both.index.tolist() == [5, 9]
    assert torch.equal(both.median, scores.median[0, [5, 9]])
    assert selections.intersection(a, b, c).index.tolist() == [9]
    assert selections.difference(a, b).index.tolist() == [2, 20]
    assert selections.difference(a, b, c).index.tolist() == [2]
    assert selections.difference(b, a).language == "fra_Latn"


def test_a_set_alone_is_itself(sets: list[ms.Experts]) -> None:
    for operation in (selections.union, selections.intersection, selections.difference):
        assert torch.equal(operation(sets[0]).index, sets[0].index)


def test_jaccard_overlap_of_every_two_languages(sets: list[ms.Experts]) -> None:
    named = dict(zip(LANGUAGES, sets, strict=True))
    table = selections.overlap_table(named)
    for one, a in named.items():
        for two, b in named.items():
            x, y = set(a.index.tolist()), set(b.index.tolist())
            assert table.loc[one, two] == len(x & y) / len(x | y)
    nobody = sets[0].pick([])
    assert math.isnan(selections.jaccard(nobody, nobody))
    assert selections.jaccard(nobody, sets[0]) == 0


def test_sets_of_other_sites_and_poolings_are_refused(sets: list[ms.Experts]) -> None:
    mean = made_scores(pooling="mean").take("fra_Latn", [1])
    with pytest.raises(MechsteerError, match="one pooling"):
        selections.union(sets[0], mean)
    from tests.experts.test_scores import made_scores as others

    foreign = others().take("fra_Latn", [1])
    for operation in (
        selections.union,
        selections.intersection,
        selections.difference,
        selections.jaccard,
    ):
        with pytest.raises(MechsteerError, match="one site"):
            operation(sets[0], foreign)


def test_the_experts_of_a_layer_are_in_rank_order() -> None:
    experts = made_scores().top("fra_Latn", 20)
    parts = [experts.in_layer(layer) for layer in (0, 1, 2)]
    for part, span in zip(parts, [*SPANS, range(0)], strict=True):
        assert part.index.tolist() == [m for m in experts.index.tolist() if m in span]
    assert np.concatenate([part.ap for part in parts]).sum() == pytest.approx(
        float(experts.ap.sum()), rel=1e-6
    )
