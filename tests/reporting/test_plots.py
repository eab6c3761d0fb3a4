from __future__ import annotations

import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from mechsteer import plots
from mechsteer.errors import MechsteerError
from mechsteer.plots.panels import GREEN, INK, VERMILLION, label
from mechsteer.reporting import ReportData
from mechsteer.reporting.svg import inline
from mechsteer.studies.conditions import Arm
from mechsteer.studies.results import distance_rows, matrix, series


def _lines(ax: Axes) -> dict[str, np.ndarray]:
    """Curves by colour: those drawn in every layer."""
    return {
        to_hex(line.get_color()): line.get_ydata() for line in ax.lines if len(line.get_xdata()) > 2
    }


def _words(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_no_figure_is_registered_with_pyplot(data: ReportData):
    plots.curves(data.results, metric="mexa", language="fra_Latn")
    assert "matplotlib.pyplot" not in sys.modules or not matplotlib.pyplot.get_fignums()


def test_curves_draw_the_table(data: ReportData):
    ax = plots.curves(data.results, metric="mexa", language="jpn_Jpan")
    rows = data.results.query("metric == 'mexa' and source == '*' and target == '*'")
    clamp = rows.query("kind == 'edit' and language == 'jpn_Jpan'")["value"]
    base = rows.query("kind == 'base'")["value"]
    np.testing.assert_array_equal(_lines(ax)[VERMILLION], clamp)
    np.testing.assert_array_equal(_lines(ax)[INK], base)


def test_several_seeds_are_their_mean_and_range(data: ReportData):
    line = series(data.results, Arm("random", "clamp"), language="fra_Latn", metric="mexa")
    rows = data.results.query(
        "kind == 'random' and language == 'fra_Latn' and metric == 'mexa' "
        "and source == '*' and target == '*'"
    )
    by_layer = rows.groupby("layer")["value"]
    np.testing.assert_allclose(line["value"], by_layer.mean(), rtol=1e-15)  # one mean, other order
    np.testing.assert_array_equal(line["low"], by_layer.min())
    np.testing.assert_array_equal(line["high"], by_layer.max())


def test_two_ks_in_one_line_are_refused(data: ReportData):
    other = data.results[data.results["kind"] == "edit"].assign(k=500)
    both = pd.concat([data.results, other])
    with pytest.raises(MechsteerError, match="filter the results to one k"):
        plots.curves(both, metric="mexa", language="fra_Latn")


def test_chance_is_drawn_where_it_is_known(data: ReportData):
    ax = plots.curves(data.results, metric="mexa", language="fra_Latn", chance=0.01)
    assert "chance" in _words(ax)
    assert "chance" not in _words(plots.curves(data.results, metric="mexa", language="fra_Latn"))


def test_labels_at_line_ends_never_touch(data: ReportData):
    ax = plots.curves(data.results, metric="retrieval_top1", language="fra_Latn", chance=0.01)
    heights = sorted(text.get_position()[1] for text in ax.texts)
    points = np.diff(heights) * ax.bbox.height / ax.figure.dpi * 72
    assert points.min() > 8.5  # the size of the letters


@pytest.mark.parametrize("n_languages", [1, 8])
@pytest.mark.parametrize("n_arms", [1, 3, 6])
def test_names_of_marks_touch_no_other_mark(n_arms: int, n_languages: int):
    arms = [("edit", "clamp"), ("random", "clamp"), ("centring", ""), ("dimensions", "")]
    arms += [("standardisation", ""), ("edit", "damp")]
    kinds, edits = zip(*arms[:n_arms], strict=True)
    parts = [
        pd.DataFrame({"language": f"l{i}", "kind": kinds, "edit": edits, "value": -0.001})
        for i in range(n_languages)
    ]
    ax = plots.effects(pd.concat(parts).assign(low=-0.08, high=0.08))
    rows = [line.get_ydata()[0] for line in ax.lines if line.get_gid()]
    ends = ax.transData.transform([(0, row) for row in rows])[:, 1] * 72 / ax.figure.dpi
    assert len(ax.texts) == len(rows) == n_arms
    apart = 1.4 * 8.5  # a line of its letters, in any font
    assert all(apart <= gap for gap in -np.diff(ends))
    between = ax.transData.transform([(0, 0), (0, 1)])[:, 1] * 72 / ax.figure.dpi
    assert between[0] - between[1] >= ends[0] - ends[-1] + 1.5 * apart  # languages stand apart


def test_panels_of_one_table_share_their_scale(data: ReportData):
    limits = {
        plots.curves(data.results, metric="mexa", language=code).get_ylim()
        for code in ("fra_Latn", "jpn_Jpan", "swh_Latn")
    }
    assert len(limits) == 1


def test_an_edit_nobody_knows_gets_a_colour_of_its_own(data: ReportData):
    rows = data.results[data.results["kind"] == "edit"].assign(edit="transport")
    ax = plots.curves(pd.concat([data.results, rows]), metric="mexa", language="fra_Latn")
    assert len(_lines(ax)) == 5
    assert "transport" in _words(ax)


@pytest.mark.parametrize("share", [0.5, 0.0, 1.0, 0.104])
def test_cells_show_their_percentage(data: ReportData, share: float):
    rows = data.results[data.results["source"].isin(["eng_Latn", "deu_Latn"])]
    rows = rows[rows["target"].isin(["eng_Latn", "deu_Latn"])].assign(value=share)
    ax = plots.retrieval_matrix(rows, layer=3)
    assert _words(ax) == [f"{round(100 * share)}"] * 2


def test_the_difference_matrix_is_edit_minus_base_on_a_symmetric_scale(data: ReportData):
    ax = plots.retrieval_matrix(
        data.results, Arm("edit", "clamp"), layer=3, language="fra_Latn", delta=True
    )
    image = ax.images[0]
    edited, base = (
        matrix(data.results, arm, layer=3, language="fra_Latn", metric="retrieval_top1")
        for arm in (Arm("edit", "clamp"), Arm("base"))
    )
    np.testing.assert_array_equal(image.get_array().filled(np.nan), edited - base)
    assert image.norm.vmin == -image.norm.vmax
    assert image.get_cmap().name == "RdBu_r"


def test_matrices_of_many_languages_carry_no_numbers():
    codes = [f"l{i:02d}" for i in range(15)]
    pairs = [(s, t) for s in codes for t in codes if s != t]
    rows = pd.DataFrame(pairs, columns=["source", "target"]).assign(
        kind="base", edit="", language="", metric="retrieval_top1", layer=1, value=0.5
    )
    assert _words(plots.retrieval_matrix(rows, layer=1)) == []


def test_the_distance_to_a_target_is_the_mean_over_the_other_languages(data: ReportData):
    rows = distance_rows(data.results, "fra_Latn").query("metric == 'distance_target'")
    got = rows.query("kind == 'edit' and layer == 4")["value"].item()
    source = data.results.query(
        "metric == 'distance_target' and kind == 'edit' and target == 'fra_Latn' and layer == 4"
    )
    assert len(source) == 11
    assert got == pytest.approx(source["value"].mean(), rel=1e-15)


def test_the_three_distances_are_drawn_for_every_edit(data: ReportData):
    axes = plots.distances(data.results, language="fra_Latn")
    assert [len(_lines(ax)) for ax in axes] == [4, 4, 4]


def test_bars_count_experts_and_the_line_is_what_chance_gives(data: ReportData):
    ax = plots.experts_per_layer(data.counts, language="deu_Latn")
    own = data.counts.query("language == 'deu_Latn'")["count"]
    bars, line = ax.patches
    corners = bars.get_path().vertices.reshape(6, 5, 2)
    assert list(corners[:, :, 1].max(1)) == list(own)
    line = line.get_data().values
    np.testing.assert_allclose(line, 50 / 6, rtol=1e-15)


def test_effects_mark_every_language_and_edit(data: ReportData):
    table = pd.DataFrame(
        [
            ("a", "edit", "clamp", 0.1, 0.0, 0.2),
            ("b", "edit", "clamp", -0.1, -0.2, 0.0),
            ("a", "centring", "", 0.3, 0.2, 0.4),
        ],
        columns=["language", "kind", "edit", "value", "low", "high"],
    )
    ax = plots.effects(table)
    marks = {to_hex(line.get_color()): list(line.get_xdata()) for line in ax.lines}
    assert marks[VERMILLION] == [0.1, -0.1]
    assert marks[GREEN] == [0.3]


@pytest.mark.parametrize("text", ["a$b$c", "$\\frac", "\u202ex\0y", "字" * 50, ""])
def test_any_text_can_be_a_label(data: ReportData, text: str):
    counts = data.counts.assign(language=text)
    counts = counts[~counts["layer"].duplicated()]
    ax = plots.experts_per_layer(counts, language=text)
    assert "<svg" in inline(ax, key="k", alt="a picture of bars")
    assert len(label(text)) <= 20  # 18 letters and two escaped dollars at most


def test_inline_figures_take_the_colour_of_the_page(data: ReportData):
    svg = inline(plots.curves(data.results, metric="mexa", language="fra_Latn"), key="k", alt="alt")
    assert "currentColor" in svg
    assert "var(--vermillion)" in svg
    assert INK not in svg
    assert "font-family" not in svg
