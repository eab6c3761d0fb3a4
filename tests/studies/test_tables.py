"""The results table against plain loops over hits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest

from mechsteer.analysis.statistics import bootstrap_mean, holm
from mechsteer.studies.conditions import BASE, CENTRING, Condition
from mechsteer.studies.measurements import Measurements
from mechsteer.studies.results import COLUMNS, chance
from mechsteer.studies.tables import HITS, tabulate
from tests.made import LANGUAGES
from tests.studies.made import measured

CLAMP = Condition("edit", "clamp", "fra_Latn", 5, 1.0)


def table(**own: Measurements) -> pd.DataFrame:
    named = {"base": BASE, "clamp": CLAMP, "centring": CENTRING}
    found = {named[name]: measurements for name, measurements in own.items()}
    return tabulate(found, LANGUAGES, targets=["fra_Latn"], resamples=200)


def cell(rows: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1, rows
    return rows.iloc[0]


@pytest.mark.parametrize("metric", HITS)
def test_every_mean_equals_a_plain_loop_over_pairs(metric: str) -> None:
    own = measured(0)
    hits, rows = getattr(own, HITS[metric]), table(base=own)
    for layer in range(len(hits)):
        where = {"layer": layer, "metric": metric}
        shares = {
            (s, t): hits[layer, i, j].double().mean().item()
            for i, s in enumerate(LANGUAGES)
            for j, t in enumerate(LANGUAGES)
            if i != j
        }
        for (s, t), share in shares.items():
            assert cell(rows, source=s, target=t, **where)["value"] == pytest.approx(
                share, abs=1e-15
            )
        for code in LANGUAGES:
            asks = np.mean([share for (s, _), share in shares.items() if s == code])
            asked = np.mean([share for (_, t), share in shares.items() if t == code])
            row = cell(rows, source=code, target="*", **where)
            assert row["value"] == pytest.approx(asks, abs=1e-15)
            row = cell(rows, source="*", target=code, **where)
            assert row["value"] == pytest.approx(asked, abs=1e-15)
        row = cell(rows, source="*", target="*", **where)
        assert row["value"] == pytest.approx(np.mean(list(shares.values())), abs=1e-15)
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert row["n"] == hits.shape[-1]


def test_means_have_a_bootstrap_over_sentences_and_single_pairs_the_exact_interval() -> None:
    own = measured(0)
    rows = table(base=own)
    n = own.top1.shape[-1]
    different = ~torch.eye(3, dtype=torch.bool)
    mean = own.top1[2][different].double().mean(0)
    expected = bootstrap_mean(mean[:, None], resamples=200)
    row = cell(rows, source="*", target="*", layer=2, metric="retrieval_top1")
    ends = [expected.low.item(), expected.high.item()]
    assert [row["ci_low"], row["ci_high"]] == pytest.approx(ends, abs=1e-12)
    for (s, source), (t, target) in [((0, LANGUAGES[0]), (2, LANGUAGES[2]))]:
        hits = int(own.mexa[1, s, t].sum())
        row = cell(rows, source=source, target=target, layer=1, metric="mexa")
        expected_ = binomtest(hits, n).proportion_ci(method="exact")
        assert row["ci_low"] == pytest.approx(expected_.low, abs=1e-12)
        assert row["ci_high"] == pytest.approx(expected_.high, abs=1e-12)


@pytest.mark.parametrize("share", [0, 1])
def test_no_hits_and_all_hits_leave_doubt_everywhere(share: int) -> None:
    own = measured(0)
    same = {name: torch.full_like(getattr(own, name), bool(share)) for name in HITS.values()}
    rows = table(base=replace(own, **same))
    rows = rows[rows["metric"].isin(HITS)]
    assert (rows["value"] == share).all()
    assert ((rows["ci_high"] - rows["ci_low"]) > 0.1).all()  # of 24 sentences
    assert rows["ci_low"].ge(0).all() and rows["ci_high"].le(1).all()


def test_with_two_languages_a_source_is_a_single_pair() -> None:
    own = measured(0)
    two = {name: getattr(own, name)[:, :2, :2] for name in ("top1", "margin", "mexa")}
    two |= {"mean_distance": own.mean_distance[:, :2, :2]}
    two |= {"medoid_distance": own.medoid_distance[:, :2]}
    rows = tabulate({BASE: replace(own, **two)}, LANGUAGES[:2], targets=[], resamples=200)
    ends = ["value", "ci_low", "ci_high"]
    for layer in range(4):
        at = rows[(rows["layer"] == layer) & (rows["metric"] == "mexa")]
        pair = cell(at, source=LANGUAGES[0], target=LANGUAGES[1])
        assert cell(at, source=LANGUAGES[0], target="*")[ends].tolist() == pair[ends].tolist()


def test_deltas_are_paired_with_the_base_and_bootstrapped() -> None:
    base, edited = measured(0), measured(1)
    rows = table(base=base, clamp=edited)
    change = cell(rows, metric="mexa.delta", source="fra_Latn", target="jpn_Jpan", layer=1)
    s, t = LANGUAGES.index("fra_Latn"), LANGUAGES.index("jpn_Jpan")
    each = edited.mexa[1, s, t].double() - base.mexa[1, s, t].double()
    expected = bootstrap_mean(each[:, None], resamples=200)
    for name, end in (("value", expected.value), ("ci_low", expected.low)):
        assert change[name] == pytest.approx(end.item(), abs=1e-12)


def test_what_is_zero_is_exactly_zero() -> None:
    own = measured(0)
    rows = table(base=own, clamp=own)
    changes = rows[rows["metric"].str.endswith(".delta")]
    assert len(changes)
    assert (changes[["value", "ci_low", "ci_high"]] == 0).all(axis=None)
    # wins and losses that cancel in every resample
    turned = own.top1.clone()
    turned[:, 0, 1], turned[:, 0, 2] = own.top1[:, 0, 2], own.top1[:, 0, 1]
    rows = table(base=own, clamp=replace(own, top1=turned))
    swapped = rows[(rows["metric"] == "retrieval_top1.delta") & (rows["source"] == LANGUAGES[0])]
    means = swapped[swapped["target"] == "*"]
    assert (means[["value", "ci_low", "ci_high"]] == 0).all(axis=None)


def test_the_difference_to_centring_is_paired_and_of_edits_alone() -> None:
    drawn = Condition("random", "clamp", "fra_Latn", 5, 1.0, 0)
    found = {BASE: measured(0), CENTRING: measured(1), CLAMP: measured(2), drawn: measured(3)}
    rows = tabulate(found, LANGUAGES, targets=[], resamples=200)
    beyond = rows[rows["metric"] == "mexa.vs_centring"]
    assert set(beyond["kind"]) == {"edit"}
    assert not ((beyond["source"] != "*") & (beyond["target"] != "*")).any()
    at = {"source": "*", "target": "fra_Latn", "layer": 1}
    values = [cell(rows, kind=kind, metric="mexa", **at)["value"] for kind in ("edit", "centring")]
    got = cell(beyond, **at)["value"]
    assert got == pytest.approx(values[0] - values[1], abs=1e-12)


def test_the_p_of_a_pair_is_mcnemars_corrected_over_pairs() -> None:
    before, after = measured(0), measured(1)
    rows = table(base=before, clamp=after)
    rows = rows[(rows["metric"] == "retrieval_top1.p") & (rows["layer"] == 1)]
    raw = []
    for row in rows.itertuples():
        s, t = LANGUAGES.index(row.source), LANGUAGES.index(row.target)
        won = int((after.top1[1, s, t] & ~before.top1[1, s, t]).sum())
        lost = int((before.top1[1, s, t] & ~after.top1[1, s, t]).sum())
        raw.append(binomtest(won, won + lost).pvalue if won + lost else 1.0)
    assert min(raw) < 1
    np.testing.assert_allclose(rows["value"], holm(torch.tensor(raw)), rtol=1e-12)


def test_distances_are_those_measured_to_each_target() -> None:
    own = measured(0)
    rows = table(base=own, clamp=own)
    for kind in ("base", "edit"):
        for layer in range(4):
            where = {"kind": kind, "layer": layer}
            pairs = cell(rows, metric="distance_pairs", **where)
            assert pairs["value"] == own.pair_distance[layer].item()
            to_medoid = rows[(rows["metric"] == "distance_medoid") & (rows["kind"] == kind)]
            got = to_medoid[to_medoid["layer"] == layer].set_index("source")["value"]
            assert got[list(LANGUAGES)].tolist() == own.medoid_distance[layer].tolist()
            to = rows[(rows["metric"] == "distance_target") & (rows["kind"] == kind)]
            to = to[to["layer"] == layer].set_index("source")["value"]
            column = own.mean_distance[layer, :, LANGUAGES.index("fra_Latn")].tolist()
            assert to["deu_Latn"] == column[LANGUAGES.index("deu_Latn")]
            assert "fra_Latn" not in to.index


def test_pairs_are_kept_where_asked_and_means_everywhere() -> None:
    found = {BASE: measured(0), CENTRING: measured(1)}
    every = tabulate(found, LANGUAGES, targets=[], resamples=100)
    some = tabulate(found, LANGUAGES, targets=[], resamples=100, pairs_at=[2, 1])
    none = tabulate(found, LANGUAGES, targets=[], resamples=100, pairs_at=[])
    pairs = (every["source"] != "*") & (every["target"] != "*")
    keys = list(COLUMNS[:10])
    for compared in (
        (some, every[~pairs | every["layer"].isin([1, 2])]),
        (none, every[~pairs]),
    ):
        ordered = [x.sort_values(keys).reset_index(drop=True) for x in compared]
        pd.testing.assert_frame_equal(*ordered, check_exact=True)
    assert "retrieval_top1.delta" in set(none["metric"])


def test_the_table_has_the_documented_columns_and_no_repeated_observation() -> None:
    rows = table(base=measured(0), clamp=measured(1), centring=measured(2))
    assert tuple(rows.columns) == COLUMNS
    assert not rows.duplicated(list(COLUMNS[:10])).any()
    assert rows["value"].notna().all()


def test_chance_is_one_candidate_in_all() -> None:
    assert chance("retrieval_margin", 8) == 1 / 8
    assert chance("mexa", 8) == 1 / 15
    assert chance("silhouette", 8) is None
