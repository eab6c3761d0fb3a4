"""Exploring a page: sorting, searching, filtering, saving, and addresses that keep all that."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from mechsteer.reporting import ReportData
from tests.reporting.screens import Watched, barriers, visible_rows

pytestmark = pytest.mark.browser


def column(table: Any, place: int) -> list[str]:
    return table.locator(f"tbody td:nth-child({place})").all_text_contents()


def as_number(text: str) -> float:
    return float(text.replace("\u2212", "-").replace("\u2013", "nan"))


def test_a_click_sorts_and_another_turns_the_order(wide: Watched) -> None:
    table = wide.page.locator("#verdict table.sortable").last
    names = table.locator("th").all_text_contents()
    place = names.index("change") + 1
    head = table.locator(f"th:nth-child({place})")
    before = column(table, place)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    falling = list(map(as_number, column(table, place)))
    assert falling == sorted(map(as_number, before), reverse=True) != list(map(as_number, before))
    head.locator("button").focus()
    wide.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert list(map(as_number, column(table, place))) == falling[::-1]


def test_words_sort_as_words_and_only_one_column_is_marked(wide: Watched) -> None:
    table = wide.page.locator("#verdict table.sortable").last
    for name in ("change", "language"):
        table.get_by_role("button", name=name, exact=True).click()
    assert table.locator("th[aria-sort]").count() == 1
    languages = column(table, table.locator("th").all_text_contents().index("language") + 1)
    assert languages == sorted(languages)


def test_the_data_of_a_figure_open_as_a_table_that_sorts(wide: Watched, data: ReportData) -> None:
    figure = wide.page.locator("#experts")
    figure.locator("summary").click()
    table = figure.locator("table.sortable")
    assert table.locator("tbody tr").count() == len(data.counts)
    table.get_by_role("button", name="count", exact=True).click()
    counts = list(map(as_number, column(table, 3)))
    assert counts == sorted(data.counts["count"], reverse=True)


@pytest.mark.parametrize("figure", ["experts", "plane", "effects"])
def test_data_are_saved_as_csv(
    wide: Watched, data: ReportData, tmp_path: Path, figure: str
) -> None:
    if figure != "effects":
        wide.page.locator(f"#{figure} summary").click()
    with wide.page.expect_download() as saved:
        wide.page.locator(f'a[download="{figure}.csv"]').click()
    saved.value.save_as(tmp_path / "saved.csv")
    with (tmp_path / "saved.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert {len(row) for row in rows} == {len(head)}
    if figure == "experts":
        assert [int(row[2]) for row in rows] == list(data.counts["count"])


def test_languages_edits_metrics_and_layers_are_filtered_in_place(wide: Watched) -> None:
    page = wide.page
    page.locator("#filters > summary").click()
    every = len(visible_rows(page, "verdict"))
    for value in ("jpn_Jpan", "centring", "mexa"):
        page.locator(f"#filters input[value={value}]").uncheck()
    page.locator("input[name=passed-from]").fill("4")
    left = visible_rows(page, "verdict")
    assert 0 < len(left) < every
    for row in left:
        metric, _, language, place, passed, edit, *_ = row.split("\t")
        assert (metric, language) != ("mexa", "jpn_Jpan") and metric == "retrieval_top1"
        assert language != "jpn_Jpan" and edit != "centring" and int(passed) >= 4, place
    assert page.locator("#mexa").is_hidden()
    assert page.locator('#retrieval_top1 .panel[data-language="jpn_Jpan"]').is_hidden()
    assert page.locator('#retrieval_top1 [data-arm="centring"]:visible').count() == 0
    assert page.locator('#retrieval_top1 [data-arm="clamp"]:visible').count() > 0
    assert page.locator("#retrieval_top1 .panel:visible .veil").count() == 2 * 4  # rows 0 to 3
    assert page.locator("#card-1").is_hidden()
    page.get_by_role("button", name="Languages: all").click()
    assert page.locator("#card-1").is_visible()


def test_filters_say_what_is_left_and_are_kept_in_the_address(wide: Watched) -> None:
    page, said = wide.page, wide.page.locator("#filters output")
    page.locator("#filters > summary").click()
    page.locator("#filters input[value=jpn_Jpan]").uncheck()
    page.locator("input[name=passed-to]").fill("4")
    kept = page.locator("#verdict tbody tr:visible").count()
    address, words = page.url, said.inner_text()
    page.locator("nav a", has_text="Layers").click()
    assert page.url.partition("#")[2] == "layers?without-language=jpn_Jpan&passed=0-4"
    page.get_by_role("button", name="Show everything").click()
    page.wait_for_function("document.querySelector('input[value=jpn_Jpan]').checked")
    assert page.url.endswith("#layers") and " of " not in said.inner_text().partition(":")[2]
    page.goto("about:blank")
    page.goto(address)
    assert said.inner_text() == words
    assert page.locator("#verdict tbody tr:visible").count() == kept
    page.get_by_role("button", name="Languages: none").click()
    assert page.locator("#verdict output").inner_text() == "none of 84 rows: nothing passes"
    assert page.locator("#retrieval_top1 .none").is_visible()
    assert wide.said == []


def test_a_point_says_its_value_under_the_mouse(wide: Watched) -> None:
    picture = wide.page.locator("#matrix svg").first
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    wide.page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
    tip = wide.page.locator("#tip")
    assert " → " in tip.inner_text() and tip.inner_text().endswith("%")
    wide.page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_tables_and_cards_are_searched_and_the_rows_shown_are_saved(
    wide: Watched, tmp_path: Path
) -> None:
    page, scores = wide.page, wide.page.locator("#verdict")
    scores.get_by_label("Search").fill("SWH_latn")
    rows = visible_rows(page, "verdict")
    assert rows and all("swh_Latn" in row for row in rows)
    assert scores.locator("output").inner_text().startswith(f"{len(rows)} of ")
    with page.expect_download() as saved:
        scores.get_by_role("button", name="Save rows shown").click()
    saved.value.save_as(tmp_path / "shown.csv")
    head, *lines = csv.reader((tmp_path / "shown.csv").open(encoding="utf-8", newline=""))
    assert len(lines) == len(rows) and {line[2] for line in lines} == {"swh_Latn"}
    assert all(float(line[head.index("change")]) < 100 for line in lines)
    page.get_by_label("Search cards").fill("地球")
    assert page.locator("details.card:visible").count() == 1
    assert page.locator("#card-count").inner_text() == "1 of 3 cards"


@pytest.mark.parametrize(("kind", "begins"), [("SVG", b"<svg"), ("PNG", b"\x89PNG")])
def test_figures_are_saved(wide: Watched, tmp_path: Path, kind: str, begins: bytes) -> None:
    with wide.page.expect_download() as saved:
        wide.page.get_by_role("button", name=f"Save as {kind}").first.click()
    saved.value.save_as(tmp_path / "picture")
    found = (tmp_path / "picture").read_bytes()
    assert saved.value.suggested_filename == f"effect.{kind.lower()}"
    assert found.startswith(begins) and len(found) > 5000
    assert b"var(--" not in found
    assert wide.said == [] and wide.requests == []


def test_a_link_to_a_folded_card_opens_it(wide: Watched) -> None:
    card = wide.page.locator("#card-2")
    assert card.get_attribute("open") is None
    wide.page.evaluate("location.hash = 'card-2'")
    card.locator(".texts p").first.wait_for(state="visible")
    wide.page.locator("#layers h2 a").click()
    assert wide.page.url.endswith("#layers")


def test_runs_side_by_side(browser: Any, comparison: Path) -> None:
    with Watched(browser, comparison, width=360) as watched:
        page = watched.page
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        aside = "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
        assert page.eval_on_selector_all(".panels, .panel", aside) == 0  # runs below each other
        page.locator("#filters > summary").click()
        page.locator("#filters input[value=c]").uncheck()
        assert page.locator('#beside-best_layer .panel[data-run="c"]').is_hidden()
        assert page.locator('#beside-best_layer .panel[data-run="b"]').is_visible()
        assert all(row.startswith("b") for row in visible_rows(page, "differences"))
        assert barriers(page) == []
        assert watched.said == [] and watched.requests == []
