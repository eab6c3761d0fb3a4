"""Pages in a real browser: no errors, no network, accessibility, both themes, paper, no scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mechsteer.reporting import render
from tests.reporting.screens import Watched, barriers, open_all
from tests.reporting.synthetic import called

pytestmark = pytest.mark.browser
LOOKS = [(1440, "light"), (360, "dark")]


@pytest.fixture(scope="module", params=LOOKS, ids=lambda look: f"{look[1]} {look[0]}")
def opened(browser: Any, path: Path, request: pytest.FixtureRequest) -> Iterator[Watched]:
    width, scheme = request.param
    with Watched(browser, path, width=width, scheme=scheme) as watched:
        yield watched


def test_the_page_is_not_endless(opened: Watched) -> None:
    height = opened.page.evaluate("document.documentElement.scrollHeight")
    assert height < 19_000  # of a study of 12 languages, 3 of them steered


def test_the_page_opens_without_a_word_and_asks_for_nothing(opened: Watched) -> None:
    open_all(opened.page)
    assert opened.said == []
    assert opened.requests == []


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


def test_the_accessibility_check_finds_nothing(opened: Watched) -> None:
    repeated = "figure:not(#experts, #card-0-figure) details.data, details.card:not(#card-0)"
    opened.page.eval_on_selector_all(repeated, "all => all.forEach(one => one.remove())")
    opened.page.evaluate("document.querySelector('#filters').open = true")
    assert barriers(opened.page) == []


def test_the_policy_would_stop_a_request(wide: Watched) -> None:
    wide.page.evaluate(
        "document.body.append(Object.assign(new Image(), {src: 'http://a.b/c.png'}))"
    )
    wide.page.wait_for_timeout(100)
    assert any("Content Security Policy" in words for words in wide.said)


def test_the_page_fits_its_screen_and_prints(wide: Watched) -> None:
    for width in (320, 390, 768, 1280):
        wide.page.set_viewport_size({"width": width, "height": 900})
        assert wide.page.evaluate("document.documentElement.scrollWidth") <= width
    assert wide.page.pdf(format="A4").startswith(b"%PDF")


def test_long_labels_and_tokens_fit_a_phone(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "long.html"
    html = render(called(tuple(f"A very long label of a concept, number {i}" for i in range(6))))
    page.write_text(html, encoding="utf-8", newline="")
    with Watched(browser, page, width=390) as watched:
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
        effect = watched.page.locator("#effect .panels")
        assert effect.evaluate("one => one.scrollWidth <= one.clientWidth")  # two panels: stacked


def test_pictures_of_points_and_cells_are_decoded(still: Watched) -> None:
    waits = """async () => Promise.all([...document.querySelectorAll("svg image")].map(image => {
        const probe = new Image(); probe.src = image.href.baseVal;
        return probe.decode().then(() => probe.naturalWidth); }))"""
    sizes = still.page.evaluate(waits)
    assert len(sizes) >= 1 + 1 + 1 + 3 + 3  # AP, overlap, pairs, changes, planes
    assert min(sizes) > 3


def test_words_in_pictures_have_contrast(browser: Any, path: Path) -> None:
    """4.5 to 1 (WCAG 2.1 AA), of the colours that stand for edits: axe looks into no picture."""
    contrast = """() => { const light = (text) => {
            const at = text.match(/[\\d.]+/g).slice(0, 3).map(Number).map(x => x / 255)
                .map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
            return .2126 * at[0] + .7152 * at[1] + .0722 * at[2]; };
        const probe = document.body.appendChild(document.createElement("i"));
        const paper = light(getComputedStyle(document.body).backgroundColor);
        return ["blue", "green", "vermillion", "purple", "sky", "orange"].map(name => {
            probe.style.color = `var(--${name})`;
            const ink = light(getComputedStyle(probe).color);
            return (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05); }); }"""
    for scheme in ("light", "dark"):
        with Watched(browser, path, scheme=scheme) as watched:
            assert min(watched.page.evaluate(contrast)) >= 4.5


def test_without_scripts_everything_is_still_there(browser: Any, path: Path) -> None:
    with Watched(browser, path, java_script_enabled=False) as bare:
        bare.page.locator("#experts summary").click()
        assert "language,layer,count" in bare.page.locator("#data-experts").inner_text()
        assert bare.page.locator("#verdict table tbody tr").count() > 10
        bare.page.locator("#card-1 > summary").click()
        assert bare.page.locator("#card-1 .texts p").first.is_visible()
        heads = bare.page.locator("th button:visible").count()
        assert bare.page.locator("button:visible").count() == heads > 10
        assert bare.page.locator("input, output, #filters").count() == 0


def test_right_to_left_and_cjk_sentences_stay_whole(still: Watched) -> None:
    open_all(still.page)
    arabic = still.page.locator("#card-2 .texts p").first
    assert arabic.inner_text() == "مرحبا بالعالم"
    assert arabic.evaluate("p => getComputedStyle(p).direction") == "rtl"
    japanese = still.page.locator("#card-1 .texts p").first
    assert japanese.inner_text() == "地球そのものが大きな磁石です。"
    assert japanese.get_attribute("lang") == "ja"


def test_hostile_text_is_only_text(browser: Any, hostile: str, tmp_path: Path) -> None:
    page = tmp_path / "hostile.html"
    page.write_text(hostile, encoding="utf-8", newline="")
    with Watched(browser, page, width=360) as watched:
        open_all(watched.page)
        watched.page.evaluate("document.querySelector('#filters').open = true")
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert "<script>alert(1)</script>" in watched.page.locator("#reproduce code").inner_text()
        for box in watched.page.locator("#filters input[name=language]").all():
            box.uncheck()
        assert (
            watched.page.locator('.panel[data-language]:not([data-language=""]):visible').count()
            == 0
        )
        assert watched.page.locator("img").count() == 0
        assert barriers(watched.page) == []
        assert watched.said == []
        assert watched.requests == []
