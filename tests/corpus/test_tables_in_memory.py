"""Data frames and columns by name are read as files of them are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mechsteer as ms
from mechsteer.errors import CorpusError, CorpusWarning
from tests.corpus.written import write

COLUMNS = {
    "text": ["Lovely.", "Dreadful.", "Fine.", "Bad.", "Odd."],
    "tone": ["good", "bad", "good", "bad", "bad"],
    "tags": [["kind", "short"], ["short"], [], ["kind"], ["short"]],
}
SETS = {"kind": ("kind + short", "kind"), "short": ("kind + short", "short")}


@pytest.mark.parametrize("label", ["tone", "tags"])
@pytest.mark.parametrize("given", [COLUMNS, pd.DataFrame(COLUMNS)], ids=["columns", "frame"])
def test_a_table_in_memory_is_read_as_its_file(given: Any, label: str, tmp_path: Path) -> None:
    pd.DataFrame(COLUMNS).to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    found = ms.LabelledCorpus.from_table(given, label=label)
    wanted = ms.LabelledCorpus.from_table(tmp_path / "t.jsonl", label=label)
    assert found.sentences == wanted.sentences and found.concepts == wanted.concepts
    assert found.name == "table"


def test_what_pandas_calls_missing_is_no_label() -> None:
    frame = pd.DataFrame(COLUMNS).assign(tone=[1, None, 2, 1, 2])
    with pytest.warns(CorpusWarning, match="table:2: 1 row without a label"):
        found = ms.LabelledCorpus.from_table(frame, label="tone")
    assert found.sentences == {"1": ("Lovely.", "Bad."), "2": ("Fine.", "Odd.")}


def test_a_frame_with_a_column_per_language_is_parallel() -> None:
    frame = pd.DataFrame({"fr": ["Bonjour le monde."], "de": ["Hallo Welt."]})
    assert ms.ParallelCorpus.from_table(frame).languages == ("fra_Latn", "deu_Latn")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "expected the path of a table, a data frame or columns by name, got 3"),
        (None, "got None"),
        ({"a": ["x"], "b": ["x", "y"]}, "equal length"),
        (pd.DataFrame([["a", "b"]], columns=["x", "x"]), "different names, got x, x"),
        ({}, "different names, got none"),
        ({"text": ["a", "b"]}, r"column of labels .*label=, --label"),
    ],
)
def test_what_is_no_table_is_refused(given: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        ms.LabelledCorpus.from_table(given)


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.large_string())], ids=str)
def test_lists_of_labels_are_read_from_parquet(kind: pa.DataType, tmp_path: Path) -> None:
    tags = pa.array(COLUMNS["tags"], kind)
    pq.write_table(pa.table({"text": COLUMNS["text"], "tags": tags}), tmp_path / "t.parquet")
    corpus = ms.LabelledCorpus.from_table(tmp_path / "t.parquet", label="tags")
    assert corpus.concepts is not None and corpus.concepts.sets == SETS
    assert repr(corpus) == "LabelledCorpus(t.parquet: 5 sentences in 2 labels (kind, short))"


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([["y" * 1_000_000]] * 300, "unpacks to 300,000,300 bytes of text"),
        ([[1] * 2_000_000] * 3, "at most 1,048,576 cells"),
    ],
)
def test_lists_that_unpack_to_absurd_sizes_are_refused(
    tags: Any, message: str, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"text": ["s"] * len(tags), "tags": tags}), tmp_path / "t.parquet")
    with pytest.raises(CorpusError, match=message):
        ms.LabelledCorpus.from_table(tmp_path / "t.parquet", label="tags")


def test_a_first_line_of_excels_says_the_separator(tmp_path: Path) -> None:
    text = "sep=;\r\ntext;tone\r\nwell, yes;a\r\nno;b\r\n"
    folder = write(tmp_path, {"t.csv": "\ufeff" + text})
    corpus = ms.LabelledCorpus.from_table(folder / "t.csv", label="tone")
    assert corpus.sentences == {"a": ("well, yes",), "b": ("no",)}
    assert corpus.lines == {"a": (3,), "b": (4,)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text,tone\rx,a\ry,b\r", r"end with .r alone: expected .n"),
        ("text,tone\ncaf\xe9,a\ny,b\n".encode("latin1"), "save it as UTF-8"),
    ],
)
def test_other_ends_and_other_bytes_say_what_to_make_of_them(
    content: bytes, message: str, tmp_path: Path
) -> None:
    write(tmp_path, {"t.csv": content})
    with pytest.raises(CorpusError, match=message):
        ms.LabelledCorpus.from_table(tmp_path / "t.csv", label="tone")
