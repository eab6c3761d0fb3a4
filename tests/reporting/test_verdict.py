from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from mechsteer.reporting import ReportData
from mechsteer.reporting.effects import effects
from mechsteer.reporting.settled import checked
from mechsteer.reporting.verdict import sentences
from mechsteer.studies.results import COLUMNS

CHOSEN, LAST = 2, 4


def _rows(language: str, clamp: tuple, random: tuple, centring: float) -> list[tuple]:
    """Paired changes at the best layer; the same at the last, with the sign turned."""
    rows = []
    for layer, sign in ((CHOSEN, 1), (LAST, -1)):
        tail = (layer, "*", "*", "retrieval_top1.delta")
        low, high = sorted((sign * clamp[1], sign * clamp[2]))
        rows.append(("edit", "clamp", language, 10, 1.0, -1, *tail, sign * clamp[0], low, high, 9))
        rows += [
            ("random", "clamp", language, 10, 1.0, seed, *tail, sign * value, -1, 1, 9)
            for seed, value in enumerate(random)
        ]
        rows.append(("centring", "", language, 0, 1.0, -1, *tail, sign * centring, 0, 1, 9))
    return rows


def study(rows: list[tuple], data: ReportData) -> ReportData:
    results = pd.DataFrame(rows, columns=list(COLUMNS))
    chosen = dict.fromkeys(results["language"].unique(), CHOSEN)
    return checked(replace(data, results=results, chosen_layer=chosen, n_layers=LAST))


@pytest.fixture
def mixed(data: ReportData) -> ReportData:
    return study(
        [
            *_rows("fra_Latn", (0.03, 0.01, 0.05), (0.00, 0.01), 0.10),
            *_rows("jpn_Jpan", (-0.02, -0.04, -0.01), (-0.01, 0.01), 0.05),
            *_rows("swh_Latn", (0.005, -0.01, 0.02), (-0.01, 0.01), 0.001),
        ],
        data,
    )


def test_the_first_sentence_counts_languages_by_their_intervals(mixed: ReportData):
    first = sentences(mixed, effects(mixed))[0]
    assert "Clamping the 10 top experts of one language" in first
    assert (
        "raised top-1 retrieval for 1 and lowered it for 1 and left it undecided for 1 of 3 "
        "languages at the best layer and the last block"
    ) in first


def test_the_first_sentence_names_every_change_of_few_languages(mixed: ReportData):
    first = sentences(mixed, effects(mixed))[0].translate({0x2068: None, 0x2069: None})
    assert "+3.0 points for fra_Latn, −2.0 points for jpn_Jpan, +0.5 points for swh_Latn" in first


def test_the_second_sentence_compares_with_the_range_of_random_neurons(mixed: ReportData):
    second = sentences(mixed, effects(mixed))[1]
    assert "2 seeds, changed it by −1.0 to +1.0 points at the best layer" in second
    assert "came out above for 1 and below for 1 and inside for 1 of 3 languages" in second


def test_the_third_sentence_compares_with_centring(mixed: ReportData):
    third = sentences(mixed, effects(mixed))[2]
    assert "changed it by +0.1 to +10.0 points" in third
    assert (
        "more than clamping experts for 2 and no more than clamping experts for 1 of 3 languages "
        "at the best layer, and more than clamping experts for 1 and no more than "
        "clamping experts for 2 of 3 languages at the last block"
    ) in third


def _compared(language: str, value: float, low: float, high: float) -> list[tuple]:
    """Paired differences to centring at the best layer; at the last one they are undecided."""
    edit = ("edit", "clamp", language, 10, 1.0, -1)
    metric = ("*", "*", "retrieval_top1.vs_centring")
    return [
        (*edit, CHOSEN, *metric, value, low, high, 9),
        (*edit, LAST, *metric, 0.0, -0.01, 0.01, 9),
    ]


@pytest.fixture
def compared(mixed: ReportData, data: ReportData) -> ReportData:
    rows = [
        *_compared("fra_Latn", -0.07, -0.09, -0.05),
        *_compared("jpn_Jpan", 0.02, 0.01, 0.03),
        *_compared("swh_Latn", 0.0, 0.0, 0.0),
    ]
    paired = study(rows, data).results
    return checked(replace(mixed, results=pd.concat([mixed.results, paired])))


def plain(text: str) -> str:
    return text.translate({0x2068: None, 0x2069: None})


def test_the_difference_to_centring_is_given_with_its_paired_interval(compared: ReportData):
    third = plain(sentences(compared, effects(compared))[2])
    assert "which touches no neuron, changed it by +0.1 to +10.0 points" in third
    assert (
        "clamping experts did better for 1 and fell short of that for 1 and did just as much for 1 "
        "of 3 languages at the best layer, and could not be told from that for all 3 "
        "languages at the last block"
    ) in third
    assert (
        "(difference with 95 % interval at the best layer: \N{MINUS SIGN}7.0 points "
        "[\N{MINUS SIGN}9.0, \N{MINUS SIGN}5.0] for fra_Latn, +2.0 points [+1.0, +3.0] for "
        "jpn_Jpan, 0.0 points [0.0, 0.0] for swh_Latn)"
    ) in third


def test_the_comparison_does_not_read_the_difference_of_the_two_changes(data: ReportData):
    # the changes say +3 against +10 points; the paired rows, which know better, say +1
    rows = [*_rows("fra_Latn", (0.03, 0.01, 0.05), (0.0, 0.01), 0.1)]
    both = study([*rows, *_compared("fra_Latn", 0.01, 0.005, 0.02)], data)
    third = plain(sentences(both, effects(both))[2])
    assert "clamping experts did better at the best layer, and could not be told" in third
    assert "+1.0 points [+0.5, +2.0] for fra_Latn" in third


def _closer(language: str, mexa: float, distance: float, edit: str = "clamp") -> list[tuple]:
    """MEXA's paired change, surely of its sign, and the distance of translations after the edit."""
    rows = []
    for layer in (CHOSEN, LAST):
        state = ("edit", edit, language, 10, 1.0, -1, layer, "*", "*")
        rows.append((*state, "mexa.delta", mexa, mexa - 0.001, mexa + 0.001, 9))
        rows.append((*state, "distance_pairs", distance, float("nan"), float("nan"), 9))
        base = ("base", "", "", 0, 1.0, -1, layer, "*", "*", "distance_pairs")
        if language == "fra_Latn":
            rows.append((*base, 0.5, float("nan"), float("nan"), 9))
    return rows


def _verdict_of_distances(data: ReportData, *cases: tuple[str, float, float, float]) -> list[str]:
    rows = []
    for language, retrieval, mexa, distance in cases:
        change = (retrieval, retrieval - 0.01, retrieval + 0.01)
        rows += [*_rows(language, change, (0.0, 0.01), 0.1), *_closer(language, mexa, distance)]
    made = study(rows, data)
    return sentences(made, effects(made))


def test_a_shrinkage_that_no_robust_measure_shares_is_called_no_alignment(data: ReportData):
    *_, last = _verdict_of_distances(data, ("fra_Latn", 0.0, -0.01, 0.3))
    assert last == (
        "The mean distance between translations shrank by 40 % at the best layer, and "
        "neither retrieval nor MEXA surely rose with it: any constant offset shrinks distances, so "
        "this shows no alignment."
    )


def test_languages_whose_distances_alone_shrank_are_counted(data: ReportData):
    *_, last = _verdict_of_distances(
        data,
        ("fra_Latn", 0.0, 0.0, 0.4),
        ("jpn_Jpan", -0.1, -0.1, 0.1),
        ("swh_Latn", 0.3, 0.3, 0.1),
    )
    assert "shrank by 20 % to 80 % for 2 of 3 languages at the best layer" in last


@pytest.mark.parametrize(
    ("retrieval", "mexa", "distance"),
    [(0.3, 0.0, 0.3), (0.0, 0.3, 0.3), (0.0, 0.0, 0.49), (0.0, 0.0, 0.7)],
    ids=["retrieval rose", "mexa rose", "hardly shrank", "grew"],
)
def test_distances_are_not_spoken_of_otherwise(
    data: ReportData, retrieval: float, mexa: float, distance: float
):
    said = _verdict_of_distances(data, ("fra_Latn", retrieval, mexa, distance))
    assert len(said) == 3
    assert not any("distance" in sentence for sentence in said)


def test_agreement_of_all_languages_is_said_once(data: ReportData):
    alike = [
        row
        for code in ("fra_Latn", "jpn_Jpan")
        for row in _rows(code, (0.03, 0.01, 0.05), (0.0, 0.01), 0.1)
    ]
    first, second, _ = sentences(study(alike, data), effects(study(alike, data)))
    assert "raised top-1 retrieval for all 2 languages at the best layer" in first
    assert "above for all 2 languages at the best layer" in second


def test_one_language_is_named_and_an_edit_that_moved_nothing_is_said_to_have(data: ReportData):
    one = study(_rows("fra_Latn", (0.0, 0.0, 0.0), (0.0, 0.0), 0.1), data)
    first, second, third = sentences(one, effects(one))
    assert first.startswith(
        "Clamping the 10 top experts of \u2068fra_Latn\u2069 did not change top-1 retrieval at the "
        "best layer and the last block"
    )
    assert "came out inside at the best layer and the last block" in second
    assert "more than clamping experts at the best layer" in third


def test_an_edit_without_experts_is_compared_with_no_random_neurons(data: ReportData):
    rows = list(_rows("fra_Latn", (0.03, 0.01, 0.05), (), 0.1))
    renamed = [(kind, "diffmean" if edit else "", *rest) for kind, edit, *rest in rows]
    whole = study(rows, data)
    results = pd.DataFrame(renamed, columns=list(COLUMNS)).assign(k=0)
    first, second = sentences(
        made := checked(replace(whole, results=results, k={"diffmean": 0})), effects(made)
    )
    assert plain(first).startswith("Applying “diffmean” for fra_Latn raised top-1 retrieval at")
    assert "more than applying “diffmean” at the best layer" in second


def test_many_languages_are_given_by_their_extremes(data: ReportData):
    rows = [
        row for i in range(6) for row in _rows(f"l{i}", (0.01 * i, -1.0, 1.0), (0.0, 0.01), 0.1)
    ]
    first = sentences(study(rows, data), effects(study(rows, data)))[0]
    assert "from 0.0 points for \u2068l0\u2069 to +5.0 points for \u2068l5\u2069" in first


@pytest.mark.parametrize(
    ("missing", "words"),
    [("random", "No random neurons were run"), ("centring", "No centring was run")],
)
def test_a_missing_control_is_said(mixed: ReportData, missing: str, words: str):
    without = checked(replace(mixed, results=mixed.results[mixed.results["kind"] != missing]))
    assert any(words in sentence for sentence in sentences(without, effects(without)))


def test_effects_without_paired_rows_are_differences_of_values(data: ReportData):
    plain = checked(
        replace(data, results=data.results[~data.results["metric"].str.contains("delta")])
    )
    paired = checked(data)
    keys = ["language", "place", "kind"]
    got = effects(plain).set_index(keys)["value"]
    expected = effects(paired).set_index(keys)["value"]
    # both are differences of numbers below one: a few units of the last place
    pd.testing.assert_series_equal(got, expected, atol=1e-15, rtol=0, check_dtype=False)


def test_effects_of_pairs_with_the_steered_language_are_their_own(data: ReportData):
    settled = checked(data)
    query = effects(settled, pairs="query")
    at = data.results.query(
        "kind == 'edit' and language == 'fra_Latn' and metric == 'retrieval_top1.delta' "
        "and source == 'fra_Latn' and target == '*' and layer == 3"
    )
    own = query.query("language == 'fra_Latn' and kind == 'edit' and place == 'best_layer'")
    assert own["value"].item() == at["value"].item()


def test_the_k_shown_is_the_one_that_controls_ran_at(data: ReportData):
    larger = data.results[data.results["kind"] == "edit"].assign(k=500)
    both = checked(replace(data, results=pd.concat([data.results, larger])))
    assert both.k_of("clamp") == 50
    assert set(both.shown["k"]) == {0, 50}
