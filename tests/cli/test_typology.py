"""``mechsteer typology``: the table, for people and machines, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from mechsteer.cli import cli
from mechsteer.errors import CorpusError


def said(*arguments: str, data: Path | None = None) -> str:
    given = [*arguments, *(["--data", str(data)] if data else [])]
    result = CliRunner().invoke(cli, ["typology", *given], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_table_has_coverage_and_dashes(data_root: Path) -> None:
    table = said("fr", "eus", "--kinds", "genetic", "--kinds", "syntactic", data=data_root)
    assert "coverage" in table and "Basque" in table
    assert "nan" not in table.lower().replace("nan-", "") and "NA" not in table
    assert next(line for line in table.splitlines() if "genetic" in line).split()[-2:] == ["-", "0"]


def test_json_and_csv(data_root: Path) -> None:
    kinds = ("--kinds", "genetic", "--kinds", "inventory")
    found = json.loads(said("fr", "eus", *kinds, "--json", data=data_root))
    assert [row["value"] is None for row in found["pairs"]] == [True, False]
    assert found["languages"][1]["family_size"] == 1
    lines = said("fr", "eus", *kinds, "--csv", data=data_root).splitlines()
    assert lines[:2] == ["language,other,measure,value,coverage", "fra_Latn,eus_Latn,genetic,,0.0"]


def test_text_and_a_tokenizer_add_their_measures(data_root: Path) -> None:
    given = (
        "--kinds",
        "script",
        "--corpus",
        "embedded",
        "--split",
        "test",
        "--tokenizer",
        "embedded",
        "--json",
    )
    found = json.loads(said("fra_Latn", "deu_Latn", *given, data=data_root))
    assert [row["measure"] for row in found["pairs"]] == ["script", "characters", "subwords"]
    assert all(0 <= row["value"] <= 1 for row in found["pairs"])
    assert all(row["tokens_per_sentence"] > 1 for row in found["languages"])


def test_without_data_one_line_says_what_to_type() -> None:
    environment = {**os.environ, "MECHSTEER_DATA": ""}
    with pytest.raises(CorpusError, match="set MECHSTEER_DATA=FOLDER"):
        CliRunner().invoke(cli, ["typology", "fr", "de"], env=environment, catch_exceptions=False)
    for wrong in (["--json", "--csv"], ["--tokenizer", "embedded"]):
        assert CliRunner().invoke(cli, ["typology", "fr", "de", *wrong]).exit_code == 2
