"""Runs side by side: what the page says of them, and what it refuses to mix."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mechsteer.errors import MechsteerError
from mechsteer.reporting.compare import compared, render_comparison, spoken_difference
from mechsteer.reporting.runs import Compared, facts_of, notes


def test_the_page_names_its_runs_and_says_what_is_paired(comparison: Path) -> None:
    html = comparison.read_text(encoding="utf-8")
    assert len(html.encode()) < 2_000_000
    assert "a&lt;b&gt;" in html and "<b>" not in html.partition("<main")[2].partition("<script")[0]
    for words in (
        "<h1>3 runs side by side</h1>", "runs/b", "the same 24 test sentences",
        "paired by sentence", "mechsteer compare", "<bdi>paired</bdi>", "<bdi>unpaired</bdi>",
        "<bdi>k=4 λ=1 → k=9 λ=1</bdi>",
    ):  # fmt: skip
        assert words in html
    assert {"a&lt;b&gt;", "b", "c"} == set(re.findall(r'data-run="([^"]+)"', html))
    keys = re.findall(r' id="([^"]+)"', html)
    assert len(keys) == len(set(keys))
    assert html.count("<svg") > 6 and html.count("<figure") == html.count('class="csv"')


def test_what_differs_is_said_and_marked(runs: list[Compared]) -> None:
    said = " ".join(notes(runs[:2])).translate({0x2068: None, 0x2069: None})
    assert "Doses differ: clamp" in said and "k=4" in said and "k=9" in said
    assert "a<b> and b differ in site" in said
    differing = {fact.name for fact in facts_of(runs[:2]) if fact.differs}
    assert {"Folder", "Site", "Edits and doses"} <= differing
    assert "Test corpus" not in differing


def test_other_sentences_are_said_to_be_unpaired(runs: list[Compared]) -> None:
    said = " ".join(notes([runs[0], runs[2]]))
    assert "other test sentences (24 and 17), so nothing is paired" in said


def test_a_run_without_its_sentences_is_shown_but_not_compared(runs: list[Compared]) -> None:
    bare = replace(runs[1], side=replace(runs[1].side, states=None))
    assert "b kept no sentences of base" in " ".join(notes([runs[0], bare])).replace("\u2069", "")
    found = compared([runs[0], bare])
    assert found.empty
    assert "have no edit that can be compared" in spoken_difference([runs[0], bare], found)


@pytest.mark.parametrize(
    ("ends", "line"),
    [
        ([(0.02, 0.01, 0.03)] * 2, "Clamping came out 2.0 points higher in b than in a<b>"),
        ([(-0.02, -0.03, -0.01)], "Clamping came out 2.0 points lower in b than in a<b>"),
        ([(0.0, -0.1, 0.1)], "No difference of clamping between a<b> and b was found"),
        (
            [(0.02, 0.01, 0.03), (0.0, -0.1, 0.1)],
            "Clamping came out higher for 1 of 2 in b, against a<b>",
        ),
        ([], "a<b> and b have no edit that can be compared"),
    ],
)
def test_the_headline_follows_the_intervals(runs: list[Compared], ends: list, line: str) -> None:
    columns = ["metric", "kind", "edit", "place", "difference", "low", "high"]
    rows = [("retrieval_top1", "edit", "clamp", "best_layer", *three) for three in ends]
    assert spoken_difference(runs[:2], pd.DataFrame(rows, columns=columns)) == line


def test_one_run_or_two_of_one_name_are_refused(runs: list[Compared]) -> None:
    for given in (runs[:1], [runs[0], runs[0]]):
        with pytest.raises(MechsteerError, match="two or more runs of different names"):
            render_comparison(given)
