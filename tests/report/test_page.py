from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from mechsteer.errors import ArtifactError
from mechsteer.reporting import ReportData, render, write_report

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
    return [(tag, sorted(a)) for tag, a in page.elements if tag not in ("bdi", "dt", "dd")]


def renamed(data: ReportData, name: str) -> ReportData:
    """The data with the first steered language, the model and the corpus called ``name``."""
    old = data.steered[0]
    in_tables = name.replace("\ud800", "")  # which Parquet cannot hold

    def swap(table):
        columns = [c for c in ("language", "source", "target") if c in table]
        return table.assign(**{c: table[c].replace(old, in_tables) for c in columns})

    return replace(
        data,
        manifest={"model": name, "corpus": {"name": name, name: [name]}},
        results=swap(data.results),
        experts=swap(data.experts),
        counts=swap(data.counts),
        chosen_layer={in_tables if code == old else code: 3 for code in data.chosen_layer},
        command=name,
    )


@pytest.fixture(scope="module")
def plain(small: ReportData) -> Page:
    return Page(render(renamed(small, "plain")))


def test_the_same_data_render_to_the_same_bytes(small: ReportData):
    assert render(small) == render(small)


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


def test_nothing_is_loaded_from_anywhere(html: str, page: Page):
    sources = [a[n] for _, a in page.elements for n in ("src", "href", "xlink:href") if n in a]
    assert all(source.startswith(("data:", "#")) for source in sources)
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
    assert len(drawings) == len(page.all("svg")) == 2 + 12 + 5 * 3 + 1 + 3
    for drawing, attributes in zip(drawings, page.all("svg"), strict=True):
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"]) > 20
        assert drawing.count("<path") + drawing.count("<image") > 3
        assert drawing.count("<text") > 3
    assert len(page.all("figure")) == len(page.all("figcaption")) == len(page.all("details")) == 9


def test_headings_and_landmarks_structure_the_page(page: Page):
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("nav")) == 1
    sections = page.all("section")
    assert len(sections) == 8
    assert {a["aria-labelledby"] for a in sections} <= {a.get("id") for _, a in page.elements}


def test_every_column_of_a_sortable_table_has_a_button(page: Page):
    heads = [a for a in page.all("th") if a.get("scope") == "col"]
    assert len(heads) == len(page.all("button")) > 50


def test_downloads_are_the_tables_as_csv(page: Page):
    links = [a["href"] for a in page.all("a") if "download" in a]
    tables = [unquote(link.partition(",")[2]) for link in links]
    assert len(links) == 9 + 2
    for table in tables:
        head, *rows = csv.reader(io.StringIO(table))
        assert rows
        assert {len(row) for row in rows} == {len(head)}


def test_csv_holds_the_numbers_that_were_drawn(data: ReportData, page: Page):
    link = next(a["href"] for a in page.all("a") if a.get("download") == "retrieval_top1.csv")
    rows = list(csv.DictReader(io.StringIO(unquote(link.partition(",")[2]))))
    clamp = data.results.query(
        "edit == 'clamp' and metric == 'retrieval_top1' and source == '*' and target == '*'"
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


@pytest.mark.parametrize("table", ["results", "experts", "counts"])
def test_a_table_without_a_column_is_refused_by_name(data: ReportData, table: str):
    frame = getattr(data, table).drop(columns="language")
    with pytest.raises(ArtifactError, match=f"table of {table} has no column language"):
        render(replace(data, **{table: frame}))


def test_results_without_an_edit_are_refused(data: ReportData):
    only_base = data.results[data.results["edit"] == "none"]
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
