"""Which dose is chosen, and the smaller tables, against plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mechsteer.analysis.statistics import bootstrap_mean
from mechsteer.studies.conditions import BASE, Condition
from mechsteer.studies.detail_tables import expert_overlap, experts_per_layer
from mechsteer.studies.doses import best_layer, choose, dose_table, mean_top1
from tests.made import LANGUAGES, SITE, made_scores
from tests.studies.made import measured


def doses(edit: str = "clamp") -> list[Condition]:
    return [
        Condition("edit", edit, code, k, strength)
        for code in ("fra_Latn", "jpn_Jpan")
        for k in (40, 5)
        for strength in (1.0, 0.5)
    ]


def test_of_equal_doses_the_smallest_is_taken() -> None:
    tried = doses()
    assert choose(dict.fromkeys(tried, measured(0)), tried, 0) == [tried[3], tried[7]]


def test_one_dose_is_chosen_for_all_languages_by_the_sum_of_their_hits_at_the_layer() -> None:
    own = measured(0)
    none = torch.zeros_like(own.top1)

    def with_hits(layer: int, count: int):  # type: ignore[no-untyped-def]
        hits = none.clone()
        hits[layer, 0, 1, :count] = True
        return replace(own, top1=hits)

    tried = doses()
    first = [tried[0], tried[4]]  # k = 40 at full strength
    found = {c: with_hits(1, 3) for c in tried}
    found[tried[0]], found[tried[4]] = with_hits(1, 6), with_hits(1, 1)  # 7 against 6
    found[tried[3]] = with_hits(2, 20)  # at another layer
    assert choose(found, tried, 1) == first
    other = doses("damp")
    both = found | {c: with_hits(1, 2) for c in other}
    assert choose(both, [*tried, *other], 1) == [*first, other[3], other[7]]


def test_the_best_layer_is_neither_the_embedding_nor_the_final_norm() -> None:
    own = measured(0)
    top1 = torch.zeros_like(own.top1)
    top1[0] = top1[3] = True
    top1[1, 0, 1, :3] = top1[2, 1, 0, :3] = True
    assert best_layer(replace(own, top1=top1)) == 1  # the first of equals
    top1[2, 0, 1, :4] = True
    assert best_layer(replace(own, top1=top1)) == 2


def test_the_mean_leaves_out_a_language_with_itself() -> None:
    own = measured(0)
    different = ~torch.eye(3, dtype=torch.bool)
    expected = [hits[different].double().mean().item() for hits in own.top1]
    assert mean_top1(own).tolist() == pytest.approx(expected, abs=1e-15)


def test_the_table_of_doses_has_a_bootstrap_over_sentences() -> None:
    condition = doses()[0]
    rows = dose_table({BASE: measured(0), condition: measured(1)}, [2, 1])
    assert len(rows) == 2 * 2 * 2
    row = rows[(rows["kind"] == "edit") & (rows["layer"] == 2) & (rows["metric"] == "mexa")]
    different = ~torch.eye(3, dtype=torch.bool)
    expected = bootstrap_mean(measured(1).mexa[2][different].T)
    got = row[["value", "ci_low", "ci_high"]].iloc[0].tolist()
    assert got == [expected.mean, expected.mean_low, expected.mean_high]
    named = row[["edit", "language", "k", "strength"]].iloc[0].tolist()
    assert named == ["clamp", "fra_Latn", 40, 1.0]


def test_a_layers_best_neurons_are_those_of_its_columns() -> None:
    scores = made_scores()
    table = experts_per_layer(scores, 9)
    assert table.groupby("language")["count"].sum().eq(9).all()
    for row in table.itertuples():
        point, offset = SITE.points[row.layer], SITE.offsets[row.layer]
        here = slice(offset, offset + point.width)
        ap = scores.ap[scores.row(row.language), here].numpy()
        assert row.ap_max == ap.max()
        # float32 interpolation between two neighbours in rank: one rounding
        assert row.ap_p99 == pytest.approx(np.quantile(ap, 0.99), rel=1e-6)
        best = scores.top(row.language, 9).index
        assert row.count == int(((best >= offset) & (best < offset + point.width)).sum())
        assert row.random == pytest.approx(9 * point.width / SITE.n_neurons)
        assert row.prevalence == scores.prevalence(row.language)


def test_overlap_counts_shared_experts() -> None:
    scores = made_scores()
    table = expert_overlap(scores, 20).set_index(["language", "other"])
    own, other = (set(scores.top(code, 20).index.tolist()) for code in LANGUAGES[:2])
    row = table.loc[LANGUAGES[:2]]
    assert row["shared"] == len(own & other) > 0
    assert row["jaccard"] == len(own & other) / len(own | other)
    assert (table.loc[[(c, c) for c in LANGUAGES], "jaccard"] == 1).all()
