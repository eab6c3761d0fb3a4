"""Damaged and hostile files of a corpus are one refusal or text; none takes memory or time."""

from __future__ import annotations

import csv
import io
import json
import random
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mechsteer.corpus import LabelledCorpus, ParallelCorpus
from mechsteer.corpus.formats import parquet as parquet_files
from mechsteer.corpus.layouts.sources import kind_of
from mechsteer.corpus.names import codes
from mechsteer.errors import CorpusError, CorpusWarning

FRENCH = [f"Bonjour le monde, numéro {i}, ça va bien." for i in range(20)]
ENGLISH = [f"Hello world, number {i}, how are you." for i in range(20)]
COLUMNS = {"fra_Latn": FRENCH, "eng_Latn": ENGLISH}
ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(FRENCH, ENGLISH, strict=True)]


def parquet(table: pa.Table, **options: Any) -> bytes:
    written = io.BytesIO()
    pq.write_table(table, written, **options)
    return written.getvalue()


def delimited(delimiter: str) -> bytes:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(COLUMNS), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return written.getvalue().encode()


LONG = pa.table({"language": ["fra_Latn", "eng_Latn"] * 10, "text": FRENCH})
FILES = {
    "a.parquet": parquet(pa.table(COLUMNS)),
    "plain.parquet": parquet(pa.table(COLUMNS), compression="none", use_dictionary=False),
    "long.parquet": parquet(LONG, compression="zstd"),
    "pairs.parquet": parquet(pa.table({"translation": ROWS})),
    "a.csv": delimited(","),
    "a.tsv": delimited("\t"),
    "a.jsonl": "\n".join(map(json.dumps, ROWS)).encode(),
    "a.json": json.dumps(ROWS).encode(),
    "columns.json": json.dumps(COLUMNS).encode(),
}
PIECES = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b",", b"\t", b"{", b"}", b"[", b"]",
    b"NaN", b"1e999", b"null", b'"\\ud800"', b"\xed\xa0\x80", b"9" * 5000, b"[" * 3000, b"\x1b[2J",
    b'{"a":{"b":[]}}', b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"PAR1",
)  # fmt: skip


def damaged(chance: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 5])):
        # the metadata of Parquet stands at the end
        at = (
            chance.randrange(len(found) + 1) if chance.random() < 0.5 else -chance.randrange(1, 900)
        )
        kind = chance.random()
        if kind < 0.5:
            found[at % len(found)] = chance.randrange(256)
        elif kind < 0.8:
            found[at:at] = chance.choice(PIECES)
        elif kind < 0.9:
            del found[at : at + chance.randrange(1, 99)]
        else:
            del found[at:]
        found = found or bytearray(b"x")
    return bytes(found)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_refused_in_one_line_or_read(name: str, tmp_path: Path) -> None:
    chance, fates = random.Random(name), Counter[str]()
    for _ in range(60):
        (tmp_path / name).write_bytes(damaged(chance, FILES[name]))
        kind = chance.choice([LabelledCorpus, ParallelCorpus])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CorpusWarning)
                corpus = kind.read(tmp_path / name)
        except CorpusError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 2500
            fates["refused"] += 1
        else:
            texts = [text for own in corpus.sentences.values() for text in own]
            assert all(isinstance(text, str) and text.strip() for text in texts)
            fates["read"] += 1
    assert fates["refused"] > 5


def pointed(cells: int, text: str) -> pa.Array:
    """A column that says the same again and again, in next to no bytes."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * cells, pa.int8()), [text])


BOMBS: dict[str, Callable[[], pa.Table]] = {
    "rows": lambda: pa.table({"fra_Latn": pa.nulls(3_000_000), "eng_Latn": pa.nulls(3_000_000)}),
    "columns": lambda: pa.table({f"c{i}": pa.nulls(9_000, pa.string()) for i in range(150)}),
    "repeated text": lambda: pa.table({"fra_Latn": pointed(90_000, "Bonjour ! " * 300)}),
    "repeated pairs": lambda: pa.table(
        {"translation": pa.StructArray.from_arrays([pointed(90_000, "Bonjour ! " * 300)], ["fra"])}
    ),
    "packed text": lambda: pa.table({"fra_Latn": ["a" * 3_000_000]}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_unpacks_to_absurd_sizes_is_refused_with_the_limit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_files, "_LEAST_BYTES", 1 << 20)
    (tmp_path / "bomb.parquet").write_bytes(parquet(BOMBS[name](), compression="zstd"))
    with pytest.raises(CorpusError, match=r"bytes.*expected at most [0-9,]+.*for each byte"):
        ParallelCorpus.read(tmp_path / "bomb.parquet")


def test_declared_rows_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    """The number of rows as thrift writes it, zigzag and in groups of 7 bits, made enormous."""
    data = FILES["plain.parquet"]
    found = [i for i in range(len(data) - 800, len(data) - 8) if data[i : i + 2] == b"\x16\x28"]
    assert found
    for at in found:
        forged = data[: at + 1] + b"\xfe" + data[at + 2 :]  # swallows what follows as digits
        (tmp_path / "bad.parquet").write_bytes(forged)
        with pytest.raises(CorpusError):
            ParallelCorpus.read(tmp_path / "bad.parquet")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([FRENCH, ENGLISH]), r"list, not text"),
        (pa.array([{"a": "b"}] * 2), r"struct<.*>, not text"),
        (pa.array([b"\xff", b"a"]), "binary, not text"),
        (pa.array([[2**62], [1]], pa.list_(pa.timestamp("us"))), r"list<.*>, not text"),
        (pa.array([2**62, 1], pa.timestamp("us")), "timestamp.*not text"),
    ],
    ids=["list", "struct", "binary", "list of times", "time"],
)
def test_columns_that_are_no_text_are_named(column: pa.Array, said: str, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    file.write_bytes(parquet(pa.table({"fra_Latn": column, "eng_Latn": ENGLISH[:2]})))
    with pytest.raises(CorpusError, match=f"column 'fra_Latn' holds {said}"):
        ParallelCorpus.read(file)
    file.write_bytes(parquet(pa.table({"language": column, "text": ENGLISH[:2]})))
    with pytest.raises(CorpusError, match=r"column 'language' holds .*, not a language code"):
        LabelledCorpus.read(file)


def test_pairs_of_a_translation_column_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(FILES["pairs.parquet"])
    assert ParallelCorpus.read(tmp_path / "a.parquet").sentences == {
        name: tuple(texts) for name, texts in COLUMNS.items()
    }


def test_what_is_no_language_is_told_without_looking_for_what_is_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder of thousands of other files, or a table of as many columns, takes no time."""
    looked: list[str] = []
    monkeypatch.setattr(codes, "closest", lambda code, known: looked.append(code) or [])
    assert not any(codes.is_language(f"file{i}") for i in range(300))
    assert not looked
    with pytest.raises(CorpusError, match="unknown language 'file1'"):
        codes.parse("file1")
    assert looked


WIDE = [f"c{i}" for i in range(10_001)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("wide.csv", f"{','.join(WIDE)}\n{'x,' * 10_000}x\n".encode()),
        ("wide.tsv", ("\t".join(WIDE) + "\n").encode()),
        ("wide.json", json.dumps({name: ["x"] for name in WIDE}).encode()),
        ("wide.jsonl", b"\n".join(b'{"c%d": "x"}' % i for i in range(10_001))),
        ("wide.parquet", parquet(pa.table({name: pa.array(["x"]) for name in WIDE}))),
    ],
)
def test_a_table_too_wide_for_languages_is_refused(tmp_path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=r"has 10,001 columns: expected") as caught:
        ParallelCorpus.read(tmp_path / name)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '[{"fra_Latn": "Un chat", "eng_Latn": "A cat", "fra_Latn": "Un chien"}]'),
        ("a.jsonl", '{"language": "fra", "text": "Un chat", "text": "Un chien"}'),
        ("a.json", '{"fra_Latn": ["Un chat"], "fra_Latn": ["Un chien"]}'),
    ],
)
def test_a_key_that_an_object_has_twice_is_refused(tmp_path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CorpusError, match=r"the key '(fra_Latn|text)' occurs twice in one object"):
        LabelledCorpus.read(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "a//b", "a/b c", "é/à", "a/..", "../b", "../..:default", "a--b/c", "a/b..c"),
        *("a/b.git", "-a/b", "a/b-", "a/b/c", "a/b:", "a/b:../c", "\ud800/b", "a/b\n"),
    ],
)
def test_what_is_no_name_of_the_hub_is_not_asked_of_it(tmp_path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError, match="no such file or folder"):
        ParallelCorpus.read(name)


@pytest.mark.parametrize("name", ["a/b", "Helsinki-NLP/opus-100:en-fr", "a_b/c.d_e-f:g.h", "_a/b"])
def test_names_of_the_hub_are_known(name: str) -> None:
    assert kind_of(name) == "hub"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x1f\x8b\x08\x00", "gzip: let its name end in .gz"),
        (b"PK\x03\x04\x00", "a zip archive or a sheet"),
        (FILES["a.parquet"], "Parquet: let its name end in .parquet"),
    ],
    ids=["gzip", "zip", "parquet"],
)
@pytest.mark.parametrize("name", ["a.csv", "fra.txt"])
def test_what_is_no_text_is_named_whatever_its_name(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=f"holds no text but {said}"):
        LabelledCorpus.read(tmp_path / name if name == "a.csv" else tmp_path)
