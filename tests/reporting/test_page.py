"""The page as text: what stands on it, and in what order."""

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
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from mechsteer.errors import ArtifactError
from mechsteer.reporting import ReportData, render, write_report
from mechsteer.reporting.numbers import PAIRS, SHARES, fitting, top_experts
from mechsteer.reporting.settled import checked
from mechsteer.reporting.write import report, summary
from tests.made import made_scores
from tests.reporting.screens import HOSTILE, Page
from tests.reporting.synthetic import called
from tests.studies.made import made_study


def test_the_same_run_is_the_same_file_in_any_process(small: ReportData, tmp_path: Path) -> None:
    code = (
        "import sys; from tests.reporting.synthetic import *; import mechsteer.reporting as r; "
        "data = synthetic(LANGUAGES[:3], steered=('fra_Latn',), n_layers=3); "
        "r.write_report(data, sys.argv[1])"
    )
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "other.html")],
        cwd=root,
        env=os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(root), "TZ": "Asia/Tokyo"},
        check=True,
    )
    path = write_report(small, tmp_path / "report.html")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other.html", "report.html"]
    assert path.read_bytes() == (tmp_path / "other.html").read_bytes()


def test_the_page_is_small(html: str) -> None:
    assert len(html.encode()) < 2_000_000


def test_every_identifier_is_unique_and_every_reference_defined(html: str, page: Page) -> None:
    found = [a["id"] for _, a in page.elements if "id" in a]
    assert len(found) == len(set(found))
    used = set(re.findall(r"url\(#([^)]+)\)", html))
    used |= {a["href"][1:] for _, a in page.elements if (a.get("href") or "").startswith("#")}
    assert used <= set(found)


def test_nothing_is_loaded_from_anywhere(data: ReportData, html: str, page: Page) -> None:
    sources = [a[n] for _, a in page.elements for n in ("src", "href", "xlink:href") if n in a]
    beside = set(data.tables.values())  # links that a reader may follow, to files on the same disk
    assert all(source.startswith(("data:", "#")) or source in beside for source in sources)
    assert beside <= set(sources)
    assert not re.search(r"https?://|@import|url\((?!#)", html)


def test_the_policy_forbids_all_but_the_pages_own_script(html: str, page: Page) -> None:
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    script = re.search(r"<script>(.*?)</script>", html, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert f"script-src 'sha256-{digest}'" in policy
    assert len(page.all("script")) == 1
    assert not re.search(r"\beval\(|new Function|innerHTML|document\.write", script)
    assert not [name for _, a in page.elements for name in a if name.startswith("on")]


def test_every_figure_is_drawn_described_and_captioned(html: str, page: Page) -> None:
    drawings = re.findall(r"<svg.*?</svg>", html, re.S)
    assert (
        len(drawings)
        == len(page.all("svg"))
        == 2 + 12 + 1 + 1 + 3 * 3 + 4 * 3 + 3 + 1 + 3 + 3 + 3 + 3 + 9  # the last of two sections
    )
    for drawing, attributes in zip(drawings, page.all("svg"), strict=True):
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"]) > 20
        assert drawing.count("<path") + drawing.count("<image") > 2
        assert drawing.count("<text") > 3
    assert len(page.all("figure")) == len(page.all("figcaption")) == 22
    folded = [a.get("class") for a in page.all("details")]
    assert (folded.count("data"), folded.count("card")) == (22, 3)


def test_headings_and_landmarks_structure_the_page(page: Page) -> None:
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("nav")) == 1
    sections = page.all("section")
    assert len(sections) == 13
    assert {a["aria-labelledby"] for a in sections} <= {a.get("id") for _, a in page.elements}
    wanted = [a["id"] for tag in ("section", "figure") for a in page.all(tag)]
    links = {a.get("href") for a in page.all("a") if a.get("class") == "here"}
    assert links == {f"#{key}" for key in wanted}
    heads = [a for a in page.all("th") if a.get("scope") == "col"]
    assert len(heads) == len(page.all("button")) > 18
    assert len(page.all("table")) == len(page.all("caption"))


def embedded(html: str) -> dict[str, str]:
    """Data of the figures by name: what the page's script turns into tables and files."""
    found = re.findall(r'<pre class="csv" id="data-([^"]+)".*?>(.*?)</pre>', html, re.S)
    return {name: unescape(text) for name, text in found}


def test_every_figure_comes_with_its_data_and_every_table_with_a_file(
    html: str, page: Page
) -> None:
    links = [a["href"] for a in page.all("a") if "download" in a]
    tables = [unquote(link.partition(",")[2]) for link in links]
    data = embedded(html)
    assert len(tables) == len(page.all("table")) - 1  # all but the definitions
    assert {"effect", "layer-ap", "overlap", "card-0-histograms", "dose", "plane"} <= set(data)
    for table in (*tables, *data.values()):
        head, *rows = csv.reader(io.StringIO(table))
        assert rows
        assert {len(row) for row in rows} == {len(head)}


def test_csv_holds_the_numbers_that_were_drawn(data: ReportData, html: str) -> None:
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


def test_numbers_in_the_page_are_never_python_words(page: Page) -> None:
    assert not re.search(r"\b(nan|None|inf|NaN)\b", page.text)


def test_definitions_command_and_manifest_are_there(data: ReportData, page: Page) -> None:
    assert data.command in page.text
    for term in ("Average precision", "AUROC", "MEXA", "Centring", "Random neurons"):
        assert term in page.text
    for word in ("model.config_hash", "d2" * 32, "versions.transformer-lens", "4.3.0"):
        assert word in page.text
    assert page.text.index("Adding the same offset") < page.text.index("The three cosine distances")


def test_the_headline_comes_first_then_the_figure_then_the_sentences(html: str) -> None:
    parts = ["<h1>", 'id="effect"', 'class="verdict"', "All effects"]
    places = [html.index(part) for part in parts]
    assert places == sorted(places)
    assert re.search("<h1>Clamping .*; centring (gained|lost|did)", html)


def test_experts_with_a_card_lead_to_it(small: ReportData) -> None:
    here = small.experts.index[[2, 7]]
    experts = small.experts.assign(layer=0, neuron=0)
    experts.loc[here, ["layer", "neuron"]] = (1, 7)  # the neuron of the card
    assert top_experts(checked(replace(small, experts=experts))).links == {
        2: "#card-0",
        7: "#card-0",
    }
    assert top_experts(checked(replace(small, experts=experts, cards=None))).links == {}


def test_sentences_of_cards_are_whole_coloured_and_cut_visibly(html: str, page: Page) -> None:
    text = re.search(r'<p dir="auto" lang="ja">(.*?)</p>', html, re.S)[1]
    assert unescape(re.sub(r"<[^>]+>", "", text)) == "地球そのものが大きな磁石です。"
    assert re.search(r'<span class="p8" title="[\d.]+">', text)
    assert re.search(r'<span class="n\d"', text)
    assert "x" * 400 in page.text
    assert "x" * 401 not in page.text
    assert "… 500 more characters" in page.text
    assert "▁w1" in page.text
    assert "↵" in page.text


def skeleton(page: Page) -> list[tuple[str, list[str]]]:
    """Elements and the names of their attributes, but for text and the length of the manifest."""
    varying = ("bdi", "dt", "dd", "small")
    return [(tag, sorted({*a} - {"lang"})) for tag, a in page.elements if tag not in varying]


def test_hostile_names_are_shown_as_text_and_cut_where_they_repeat(hostile: str) -> None:
    page = Page(hostile)
    plain = called(tuple(f"plain {i}" for i in range(len(HOSTILE))))
    sentences = plain.cards.sentences.assign(text="x" * 110_000)
    assert skeleton(page) == skeleton(
        Page(render(replace(plain, cards=replace(plain.cards, sentences=sentences))))
    )
    for name in HOSTILE:
        assert name.replace("\0", "\ufffd").replace("\r\n", "\n") in page.text.replace("\r", "")
    assert max(map(len, re.findall(r"<td><bdi>(.*?)</bdi>", unescape(hostile), re.S))) <= 48
    assert len(hostile.encode()) < 2_000_000


def test_files_hold_no_formula(hostile: str) -> None:
    links = re.findall(r'download="[^"]+" href="data:[^,]+,([^"]*)"', hostile)
    files = [*map(unquote, links), *embedded(hostile).values()]
    cells = [cell for file in files for row in csv.reader(io.StringIO(file)) for cell in row]
    assert any(cell.startswith("'=cmd") for cell in cells)
    risky = [cell for cell in cells if cell.startswith(("=", "@", "+", "-", "\t", "\r"))]
    assert [float(cell) for cell in risky]  # all of them numbers


def test_a_study_of_means_alone_without_the_optional_tables_has_a_page(small: ReportData) -> None:
    names = ("overlap", "doses", "projection", "hubness", "cards")
    means = small.results[(small.results["source"] == "*") & (small.results["target"] == "*")]
    renamed = means.replace({"edit": {"clamp": "transport"}})
    page = Page(render(replace(small, results=renamed, **dict.fromkeys(names))))
    for missing in ("Neuron cards", "Who is retrieved from whom"):
        assert missing not in page.text
    assert len(page.all("section")) == 8
    assert "pplying “transport” to the 50 top experts" in page.text


def test_an_edit_that_is_the_same_for_all_has_a_page(tmp_path: Path) -> None:
    from mechsteer.interventions import clamp

    edit = clamp(made_scores().top("fra_Latn", 4))
    study = made_study(edits={"mine": edit}, targets=["fra_Latn", "deu_Latn"])
    assert [condition.language for condition in study.chosen] == [None]
    page = Page(report(study, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Top experts" not in page.text
    assert len(page.all("svg")) > 10
    said, table = summary(study)
    assert said[0].startswith("Applying “mine” for")
    top1 = (
        study.headline().query("metric == 'retrieval_top1'").set_index(["kind", "layer"])["value"]
    )
    change = 100 * (top1["edit"] - top1["base"])
    mine = table.query("edit == 'mine' and metric == 'top-1'")
    assert list(mine["language"].unique()) == ["all languages"]
    assert mine["change"].tolist() == pytest.approx(
        change[mine["layer"]].tolist(), abs=0.006
    )  # two decimals


@pytest.mark.slow
def test_a_study_of_22_languages_and_25_layers_renders_in_20_seconds(
    make: Callable[..., ReportData],
) -> None:
    codes = tuple(f"l{i:02d}_Latn" for i in range(22))
    data = make(codes, steered=codes, n_layers=25)
    start = time.process_time()
    html = render(data)
    assert time.process_time() - start < 20
    assert len(html.encode()) < 2_000_000
    assert "Drawn: the first 6 of 22 steered languages" in html


@pytest.mark.slow
def test_a_study_of_150_languages_stays_small(make: Callable[..., ReportData]) -> None:
    codes = tuple(f"l{i:03d}_Latn" for i in range(150))
    html = render(make(codes, steered=codes[:2], n_layers=2))
    assert len(html.encode()) < 2_000_000
    assert "Drawn: 60 of 150 languages" in html
    assert {"matrix", "change", "overlap"} <= set(
        re.findall(r'<figure class="matrix" id="(\w+)"', html)
    )


def test_of_very_many_effects_the_means_are_shown() -> None:
    rows = [(m, p, str(i)) for m in SHARES for p in PAIRS.values() for i in range(1000)]
    every = pd.DataFrame(rows, columns=["metric", "pairs", "language"])
    assert len(fitting(every[:1500])) == 1500
    assert set(fitting(every[:2500])["pairs"]) == {"all pairs"}
    assert len(fitting(every)) == 1000 and set(fitting(every)["metric"]) == {"retrieval_top1"}


@pytest.mark.parametrize("table", ["results", "experts", "counts"])
def test_a_table_without_a_column_is_refused_by_name(data: ReportData, table: str) -> None:
    frame = getattr(data, table).drop(columns="language")
    with pytest.raises(ArtifactError, match=f"table of {table} has no column language"):
        checked(replace(data, **{table: frame}))


def test_results_without_an_edit_are_refused(data: ReportData) -> None:
    only_base = data.results[data.results["kind"] == "base"]
    with pytest.raises(ArtifactError, match="hold no edit"):
        render(replace(data, results=only_base))
