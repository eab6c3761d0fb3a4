"""What points of a picture say under the mouse: the right words at the right place."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechsteer import plots
from mechsteer.plots.panels import row_name
from mechsteer.plots.spots import spots_of, tell
from mechsteer.reporting import ReportData
from mechsteer.reporting.experts import overlap_figure
from mechsteer.reporting.matrices import change_figure
from mechsteer.reporting.settled import checked
from mechsteer.reporting.svg import inline
from mechsteer.studies.conditions import Arm


def told(ax: Axes) -> list[str]:
    return [text for _, _, text in spots_of(ax.figure)]


def test_a_point_is_told_where_it_is_drawn() -> None:
    ax = Figure(figsize=(2, 1)).add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 10), ylim=(0, 10))
    tell(ax, [0, 5, 10], [10, float("nan"), 2.5], ["left top", "nowhere", "right"])
    assert [*spots_of(ax.figure)] == [
        (pytest.approx(0), pytest.approx(0), "left top"),
        (pytest.approx(144), pytest.approx(54), "right"),
    ]


def test_curves_tell_arm_layers_value_and_interval(data: ReportData) -> None:
    ax = plots.curves(data.results, metric="retrieval_top1", language="fra_Latn")
    rows = data.results.query(
        "metric == 'retrieval_top1' and source == '*' and target == '*' and layer == 3 "
        "and kind == 'edit' and language == 'fra_Latn'"
    )
    value, low, high = (
        f"{100 * rows[name].item():.3g}%" for name in ("value", "ci_low", "ci_high")
    )
    assert f"clamp, after 3 layers: {value} [{low}, {high}]" in told(ax)
    assert len(told(ax)) == 4 * 8  # arms by rows
    assert row_name(7, 6) == "final norm"


def test_cells_tell_both_languages(data: ReportData) -> None:
    ax = plots.retrieval_matrix(data.results, layer=3)
    assert len(told(ax)) == 12 * 11
    assert any(re.fullmatch(r"eng_Latn → fra_Latn: [\d.]+%", text) for text in told(ax))


def test_a_picture_on_the_page_carries_its_words_and_its_arms(data: ReportData) -> None:
    ax = plots.curves(data.results, metric="mexa", language="fra_Latn")
    html = str(inline(ax, key="x", alt="alt"))
    words, last = [], ""
    for spot in unescape(re.search(r'data-spots="([^"]*)"', html)[1]).split("|"):
        _, _, same, rest = re.fullmatch(r"(\d+) (\d+) (\d+) (.*)", spot).groups()
        last = last[: int(same)] + rest
        words.append(last)
    assert words == told(ax)
    assert {"none", "clamp", "random", "centring"} <= set(re.findall(r'data-arm="([^"]+)"', html))
    assert re.search(r'data-frame="\d+ \d+ \d+ \d+"', html)


def test_an_edit_with_an_impossible_name_is_drawn(data: ReportData) -> None:
    rows = data.results.replace({"edit": {"clamp": "a\0\u202e<b>"}})
    ax = plots.curves(rows, metric="mexa", language="fra_Latn")
    assert "a��&lt;b&gt;" in str(inline(ax, key="x", alt="alt"))


def test_a_matrix_of_zeros_is_a_sentence(small: ReportData) -> None:
    none = small.overlap.assign(jaccard=0.0, shared=0)
    figure = overlap_figure(replace(small, overlap=none))
    assert figure is not None and figure.panels == ()
    assert "No neuron is among the experts of two of the 3 languages" in figure.caption


def test_pairs_that_no_edit_changed_are_a_sentence(small: ReportData) -> None:
    pairs = (small.results["source"] != "*") & (small.results["target"] != "*")
    still = small.results.assign(value=small.results["value"].where(~pairs, 0.25))
    figure = change_figure(checked(replace(small, results=still)))
    assert figure is not None and figure.panels == ()
    assert figure.caption == "Not one pair changed for fra_Latn."


def test_effects_tell_points(small: ReportData) -> None:
    table = pd.DataFrame(
        [("fra", *Arm("edit", "clamp"), 0.1, 0.05, 0.2)],
        columns=["language", "kind", "edit", "value", "low", "high"],
    )
    assert told(plots.effects(table)) == ["clamp, fra: +10 [+5, +20] points"]
