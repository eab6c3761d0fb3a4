from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from mechsteer.cards import Cards
from mechsteer.errors import ArtifactError
from mechsteer.reporting import ReportData, render, write_report
from mechsteer.reporting.data import checked
from mechsteer.reporting.numbers import top_experts

VOID = {"meta", "br", "hr", "img", "input", "link"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202eevil\u2066 $x_{$ \\frac",
    "👩🏽‍🔬" * 9,
    "nul\0 and surrogate \ud800",
    "w" * 100_000,
    "{{ 7 * 7 }}{% raw %}",
]


class Page(HTMLParser):
    """Every element with its attributes; refuses tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return "".join(self.words)


@pytest.fixture(scope="module")
def html(data: ReportData) -> str:
    return render(data)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def skeleton(page: Page) -> list[tuple[str, list[str]]]:
    """Elements and the names of their attributes, but for text and the length of the manifest."""
    varying = ("bdi", "dt", "dd", "small")
    return [(tag, sorted({*a} - {"lang"})) for tag, a in page.elements if tag not in varying]


def renamed(data: ReportData, name: str) -> ReportData:
    """The data with the first steered language, the model and the corpus called ``name``."""
    old = data.steered[0]
    in_tables = name.replace("\ud800", "")  # which Parquet cannot hold

    def swap(table):
        columns = [c for c in ("language", "other", "source", "target") if c in table]
        swapped = table.assign(**{c: table[c].replace(old, in_tables) for c in columns})
        return swapped.assign(text=in_tables, token=in_tables) if "token" in table else swapped

    cards = Cards(**{f.name: swap(getattr(data.cards, f.name)) for f in fields(Cards)})
    sentences = cards.sentences.assign(text=in_tables)
    tokens = cards.tokens.assign(start=0, end=1)[:1]

    return replace(
        data,
        manifest={"model": name, "corpus": {"name": name, name: [name]}},
        results=swap(data.results),
        experts=swap(data.experts),
        counts=swap(data.counts),
        overlap=swap(data.overlap),
        doses=swap(data.doses),
        projection=swap(data.projection),
        hubness=swap(data.hubness),
        cards=replace(cards, sentences=sentences, tokens=tokens),
        chosen_layer={in_tables if code == old else code: 3 for code in data.chosen_layer},
        command=name,
    )


@pytest.fixture(scope="module")
def plain(small: ReportData) -> Page:
    return Page(render(renamed(small, "plain")))


def test_the_same_data_render_to_the_same_bytes(small: ReportData):
    assert render(small) == render(small)


def test_the_same_run_renders_to_the_same_bytes_in_any_process(make: Callable[..., ReportData]):
    code = (
        "import hashlib, importlib.util as u; s = u.spec_from_file_location('c', {!r}); "
        "m = u.module_from_spec(s); s.loader.exec_module(m); import mechsteer.reporting as r; "
        "page = r.render(m.synthetic(m.LANGUAGES[:3], steered=('fra_Latn',), n_layers=3)); "
        "print(hashlib.sha256(page.encode()).hexdigest())"
    ).format(str(Path(__file__).with_name("conftest.py")))
    root = Path(__file__).parents[2]
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(root), "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert len(found) == 1


def test_a_written_report_is_the_rendered_page_and_leaves_nothing_else(small: ReportData, tmp_path):
    path = write_report(small, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == render(small)
    assert list(tmp_path.iterdir()) == [path]


def test_the_page_is_small(html: str):
    assert len(html.encode()) < 2_000_000


def test_every_identifier_is_unique(page: Page):
    found = [a["id"] for _, a in page.elements if "id" in a]
    assert sorted(found) == sorted(set(found))


def test_every_reference_into_a_figure_is_defined(html: str, page: Page):
    defined = {a["id"] for _, a in page.elements if "id" in a}
    used = set(re.findall(r"url\(#([^)]+)\)", html))
    used |= {a["href"][1:] for _, a in page.elements if (a.get("href") or "").startswith("#")}
    assert used <= defined


def test_nothing_is_loaded_from_anywhere(data: ReportData, html: str, page: Page):
    sources = [a[n] for _, a in page.elements for n in ("src", "href", "xlink:href") if n in a]
    beside = set(data.tables.values())  # links that a reader may follow, to files on the same disk
    assert all(source.startswith(("data:", "#")) or source in beside for source in sources)
    assert beside <= set(sources)
    assert not re.search(r"https?://|@import|url\((?!#)", html)


def test_the_policy_forbids_all_but_the_pages_own_script(html: str, page: Page):
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    script = re.search(r"<script>(.*?)</script>", html, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert f"script-src 'sha256-{digest}'" in policy
    assert len(page.all("script")) == 1


def test_no_element_carries_a_handler(page: Page):
    assert not [name for _, a in page.elements for name in a if name.startswith("on")]


def test_every_figure_is_drawn_described_and_captioned(html: str, page: Page):
    drawings = re.findall(r"<svg.*?</svg>", html, re.S)
    assert (
        len(drawings)
        == len(page.all("svg"))
        == 2 + 12 + 1 + 1 + 3 * 3 + 4 * 3 + 3 + 1 + 3 + 3 + 3 + 3
    )
    for drawing, attributes in zip(drawings, page.all("svg"), strict=True):
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"]) > 20
        assert drawing.count("<path") + drawing.count("<image") > 2
        assert drawing.count("<text") > 3
    assert len(page.all("figure")) == len(page.all("figcaption")) == 17
    folded = [a.get("class") for a in page.all("details")]  # with definitions and manifest
    assert (folded.count("data"), folded.count("card"), folded.count(None)) == (17, 3, 2)


def test_headings_and_landmarks_structure_the_page(page: Page):
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("nav")) == 1
    sections = page.all("section")
    assert len(sections) == 12
    assert {a["aria-labelledby"] for a in sections} <= {a.get("id") for _, a in page.elements}


def test_every_column_of_a_sortable_table_has_a_button(page: Page):
    heads = [a for a in page.all("th") if a.get("scope") == "col"]
    assert len(heads) == len(page.all("button")) == 9 + 9


def embedded(html: str) -> dict[str, str]:
    """Data of the figures by name: what the page's script turns into tables and files."""
    found = re.findall(r'<pre class="csv" id="data-([^"]+)".*?>(.*?)</pre>', html, re.S)
    return {name: unescape(text) for name, text in found}


def test_every_figure_comes_with_its_data_and_every_table_with_a_file(html: str, page: Page):
    links = [a["href"] for a in page.all("a") if "download" in a]
    tables = [unquote(link.partition(",")[2]) for link in links]
    data = embedded(html)
    assert len(tables) == 2
    assert {"effect", "layer-ap", "overlap", "card-0-histograms", "dose", "plane"} <= set(data)
    for table in (*tables, *data.values()):
        head, *rows = csv.reader(io.StringIO(table))
        assert rows
        assert {len(row) for row in rows} == {len(head)}


def test_csv_holds_the_numbers_that_were_drawn(data: ReportData, html: str):
    rows = list(csv.DictReader(io.StringIO(embedded(html)["retrieval_top1"])))
    clamp = data.results.query(
        "kind == 'edit' and metric == 'retrieval_top1' and source == '*' and target == '*'"
    )
    expected = clamp.set_index(["language", "layer"])["value"]
    assert len(rows) == len(expected)
    for row in rows:
        value = expected[row["language"], int(row["layer"])]
        # written with six significant digits: half a unit of the sixth
        assert float(row["clamp"]) == pytest.approx(value, rel=5e-6)


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name[:12]))
def test_hostile_names_are_shown_as_text(small: ReportData, plain: Page, name: str):
    html = render(renamed(small, name))
    hostile = Page(html)
    assert skeleton(hostile) == skeleton(plain)
    shown = name.replace("\0", "\ufffd").replace("\ud800", "?")
    assert shown in hostile.text
    assert len(html.encode()) < 2_000_000


def test_long_names_are_cut_where_they_repeat(small: ReportData):
    html = render(renamed(small, "w" * 100_000))
    cells = re.findall(r"<td><bdi>(.*?)</bdi>", html)
    assert max(map(len, cells)) == 48


def test_numbers_in_the_page_are_never_python_words(page: Page):
    assert not re.search(r"\b(nan|None|inf|NaN)\b", page.text)


def test_the_definitions_and_the_command_are_there(data: ReportData, page: Page):
    assert data.command in page.text
    for term in ("Average precision", "AUROC", "MEXA", "Centring", "Random neurons"):
        assert term in page.text


def test_the_whole_manifest_is_provenance(page: Page):
    for word in ("model.config_hash", "d2" * 32, "versions.transformer-lens", "4.3.0"):
        assert word in page.text


def test_the_distances_come_with_a_warning(page: Page):
    warning = page.text.index("Adding the same offset")
    assert warning < page.text.index("The three cosine distances")


def test_experts_with_a_card_lead_to_it(small: ReportData):
    here = small.experts.index[[2, 7]]
    experts = small.experts.assign(layer=0, neuron=0)
    experts.loc[here, ["layer", "neuron"]] = (1, 7)  # the neuron of the card
    assert top_experts(checked(replace(small, experts=experts))).links == {
        2: "#card-0",
        7: "#card-0",
    }
    assert top_experts(checked(replace(small, experts=experts, cards=None))).links == {}


def test_the_headline_comes_first_then_the_figure_then_the_sentences(html: str, page: Page):
    parts = ["<h1>", 'id="effect"', 'class="verdict"', "All effects"]
    places = [html.index(part) for part in parts]
    assert places == sorted(places)
    assert re.search("<h1>Clamping .*; centring (gained|lost|did)", html)


def test_sections_figures_and_cards_have_links_of_their_own(page: Page):
    wanted = [a["id"] for tag in ("section", "figure") for a in page.all(tag)]
    links = {a.get("href") for a in page.all("a") if a.get("class") == "here"}
    assert links == {f"#{key}" for key in wanted}


def test_sentences_of_cards_are_whole_and_coloured(html: str):
    text = re.search(r'<p dir="auto" lang="ja">(.*?)</p>', html, re.S)[1]
    assert unescape(re.sub(r"<[^>]+>", "", text)) == "地球そのものが大きな磁石です。"
    assert re.search(r'<span class="p8" title="[\d.]+">', text)
    assert re.search(r'<span class="n\d"', text)


def test_a_long_sentence_is_cut_visibly(page: Page):
    assert "x" * 400 in page.text
    assert "x" * 401 not in page.text
    assert "… 500 more characters" in page.text


def test_spaces_and_line_breaks_of_tokens_are_visible(page: Page):
    assert "▁w1" in page.text
    assert "↵" in page.text


def test_a_study_without_the_optional_tables_has_a_page(small: ReportData):
    names = ("overlap", "doses", "projection", "hubness", "cards")
    page = Page(render(replace(small, **dict.fromkeys(names))))
    assert "Neuron cards" not in page.text
    assert len(page.all("section")) == 9


@pytest.mark.slow
def test_a_study_of_22_languages_and_25_layers_renders_in_20_seconds(
    make: Callable[..., ReportData],
):
    codes = tuple(f"l{i:02d}_Latn" for i in range(22))
    data = make(codes, steered=codes, n_layers=25)
    start = time.process_time()
    html = render(data)
    assert time.process_time() - start < 20
    assert len(html.encode()) < 2_000_000


@pytest.mark.parametrize("table", ["results", "experts", "counts"])
def test_a_table_without_a_column_is_refused_by_name(data: ReportData, table: str):
    frame = getattr(data, table).drop(columns="language")
    with pytest.raises(ArtifactError, match=f"table of {table} has no column language"):
        render(replace(data, **{table: frame}))


def test_results_without_an_edit_are_refused(data: ReportData):
    only_base = data.results[data.results["kind"] == "base"]
    with pytest.raises(ArtifactError, match="no edit of any language"):
        render(replace(data, results=only_base))


def test_an_unknown_edit_is_drawn_like_any_other(small: ReportData):
    renamed_edit = small.results.replace({"edit": {"clamp": "transport"}})
    html = render(replace(small, results=renamed_edit))
    assert "pplying “transport” to the 50 top experts" in html


def test_results_of_means_alone_make_a_page_without_matrices(small: ReportData):
    means = small.results[(small.results["source"] == "*") & (small.results["target"] == "*")]
    html = render(replace(small, results=means))
    assert "Who is retrieved from whom" not in html


def test_a_study_of_many_languages_and_layers_stays_small(make: Callable[..., ReportData]):
    codes = tuple(f"l{i:02d}_Latn" for i in range(10))
    html = render(make(codes, steered=codes, n_layers=40))
    assert len(html.encode()) < 2_000_000
    assert "Drawn: the first 4 of 10 steered languages" in html
