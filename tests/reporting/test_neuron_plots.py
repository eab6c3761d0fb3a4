from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

import mechsteer as ms
from mechsteer import plots
from mechsteer.analysis.detection import activation_histogram, precision_recall
from mechsteer.plots.experts import clustered
from mechsteer.plots.panels import BLUE, VERMILLION
from mechsteer.reporting import ReportData
from mechsteer.reporting.svg import inline
from mechsteer.studies.conditions import Arm

VALUES = np.random.default_rng(0).normal(0, 1, 200) + 3 * (np.arange(200) < 40)
POSITIVE = np.arange(200) < 40


def words(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_plots_are_reached_lazily_and_leave_pyplot_alone() -> None:
    code = (
        "import sys, mechsteer as ms; assert 'matplotlib' not in sys.modules; ms.plots.overlap; "
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
    assert ms.plots is plots


def every_figure(data: ReportData) -> dict[str, Callable[[], Axes]]:
    histogram = activation_histogram(VALUES, POSITIVE)
    curve = precision_recall(VALUES, POSITIVE)
    scores = data.cards.scores[data.cards.scores["card"] == 0]
    dose = {"edit": "clamp", "language": "fra_Latn"}
    return {
        "layer_ap": lambda: plots.layer_ap(data.counts),
        "overlap": lambda: plots.overlap(data.overlap),
        "projection": lambda: plots.projection(data.projection),
        "hubness": lambda: plots.hubness(data.hubness, language="fra_Latn"),
        "dose_response": lambda: plots.dose_response(data.doses, **dose)[0],
        "activations": lambda: plots.activations(histogram, language="fra_Latn", clamp=2.0),
        "precision_recall": lambda: plots.precision_recall(curve, chance=0.2, ap=0.9),
        "language_scores": lambda: plots.language_scores(scores, language="fra_Latn"),
    }


def test_every_figure_is_inline_repeatable_and_says_something(data: ReportData) -> None:
    for name, draw in every_figure(data).items():
        first, again = (inline(draw(), key=name, alt="alt") for _ in range(2))
        assert first == again, name
        assert first.count("<text") > 3, name
        assert len(first) < 60_000, name


def test_the_heatmap_has_the_tables_ap_and_starts_at_chance(data: ReportData) -> None:
    ax = plots.layer_ap(data.counts)
    image = ax.images[0]
    wide = data.counts.pivot(index="language", columns="layer", values="ap_max")
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    np.testing.assert_array_equal(image.get_array(), wide.loc[names])
    assert image.norm.vmin == pytest.approx(1 / 12)
    assert image.get_cmap().name == "cividis"


def test_languages_that_share_experts_stand_side_by_side() -> None:
    groups = {"a": 0, "b": 1, "c": 0, "d": 1}
    rows = [
        (one, other, 1.0 if one == other else 0.6 if groups[one] == groups[other] else 0.02)
        for one in groups
        for other in groups
    ]
    table = pd.DataFrame(rows, columns=["language", "other", "jaccard"])
    ax = plots.overlap(table)
    order = "".join(tick.get_text() for tick in ax.get_yticklabels())
    assert order in ("acbd", "acdb", "cabd", "cadb", "bdac", "bdca", "dbac", "dbca")
    cells = ax.images[0].get_array()
    assert cells.mask[np.diag_indices(4)].all()
    assert cells[0, 1] == cells[2, 3] == 0.6
    assert clustered(np.eye(2)) == [0, 1]


def test_planes_of_one_table_share_axes_and_draw_all_points(data: ReportData) -> None:
    kinds = ("base", "centring")
    panels = [plots.projection(data.projection, Arm(kind)) for kind in kinds]
    assert panels[0].get_xlim() == panels[1].get_xlim()
    for ax, kind in zip(panels, kinds, strict=True):
        drawn = np.concatenate([points.get_offsets() for points in ax.collections])
        rows = data.projection[data.projection["kind"] == kind]
        np.testing.assert_array_equal(np.sort(drawn[:, 0]), np.sort(rows["x"]))
        assert all(points.get_rasterized() for points in ax.collections)


def test_names_on_a_plane_never_touch(data: ReportData) -> None:
    ax = plots.projection(data.projection, Arm("base"))
    places = np.array([text.xy for text in ax.texts if text.get_text()])
    assert len(places) == 12
    for i, (x, y) in enumerate(places):
        for a, b in places[:i]:
            assert abs(x - a) > 12 or abs(y - b) >= 8.4


@pytest.mark.parametrize("apart", [0.0, 2.0, 40.0])
def test_names_on_a_plane_stand_at_their_means_or_lead_there(apart: float) -> None:
    rows = [
        ("base", "", "", source, i * apart + at, at, 0.5, 0.5)
        for i, source in enumerate(("fra_Latn", "jpn_Jpan", "swh_Latn"))
        for at in (-100.0, 100.0)
    ]
    columns = ["kind", "edit", "language", "source", "x", "y", "x_share", "y_share"]
    ax = plots.projection(pd.DataFrame(rows, columns=columns))
    names = {text.get_text(): text for text in ax.texts if text.get_text()}
    if apart < 40:
        assert [*names] == ["3 languages"]
    else:
        assert {*names} == {"fra", "jpn", "swh"}
    for name, text in names.items():
        mean = {"fra": 0, "jpn": apart, "swh": 2 * apart}.get(name, apart)
        x, y = 72 / ax.figure.dpi * ax.transData.transform((mean, 0.0))
        assert text.xy[0] == pytest.approx(x)
        leads = [a for a in ax.texts if not a.get_text() and a.xy == pytest.approx((x, y))]
        assert text.xy[1] == pytest.approx(y) or len(leads) == 1


def test_the_steered_language_has_the_colour_of_the_edit(data: ReportData) -> None:
    ax = plots.projection(data.projection, Arm("edit", "clamp"), language="fra_Latn")
    colours = [to_hex(points.get_facecolor()[0]) for points in ax.collections]
    assert colours.count(VERMILLION) == 1


def test_a_hubness_histogram_sums_to_one_and_names_its_skewness(data: ReportData) -> None:
    ax = plots.hubness(data.hubness, language="fra_Latn")
    for patch in ax.patches:
        assert patch.get_data().values.sum() == pytest.approx(1)
    assert len(ax.patches) == 4
    assert "clamp 1.5" in words(ax)


def test_doses_draw_retrieval_above_and_cost_below(data: ReportData) -> None:
    axes = plots.dose_response(data.doses, edit="clamp", language="fra_Latn")
    assert [ax.get_ylabel() for ax in axes] == ["top-1 retrieval", "bits per byte"]
    assert axes[0].get_xscale() == "log"
    lines = {tuple(line.get_ydata()) for line in axes[0].lines if len(line.get_xdata()) == 3}
    rows = data.doses.query("language == 'fra_Latn' and metric == 'retrieval_top1'")
    assert lines == {tuple(own["value"]) for _, own in rows.groupby("strength")}
    assert {"none", "λ = 0.5", "λ = 1"} <= set(words(axes[0]))


def test_doses_without_a_cost_are_one_panel_and_one_k_gives_strength_its_axis(
    data: ReportData,
) -> None:
    rows = data.doses[(data.doses["metric"] != plots.COST) & data.doses["k"].isin([0, 50])]
    (ax,) = plots.dose_response(rows, edit="clamp", language="fra_Latn")
    assert ax.get_xlabel() == "strength (λ)"
    assert "k = 50" in words(ax)


def test_the_clamp_value_is_marked_even_beyond_the_activations() -> None:
    histogram = activation_histogram(VALUES, POSITIVE)
    ax = plots.activations(histogram, clamp=99.0)
    (line,) = ax.lines
    assert to_hex(line.get_color()) == BLUE
    assert line.get_xdata()[0] == 99.0 <= ax.get_xlim()[1]
    assert not plots.activations(histogram).lines


@pytest.mark.parametrize("clamp", [-9.0, 1.0, 6.0])
def test_the_line_of_a_clamp_stays_below_the_names(clamp: float) -> None:
    ax = plots.activations(activation_histogram(VALUES, POSITIVE), language="fra", clamp=clamp)
    (line,) = ax.lines
    top = ax.transData.transform((clamp, max(line.get_ydata())))[1]
    assert len(ax.texts) == 3
    assert top < min(text.get_window_extent().y0 for text in ax.texts)


def test_significant_cells_are_framed(data: ReportData) -> None:
    keys = {"arm": Arm("edit", "clamp"), "layer": 3, "language": "fra_Latn"}
    pairs = data.results.query(
        "kind == 'edit' and language == 'fra_Latn' and layer == 3 "
        "and metric == 'retrieval_top1' and source != '*' and target != '*'"
    )
    significant = (pairs["source"] == "deu_Latn") & (pairs["target"] == "eng_Latn")
    p = pairs.assign(metric="retrieval_top1.p", value=np.where(significant, 0.05, 0.06))
    ax = plots.retrieval_matrix(pd.concat([data.results, p]), delta=True, **keys)
    (frame,) = ax.patches
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    box = frame.get_path().get_extents()
    centre = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    assert centre == pytest.approx((names.index("eng_Latn"), names.index("deu_Latn")))
    assert not plots.retrieval_matrix(data.results, delta=True, **keys).patches
