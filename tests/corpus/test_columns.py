"""Columns of tables are judged by their header and by what they hold; no id is no key."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mechsteer.corpus import read
from mechsteer.corpus.layouts.columns import key_of
from mechsteer.errors import CorpusError, CorpusWarning
from tests.corpus.written import json_lines, write

EN, DE = ("Hello you.", "Thanks."), ("Hallo du.", "Danke.")


def table(folder: Path, **columns: object) -> Path:
    pd.DataFrame(columns).to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


@pytest.mark.parametrize(
    ("header", "cells", "holds"),
    [
        *[("no", (1, 2), "numbers"), ("is", (True, False), "numbers"), ("nr", (0.5, 2), "numbers")],
        *[("Unnamed: 0", (0, 1), "numbers"), ("index", (0, 1), "numbers")],
        *[("score", ("12%", "1,000"), "numbers"), ("when", ("2024-01-02",) * 2, "numbers")],
        *[
            ("empty", (None, None), "nothing"),
            ("it", (1, 2), "numbers"),
            ("lat", (1.5, 2), "numbers"),
        ],
        *[("Unnamed: 0", ("row a", "row b"), "sentences"), ("index", ("x y", "z"), "sentences")],
    ],
)
def test_a_column_that_holds_no_sentences_is_left_out_and_said(
    tmp_path: Path, header: str, cells: tuple[object, ...], holds: str
) -> None:
    file = table(tmp_path, **{header: cells, "en": EN, "de": DE})
    with pytest.warns(
        CorpusWarning, match=rf"read en as eng_Latn, de as deu_Latn, left out .*{holds}"
    ):
        corpus = read(file)
    assert corpus.sentences == {"eng_Latn": EN, "deu_Latn": DE}


def test_the_index_of_pandas_is_no_language(tmp_path: Path) -> None:
    frame = pd.DataFrame({"en": EN, "de": DE}, index=pd.Index([5, 7]))
    frame.to_csv(tmp_path / "t.csv")
    frame.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        with pytest.warns(CorpusWarning, match="left out"):
            assert read(tmp_path / name).languages == ("eng_Latn", "deu_Latn")


def test_dates_and_decimals_of_parquet_are_never_converted(tmp_path: Path) -> None:
    frame = pd.DataFrame({"en": EN, "at": pd.to_datetime(["1700-01-01", "2200-01-01"])})
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.warns(CorpusWarning, match=r"left out 'at' \(timestamp"):
        assert read(tmp_path / "t.parquet").sentences == {"eng_Latn": EN}


@pytest.mark.parametrize("columns", [("src", "mt"), ("mt", "src"), ("src", "en"), ("en", "ref")])
def test_words_of_translation_tables_are_no_languages(
    tmp_path: Path, columns: tuple[str, str]
) -> None:
    file = table(tmp_path, **dict(zip(columns, (EN, DE), strict=True)), score=(0.5, 0.7))
    with pytest.raises(CorpusError, match=r"column .*(src|ref|mt).*name the languages"):
        read(file)


def test_the_languages_asked_for_are_taken_by_their_spelling(tmp_path: Path) -> None:
    file = table(tmp_path, src=EN, mt=DE, no=("Hei.", "Takk."), score=(1, 2))
    assert read(file, languages="src,no").languages == ("srd_Latn", "nob_Latn")
    assert read(file, languages="mt,no").sentences["mlt_Latn"] == DE


@pytest.mark.parametrize(
    ("word", "name"), [("no", "nob_Latn"), ("mt", "mlt_Latn"), ("cat", "cat_Latn")]
)
def test_a_word_that_holds_sentences_is_a_language_and_said(
    tmp_path: Path, word: str, name: str
) -> None:
    file = table(tmp_path, **{word: DE, "en": EN})
    with pytest.warns(CorpusWarning, match=f"read {word} as {name}, en as eng_Latn"):
        assert read(file).sentences == {name: DE, "eng_Latn": EN}


def test_labels_are_no_sentences(tmp_path: Path) -> None:
    file = table(tmp_path, cat=["news", "sport"] * 15, en=[f"Sentence {i}." for i in range(30)])
    with pytest.warns(CorpusWarning, match=r"left out 'cat' \(labels\)"):
        assert read(file).languages == ("eng_Latn",)


def test_a_number_column_beside_the_language_asked_for_is_not_read(tmp_path: Path) -> None:
    file = table(tmp_path, no=(1, 2), nb=("Hei.", "Takk."))
    assert read(file, languages="nob_Latn").sentences == {"nob_Latn": ("Hei.", "Takk.")}
    with pytest.raises(CorpusError, match="column 'no' holds numbers, not text"):
        read(file, languages="no")


@pytest.mark.parametrize("cells", [(1, 2), ("1", "2.5")])
def test_a_language_of_numbers_is_refused(tmp_path: Path, cells: tuple[object, ...]) -> None:
    with pytest.raises(CorpusError, match=r"t.csv:2: column 'fra' holds numbers, not text"):
        read(table(tmp_path, fra=cells, deu=DE))


@pytest.mark.parametrize(
    ("language", "message"),
    [
        (["fr"], "holds list, not a language code"),
        ({"code": "fr"}, "holds dict, not a language code"),
        (7, "holds int, not a language code"),
        (None, "holds no language"),
        ("", "holds no language"),
    ],
)
def test_a_row_without_a_language_code_is_refused_with_its_line(
    tmp_path: Path, language: object, message: str
) -> None:
    rows = [{"language": "fr", "text": "Oui"}, {"language": language, "text": "Non"}]
    write(tmp_path, {"t.jsonl": json_lines(*rows)})
    with pytest.raises(CorpusError, match=rf"t.jsonl:2: column 'language' {message}"):
        read(tmp_path / "t.jsonl")


MISSING = [None, "", " ", "nan", "NaN", "None", "null", "<NA>", "N/A", float("nan")]


@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_value_is_no_key(missing: object) -> None:
    assert key_of(missing) is None


@pytest.mark.parametrize(
    ("cell", "key"),
    [(3, "3"), (3.0, "3"), ("3", "3"), ("3.0", "3"), ("3.05", "3.05"), (" a ", "a"), (0, "0")],
)
def test_keys_are_equal_however_a_table_writes_them(cell: object, key: str) -> None:
    assert key_of(cell) == key


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "jsonl"])
@pytest.mark.parametrize("missing", [None, "", "NaN"])
def test_rows_without_an_id_are_never_translations_of_each_other(
    tmp_path: Path, kind: str, missing: object
) -> None:
    ids = ["1", missing, "3", "3", missing, "1"]
    frame = pd.DataFrame(
        {
            "id": ids,
            "lang": ["fr"] * 3 + ["de"] * 3,
            "text": ["un", "x", "trois", "drei", "y", "eins"],
        }
    )
    file = tmp_path / f"t.{kind}"
    if kind == "parquet":
        frame.to_parquet(file)
    elif kind == "jsonl":
        frame.to_json(file, orient="records", lines=True)
    else:
        frame.to_csv(file, sep="\t" if kind == "tsv" else ",", index=False)
    with pytest.warns(CorpusWarning, match=r"2 of up to 3 .* rows without an id"):
        corpus = read(file)
    assert corpus.sentences == {"fra_Latn": ("un", "trois"), "deu_Latn": ("eins", "drei")}


def test_lines_without_an_id_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"fra.tsv": "\tun\n2\tdeux\n", "deu.tsv": "\teins\n2\tzwei\n"})
    with pytest.warns(CorpusWarning, match="1 of up to 2"):
        assert read(tmp_path).sentences == {"deu_Latn": ("zwei",), "fra_Latn": ("deux",)}


def test_whole_numbers_join_whatever_their_type(tmp_path: Path) -> None:
    pd.DataFrame({"id": [1.0, None], "text": ["un", "x"]}).to_parquet(tmp_path / "fra.parquet")
    pd.DataFrame({"id": [1, 2], "text": ["eins", "y"]}).to_parquet(tmp_path / "deu.parquet")
    with pytest.warns(CorpusWarning, match="1 of up to 2"):
        assert read(tmp_path).sentences == {"deu_Latn": ("eins",), "fra_Latn": ("un",)}


def test_only_empty_lines_are_no_table(tmp_path: Path) -> None:
    write(tmp_path, {"t.csv": "\n\r\n\n"})
    with pytest.raises(CorpusError, match=r"t.csv holds only empty lines"):
        read(tmp_path / "t.csv")


def test_a_field_may_be_longer_than_the_limit_of_the_csv_module(tmp_path: Path) -> None:
    import csv

    before = csv.field_size_limit()
    text = "mot " * 50_000 + "fin"
    write(tmp_path, {"t.csv": f'fra,deu\n"{text}",Wort\n'})
    assert read(tmp_path / "t.csv").sentences["fra_Latn"] == (text,)
    assert csv.field_size_limit() == before
