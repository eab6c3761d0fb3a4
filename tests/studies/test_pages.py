"""A study of edits of any name reads as a page, and its verdict tells them from controls."""

from __future__ import annotations

from pathlib import Path

import pytest

from mechsteer.interventions import clamp, damp
from mechsteer.reporting import report, summary
from tests.studies.made import made_study

LONG = "a" * 40 + "1" + "b" * 30, "a" * 40 + "2" + "b" * 30


@pytest.mark.parametrize(
    "edits",
    [{"centring": clamp}, {"none": clamp, "random": damp}, dict.fromkeys(LONG, clamp)],
    ids=["centring", "none and random", "long names that differ in the middle"],
)
def test_an_edit_of_any_name_has_a_page(edits: dict, tmp_path: Path) -> None:
    study = made_study(edits=edits, ks=[4, 9], seeds=[0, 1])
    page = report(study, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<svg" in page
    sentences, table = summary(study)
    assert len(sentences) >= 3
    assert len(set(table["edit"])) == 3 + 2 * len(edits)  # and the baselines
    kinds = {"random" if name.startswith("random") else name for name in table["edit"]}
    assert {"random", "centring"} <= kinds
