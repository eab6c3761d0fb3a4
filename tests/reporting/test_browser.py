"""The page in a real browser: no errors, no network, sorting, saving, accessibility, both themes.

Chromium is Debian's (``apt-get install chromium fonts-noto-cjk``); nothing is downloaded.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mechsteer.reporting import ReportData, write_report
from mechsteer.reporting.compare import write_comparison
from mechsteer.reporting.runs import Compared
from tests.reporting.conftest import LANGUAGES
from tests.reporting.profits import similarity, transfer

pytestmark = pytest.mark.browser
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
WIDTHS = (360, 1440)
SCHEMES = ("light", "dark")
HOSTILE = "\u202e<script>alert(1)</script><img src=//x onerror=alert(1)> '\"&👩🏽‍🔬" + "w" * 100_000


class Watched:
    """A page on a screen of some width, with all it says and all it asks the network for."""

    def __init__(self, browser: Any, path: Path, *, width: int, scheme: str, **options: Any):
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, **options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    @property
    def requests(self) -> list[str]:
        """What was asked for, but for the page itself and what it holds in its own text."""
        own = ("data:", "blob:", self.page.url.partition("#")[0])
        return [address for address in self.asked if not address.startswith(own)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium fonts-noto-cjk")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def path(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    languages = LANGUAGES[:8]
    whole = replace(data, similarity=similarity(languages), transfer=transfer(languages[:4]))
    return write_report(whole, tmp_path_factory.mktemp("browser") / "report.html")


LOOKS = [(w, s) for w in WIDTHS for s in SCHEMES]


@pytest.fixture(scope="module", params=LOOKS, ids=lambda p: f"{p[1]} {p[0]}")
def opened(browser: Any, path: Path, request: pytest.FixtureRequest) -> Iterator[Watched]:
    width, scheme = request.param
    watched = Watched(browser, path, width=width, scheme=scheme)
    yield watched
    watched.context.close()


@pytest.fixture(scope="module")
def still(browser: Any, path: Path) -> Iterator[Watched]:
    """A page that tests only look at."""
    watched = Watched(browser, path, width=1440, scheme="light")
    yield watched
    watched.context.close()


@pytest.fixture
def wide(browser: Any, path: Path) -> Iterator[Watched]:
    watched = Watched(browser, path, width=1440, scheme="light")
    yield watched
    watched.context.close()


def open_all(page: Any) -> None:
    page.eval_on_selector_all("main details", "all => all.forEach(one => one.open = true)")
    page.wait_for_function("!document.querySelector('pre.csv')")


def test_the_page_is_not_endless(opened: Watched) -> None:
    height = opened.page.evaluate("document.documentElement.scrollHeight")
    assert height < 19_000  # of a study of 12 languages, 3 of them steered


def test_the_page_opens_without_a_word_and_asks_for_nothing(opened: Watched) -> None:
    open_all(opened.page)
    assert opened.said == []
    assert opened.requests == []


def test_the_policy_would_stop_a_request(wide: Watched) -> None:
    wide.page.evaluate(
        "document.body.append(Object.assign(new Image(), {src: 'http://a.b/c.png'}))"
    )
    wide.page.wait_for_timeout(100)
    assert any("Content Security Policy" in words for words in wide.said)


def test_the_page_fits_its_screen(opened: Watched) -> None:
    width = opened.page.viewport_size["width"]
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_figure_is_drawn(opened: Watched) -> None:
    boxes = opened.page.eval_on_selector_all(
        "figure svg",
        "all => all.map(svg => [svg.getBoundingClientRect().width, "
        "svg.getBBox().width * svg.getBBox().height, svg.querySelectorAll('path,image').length])",
    )
    assert len(boxes) == 62
    for width, area, shapes in boxes:
        assert width > 150
        assert area > 1000
        assert shapes > 2


def test_pictures_of_points_and_cells_are_decoded(still: Watched) -> None:
    waits = """async () => Promise.all([...document.querySelectorAll("svg image")].map(image => {
        const probe = new Image(); probe.src = image.href.baseVal;
        return probe.decode().then(() => probe.naturalWidth); }))"""
    sizes = still.page.evaluate(waits)
    assert len(sizes) >= 1 + 1 + 1 + 3 + 3  # AP, overlap, pairs, changes, planes
    assert min(sizes) > 3


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


def test_without_scripts_everything_is_still_there(browser: Any, path: Path) -> None:
    bare = Watched(browser, path, width=1440, scheme="light", java_script_enabled=False)
    bare.page.locator("#experts summary").click()
    assert "language,layer,count" in bare.page.locator("#data-experts").inner_text()
    assert bare.page.locator("#verdict table tbody tr").count() > 10
    bare.page.locator("#card-1 > summary").click()
    assert bare.page.locator("#card-1 .texts p").first.is_visible()
    heads = bare.page.locator("th button:visible").count()
    assert bare.page.locator("button:visible").count() == heads > 10
    assert bare.page.locator("input, output, #filters").count() == 0
    bare.context.close()


def test_right_to_left_and_cjk_sentences_stay_whole(still: Watched) -> None:
    open_all(still.page)
    arabic = still.page.locator("#card-2 .texts p").first
    assert arabic.inner_text() == "مرحبا بالعالم"
    assert arabic.evaluate("p => getComputedStyle(p).direction") == "rtl"
    japanese = still.page.locator("#card-1 .texts p").first
    assert japanese.inner_text() == "地球そのものが大きな磁石です。"
    assert japanese.get_attribute("lang") == "ja"


def test_hostile_text_is_only_text(browser: Any, data: ReportData, tmp_path: Path) -> None:
    old = data.steered[0]
    cards = replace(data.cards, sentences=data.cards.sentences.assign(text=HOSTILE))
    renamed = replace(
        data,
        manifest={"model": HOSTILE},
        command=HOSTILE,
        results=data.results.replace(old, HOSTILE),
        counts=data.counts.replace(old, HOSTILE),
        chosen_layer={HOSTILE if c == old else c: at for c, at in data.chosen_layer.items()},
        cards=cards,
    )
    page = write_report(renamed, tmp_path / "hostile.html")
    watched = Watched(browser, page, width=360, scheme="light")
    open_all(watched.page)
    assert watched.said == []
    assert watched.requests == []
    assert watched.page.locator("img").count() == 0
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert "<script>alert(1)</script>" in watched.page.locator("#reproduce code").inner_text()
    watched.context.close()


def serious(page: Any) -> list[tuple[str, str, str]]:
    """What axe-core finds that keeps people out."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    return [
        (rule["id"], rule["impact"], rule["nodes"][0]["html"][:200])
        for rule in axe.Axe().run(page).response["violations"]
        if rule["impact"] in ("serious", "critical")
    ]


def test_the_accessibility_check_finds_nothing_serious(opened: Watched) -> None:
    closed = "figure:not(#experts, #card-0-figure) details.data"  # a few tables speak for all
    opened.page.eval_on_selector_all(closed, "all => all.forEach(one => one.remove())")
    opened.page.evaluate("document.querySelector('#filters').open = true")
    assert serious(opened.page) == []


def visible_rows(page: Any, section: str) -> list[str]:
    return page.locator(f"#{section} table.sortable tbody tr:visible").all_inner_texts()


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


def test_runs_side_by_side(browser: Any, runs: list[Compared], tmp_path: Path) -> None:
    path = write_comparison(runs, tmp_path / "compare.html")
    watched = Watched(browser, path, width=360, scheme="light")
    page = watched.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("#filters > summary").click()
    page.locator("#filters input[value=c]").uncheck()
    assert page.locator('#beside-best_layer .panel[data-run="c"]').is_hidden()
    assert page.locator('#beside-best_layer .panel[data-run="b"]').is_visible()
    assert all(row.startswith("b") for row in visible_rows(page, "differences"))
    assert serious(page) == []
    assert watched.said == [] and watched.requests == []
    watched.context.close()


def test_the_page_prints(still: Watched) -> None:
    assert still.page.pdf(format="A4").startswith(b"%PDF")
