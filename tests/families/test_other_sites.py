"""Residual dimensions, latents, heads and projections pass the self-test wherever there are some.

All families are tested by ``make families``, which writes the table that is read here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mechsteer.model.sites import find_site
from mechsteer.selftest import self_test
from mechsteer.selftest.locality import apart
from tests.families.other_sites import COLUMNS, cells, checks_of
from tests.families.roster import FAMILIES
from tests.families.table import BEGIN, END, PAGE
from tests.model.encoder_decoders import ENDS

Made = Callable[..., Any]
SAMPLE = {"llama": "jumprelu", "gpt2": "topk", "m2m100": "relu", "bert_model": "jumprelu"}


@pytest.mark.parametrize("family", SAMPLE)
def test_a_family_has_them_as_the_documentation_says(
    bridge: Made, family: str, tmp_path: Path
) -> None:
    row = next(row for row in _rows() if row[0] == FAMILIES[family].title)
    ends = {"template": ENDS} if family == "m2m100" else {}  # what its decoder reads must end
    found = checks_of(bridge(family, **ends), tmp_path / "sae", SAMPLE[family])
    assert tuple(row[-len(COLUMNS) :]) == cells(found, rebuilt=FAMILIES[family].rebuilt)
    measured = {check.name.partition(":/")[0] for check in found if check.difference is not None}
    assert {"hooks: residual", "hooks: sae", "edit: before", "edit: left behind"} <= measured


def test_a_family_without_heads_is_refused_by_name(bridge: Made) -> None:
    (check,) = self_test(bridge("bert_model"), sites=["head"])
    assert check.verdict == "refused" and "layer 0 of BertModel has no attention" in check.reason


def test_a_supported_family_has_residual_dimensions_and_latents() -> None:
    titles = [family.title for family in FAMILIES.values()]
    rows = {row[0]: dict(zip(COLUMNS, row[-len(COLUMNS) :], strict=True)) for row in _rows()}
    assert list(rows) == titles
    for row, family in zip(rows.values(), FAMILIES.values(), strict=True):
        found = {row["`residual`"], row["`sae:`"]}
        assert ("none" not in found and "" not in found) == bool(family.sites), family.title


def test_sites_of_one_activation_are_edited_apart(bridge: Made) -> None:
    model = bridge("llama")
    sites = [find_site(model, name) for name in ("head", "post", "head_mean", "residual")]
    names = [[site.name for site in group] for group in apart(model, sites)]
    assert names == [["head", "post", "residual"], ["head_mean"]]


def _rows() -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    return [line[2:].removesuffix(" |").split(" | ") for line in text.strip().splitlines()[2:]]
