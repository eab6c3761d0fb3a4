"""Who profits, and why: what the page says and draws is what the tables hold."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mechsteer import plots
from mechsteer.errors import MechsteerError
from mechsteer.plots.pairs import kinds_of_pairs, pairs_of
from mechsteer.plots.spots import spots_of
from mechsteer.plots.trees import families
from mechsteer.reporting import ReportData
from mechsteer.reporting.likeness import likeness, shortened
from mechsteer.reporting.likeness_tables import sheets
from mechsteer.reporting.likeness_words import sentences
from mechsteer.reporting.page import fill
from mechsteer.reporting.transfers import sentences as transfer_sentences
from mechsteer.reporting.transfers import transfer
from tests.reporting import profits
from tests.reporting.synthetic import LANGUAGES

SOME = LANGUAGES[:8]


@pytest.fixture(scope="module")
def html(small: ReportData) -> str:
    data = replace(small, similarity=profits.similarity(SOME))
    return str(fill("sections/likeness-section.html", **likeness(data)))


def csv_of(html: str, name: str) -> pd.DataFrame:
    found = re.search(rf'id="data-{name}"[^>]*>([^<]*)<', html)
    assert found
    return pd.read_csv(io.StringIO(found[1].replace("&#34;", '"')))


def test_numbers_of_the_figures_are_those_of_the_tables(html: str) -> None:
    found = profits.similarity(SOME)
    for name, state in (("shares", "none"), ("gains", "clamp")):
        shown = csv_of(html, name)
        own = found.effects[found.effects["state"].str.startswith(state)]
        for column in ("share", "low", "high", "r", "p", "p_holm", "r2", "r2_unseen"):
            np.testing.assert_allclose(shown[column], own[column], rtol=1e-5)
    pairs = csv_of(html, "likeness")
    base = found.pairs[(found.pairs["state"] == "none") & (found.pairs["layer"] == 3)]
    base = base[base["metric"] == "retrieval_top1"]
    assert list(pairs["source"]) == list(base["source"])
    np.testing.assert_allclose(pairs["none: retrieval_top1"], base["value"], rtol=1e-5)
    np.testing.assert_allclose(pairs["syntactic"], base["syntactic"], rtol=1e-5)
    cells = csv_of(html, "tree").set_index("language")
    both = base.set_index(["source", "target"])["value"]
    mean = (both["fra_Latn", "deu_Latn"] + both["deu_Latn", "fra_Latn"]) / 2
    assert cells.loc["fra_Latn", "deu_Latn"] == pytest.approx(mean, rel=1e-5)
    assert cells.loc["deu_Latn", "fra_Latn"] == pytest.approx(mean, rel=1e-5)


def test_single_languages_and_sources_have_tables_where_they_were_asked(
    small: ReportData, html: str
) -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    told = [re.findall(r"<td[^>]*><bdi>(.*?)</bdi>", row) for row in rows]
    assert ["none", "MEXA alignment", "best layer", "28.0%*", "28.0%"] in told
    assert ["none", "MEXA alignment", "layer 6", "31.0%*", "31.0%"] in told
    assert ["none", "transfer accuracy", "best layer", "62.5%*", "25.0%"] in told
    bare = replace(profits.similarity(SOME), characteristics=pd.DataFrame())
    assert [each.key for each in sheets(replace(bare, rankings=pd.DataFrame()))] == ["answers"]


def test_every_pair_tells_its_name_and_numbers(html: str) -> None:
    found, gain = profits.similarity(SOME), "retrieval_top1.delta"
    drawn = [
        plots.likeness(found, "syntactic"),
        plots.likeness(found, "syntactic", state="clamp fra_Latn", metric=gain),
    ]
    titles = [text for ax in drawn for _, _, text in spots_of(ax.figure)]
    assert len(titles) == 2 * len(SOME) * (len(SOME) - 1)  # the base and the gain
    section = re.search(r'id="likeness".*?</figure>', html, re.DOTALL)
    assert section
    assert section[0].count("data-spots") == 2
    pairs = csv_of(html, "likeness").set_index(["source", "target"])
    one = pairs.loc[("eng_Latn", "fra_Latn")]
    told = f"eng_Latn → fra_Latn: syntactic {one['syntactic']:.3g}"
    assert f"{told}, {100 * one['none: retrieval_top1']:.3g}%" in titles
    gain = f"{100 * one['clamp fra_Latn: retrieval_top1.delta']:+.1f}".removesuffix(".0")
    assert f"{told}, {gain.replace('-', '−')} points" in titles


def test_sentences_say_what_holds_and_what_does_not(html: str) -> None:
    base, gain, *rest = sentences(profits.similarity(SOME))
    assert base.startswith("Top-1 retrieval without an edit at the best layer follows")
    assert "syntactic\u2069 distance (30% (26% to 50%), p\xa0=\xa00.003)" in base
    assert "All together explain 46% of the variance" in base
    assert gain.startswith("No distance explains the gain in top-1 retrieval under")
    assert "p\xa0=\xa00.4 after Holm over 3 distances" in gain
    assert "nothing (less than their mean does)" in gain
    assert "In 8 of 8 answers" in rest[-1]
    assert "Left out: family" in html
    answers = html[: html.index("What one language is")]
    assert answers.count("<tr>") == 1 + 8  # one row an answer


def test_what_random_neurons_do_as_well_is_said() -> None:
    found = profits.similarity(SOME)
    effects = found.effects.assign(p_holm=found.effects["p_holm"].where(
        found.effects["predictor"] != "script", 0.01))  # fmt: skip
    assert any(
        said.startswith("Random neurons of the same layers do likewise for script")
        for said in sentences(replace(found, effects=effects))
    )
    alone = effects.assign(p_holm=effects["p_holm"].where(
        ~effects["state"].str.contains("random"), 0.9))  # fmt: skip
    said = sentences(replace(found, effects=alone))
    assert "Random neurons of the same layers: nothing of this holds there." in said


def test_two_languages_cannot_be_asked_and_more_have_not_been(make: object) -> None:
    two, five = (make(LANGUAGES[:n], steered=("deu_Latn",), n_layers=1) for n in (2, 5))  # type: ignore[operator]
    refused = fill("sections/likeness-section.html", **likeness(two))
    assert "cannot be asked of 2 languages: no test of fewer than 5" in refused
    assert "Not asked of this run yet: mechsteer similarity RUN" in likeness(five)["refused"]


def test_an_absurdly_long_name_is_cut_everywhere() -> None:
    long = shortened(profits.similarity(SOME, edit=f"{'x' * 5000} fra_Latn"))
    assert max(map(len, long.effects["state"])) <= 48
    assert set(long.pairs["state"]) == set(long.effects["state"])


def test_a_page_of_many_pairs_draws_pixels_and_names_few(small: ReportData) -> None:
    many = tuple(f"{a}{b}c_Latn" for a in "abcdefg" for b in "abcdefgh")
    found = profits.similarity(many, edit="clamp aac_Latn")
    made = likeness(replace(small, similarity=found))  # whose steered language is none of them
    assert "580 more pairs" in made["figures"][0].caption
    assert all("data-spots" not in panel for panel in made["figures"][0].panels)
    assert sum(len(panel) for panel in made["figures"][0].panels) < 300_000


def test_plots_refuse_what_is_not_there() -> None:
    found = profits.similarity(SOME)
    with pytest.raises(MechsteerError, match=r"no response 'none', 'bleu', layer .*expected one"):
        plots.importance(found, metric="bleu")
    with pytest.raises(MechsteerError, match="no distance 'lexical': expected one of genetic"):
        plots.likeness(found, "lexical")
    with pytest.raises(MechsteerError, match=r"expected what ms\.similarity found"):
        plots.likeness(found.pairs, "script")  # type: ignore[arg-type]
    with pytest.raises(MechsteerError, match=r"expected what ms\.transfer found"):
        plots.transfer_matrix(found)  # type: ignore[arg-type]


def test_pairs_with_the_steered_language_are_marked() -> None:
    rows = pairs_of(profits.similarity(SOME), "syntactic", "none", "mexa")
    kinds = kinds_of_pairs(rows, "fra_Latn")
    assert sum(map(sum, kinds.values())) == len(rows)
    assert set(rows["source"][kinds["query"]]) == {"fra_Latn"}
    assert set(rows["target"][kinds["target"]]) == {"fra_Latn"}


def test_the_tree_has_families_apart_and_no_step_without_a_branching() -> None:
    lineages = {
        "fra": ("IE", "Italic", "Romance"), "spa": ("IE", "Italic", "Romance", "Ibero"),
        "deu": ("IE", "Germanic"), "arb": ("Afro-Asiatic", "Semitic"), "eus": (),
    }  # fmt: skip
    place = {code: float(at) for at, code in enumerate(("eus", "deu", "spa", "fra", "arb"))}
    roots = families(lineages, place)
    assert [root.name for root in roots] == ["eus", "IE", "Afro-Asiatic"]
    assert [list(root.leaves()) for root in roots] == [["eus"], ["deu", "spa", "fra"], ["arb"]]
    german, romance = roots[1].parts
    assert german.leaf
    assert (romance.name, romance.depth) == ("Romance", 1)
    assert [root.depth for root in roots] == [1, 2, 1]


def test_transfer_is_told_with_its_controls(small: ReportData) -> None:
    found = profits.transfer(SOME[:4])
    made = transfer(replace(small, transfer=found))
    assert made is not None
    page = fill("sections/transfer-section.html", **made)
    before = csv_of(page, "transfer").set_index("source")
    np.testing.assert_allclose(before.to_numpy(), found.matrix(3).to_numpy(), rtol=1e-5)
    edit = found.conditions.query("kind == 'edit'")
    assert len(edit) == 1
    first, second = transfer_sentences(found)
    assert first.startswith("At layer 3")
    assert "50.0% of sentences in another (95% interval 47.0% to 53.0%; chance 33.3%" in first
    row = found.table().query("kind == 'edit' and layer == 3").iloc[0]
    assert f"{100 * row['delta']:+.1f}".replace("-", "−") in second
    assert "range of 2 seeds" in second
    assert "centring by" in second
    assert transfer(small) is None
