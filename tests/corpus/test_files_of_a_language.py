"""A file of one language is parsed as its suffix says, and never read as lines by default."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechsteer.corpus import LabelledCorpus, ParallelCorpus, read
from mechsteer.errors import CorpusError
from tests.corpus.written import json_lines, write

FRENCH, GERMAN = ("Oui, bien sûr.", "Non."), ("Ja, sicher.", "Nein.")
BOTH = {"deu_Latn": GERMAN, "fra_Latn": FRENCH}
FORMATS = ["csv", "tsv", "jsonl", "ndjson", "json", "parquet", "dev.jsonl", "CSV"]


def save(frame: pd.DataFrame, file: Path) -> None:
    kind = file.suffix[1:].lower()
    if kind == "parquet":
        frame.to_parquet(file)
    elif kind in {"csv", "tsv"}:
        frame.to_csv(file, sep="\t" if kind == "tsv" else ",", index=False)
    else:
        frame.to_json(file, orient="records", lines=kind != "json", force_ascii=False)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("header", ["text", "sentence"])
def test_a_table_of_one_language_gives_its_sentences_joined_by_id(
    tmp_path: Path, kind: str, header: str
) -> None:
    extra = {"url": "https://x", "likes": 3}
    save(pd.DataFrame({"id": [1, 2], header: FRENCH}).assign(**extra), tmp_path / f"fra.{kind}")
    swapped = {"id": [2, 1], header: GERMAN[::-1]}
    save(pd.DataFrame(swapped).assign(**extra), tmp_path / f"deu.{kind}")
    corpus = read(tmp_path)
    assert {name: set(texts) for name, texts in corpus.sentences.items()} == {
        name: set(texts) for name, texts in BOTH.items()
    }
    assert corpus.sentences["fra_Latn"].index(FRENCH[0]) == corpus.sentences["deu_Latn"].index(
        GERMAN[0]
    )


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("header", ["fra", "fr", "fra_Latn", "phrase"])
def test_the_column_is_the_language_itself_or_the_only_text(
    tmp_path: Path, kind: str, header: str
) -> None:
    save(pd.DataFrame({header: FRENCH, "n": [1, 2]}), tmp_path / f"fra.{kind}")
    if header == "phrase" and kind == "csv":  # it may be the first sentence of a headerless file
        with pytest.raises(CorpusError, match="which of its columns is the text of fra"):
            read(tmp_path)
    else:
        assert read(tmp_path).sentences == {"fra_Latn": FRENCH}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"fra.csv": "deu\nJa\n"}, r"fra.csv: which of its columns is the text of fra\?.*got deu"),
        ({"fra.csv": "Bonjour.\nOui.\n"}, r"expected one named text.*got Bonjour\."),
        ({"fra.csv": "a,b\nOui,x\n"}, r"expected one named text, sentence or fra, got a, b"),
        ({"fra.jsonl": "Oui\n"}, r"fra.jsonl:1: not JSON"),
        ({"fra.jsonl": '"Oui"\n'}, r"fra.jsonl:1: expected an object, got str"),
        ({"fra.json": '{"a": [1], "b": [1, 2]}'}, "expected lists of equal length"),
        ({"fra.json": '{"text": '}, r"fra.json: not JSON.*\(line 1\)"),
        ({"fra.json": "[" * 100_000}, "not JSON"),
        ({"fra.json": '{"data": [{"paragraphs": [{}]}]}'}, "not in the layout of SQuAD"),
        ({"fra.parquet": "text\nOui\n"}, "cannot read .*fra.parquet"),
        ({"fra.jsonl": json_lines({"text": 3})}, r"fra.jsonl:1: column 'text' holds int, not text"),
        ({"fra.jsonl": json_lines({"text": "1.5"})}, r"column 'text' holds numbers, not text"),
        ({"fra.txt": json_lines({"text": "Oui"})}, "fra.txt holds JSON, not one sentence a line"),
        ({"fra.dev": json_lines({"text": "Oui"})}, "fra.dev holds JSON, not one sentence a line"),
        ({"fra.txt": json_lines([{"text": "Oui"}])}, "holds JSON"),
        ({"fra.txt": '\n{\n "text": "Oui"\n}\n'}, "holds JSON"),
        ({"fra.txt": "<?xml version='1.0'?>\n"}, "holds XML"),
        ({"fra.txt.gz": b"\x1f\x8b"}, "cannot unpack .*fra.txt.gz"),
        ({"fra.zip": b"PK"}, "fra.zip is packed: run unzip"),
        ({"fra.xlsx": b"PK"}, r"\.xlsx is not read: expected one of .txt, .csv"),
        ({"fra.tmx": "<tmx>"}, r"\.tmx is not read"),
        ({"fra.txt": "The cat.\tLe chat.\n\nYes.\tOui.\n"}, "holds columns.*name it .tsv"),
        ({"test.src": "Yes.\n", "test.trg": "Oui.\n"}, "rename them as test.eng and test.fra"),
        (
            {"dev.jsonl": json_lines({"premise": {"fr": "Oui."}, "hypothesis": "x", "label": 0})},
            "holds dict, not text: give the tables of single languages",
        ),
        ({"fra.unknown.pdf": "%PDF"}, r"\.pdf is not read"),
        ({"notes.conllu": "# text = Oui"}, "no files named LANG.txt.*got notes.conllu"),
        ({"fra.foo": "Oui\n"}, r"'foo' is no format that is read.*name it: split='foo'"),
        ({"fra.jsonl": json_lines({"language": "deu", "text": "Ja"})}, "named fra and has rows of"),
        (
            {"fra.jsonl": json_lines(*({"lang": c, "text": "a"} for c in ("fra", "deu")))},
            "named fra and has rows of fra, deu",
        ),
    ],
)
def test_what_cannot_be_parsed_is_refused_by_name(
    tmp_path: Path, files: dict[str, str | bytes], message: str
) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        read(write(tmp_path, files))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("flores200_dataset.tar.gz", r"is packed: run tar -xf on it first"),
        ("Belebele.zip", "is packed: run unzip on it first"),
        ("pairs.tmx", r"\.tmx is not read: .*of each language to a file LANG\.txt"),
        ("reviews.XLSX", r"\.xlsx is not read: .*save the sheet as CSV in UTF-8"),
        ("frame.feather", r"\.feather is not read: .*save it as Parquet or CSV"),
        ("run.yaml", r"\.yaml is not read: .*one sentence a line$"),
    ],
)
@pytest.mark.parametrize("corpus", [ParallelCorpus, LabelledCorpus])
def test_a_file_of_no_sentences_is_refused_with_what_to_make_of_it(
    tmp_path: Path, name: str, advice: str, corpus: Any
) -> None:
    write(tmp_path, {name: b"x"})
    with pytest.raises(CorpusError, match=advice):
        corpus.read(tmp_path / name)


def test_a_split_that_the_user_names_is_read_as_lines(tmp_path: Path) -> None:
    write(tmp_path, {"fra.foo": "Oui\n[1] Non\n", "deu.foo": "Ja\n[2] Nein\n"})
    assert read(tmp_path, split="foo").sentences["fra_Latn"] == ("Oui", "[1] Non")


def test_a_json_list_of_texts_is_its_sentences(tmp_path: Path) -> None:
    write(tmp_path, {"fra.json": json.dumps(FRENCH), "deu.json": json.dumps({"text": GERMAN})})
    assert read(tmp_path).sentences == BOTH


def test_files_beside_the_sentences_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, {"fra.txt": "Oui\n", "deu.txt": "Ja\n", "fra.log": "x\n", "fra.md": "x\n"})
    assert read(tmp_path).languages == ("deu_Latn", "fra_Latn")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "expected a regular file, got a pipe"),
        (lambda file: file.symlink_to("nowhere"), r"a link to nowhere\): No such file"),
        (lambda file: file.symlink_to(file.name), "Too many levels of symbolic links"),
        (lambda file: file.mkdir(), "expected a regular file, got a folder"),
        (lambda file: file.symlink_to("/dev/zero"), "expected a regular file, got a pipe, a socke"),
    ],
    ids=["pipe", "dangling", "loop", "folder", "device"],
)
@pytest.mark.parametrize("name", ["fra.txt", "fra.csv", "fra.parquet"])
def test_what_is_no_regular_file_is_named_and_refused(
    tmp_path: Path, make: Any, message: str, name: str
) -> None:
    write(tmp_path, {f"deu{Path(name).suffix}": b"text\nJa\n", f"spa{Path(name).suffix}": b""})
    make(tmp_path / name)
    with pytest.raises(CorpusError, match=message) as caught:
        read(tmp_path, languages="fra")
    assert name in str(caught.value)


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    write(tmp_path, {"sentences": "Oui\n"})
    (tmp_path / "fra.txt").symlink_to("sentences")
    assert read(tmp_path).sentences == {"fra_Latn": ("Oui",)}


def test_control_characters_of_names_are_printed_as_escapes(tmp_path: Path) -> None:
    write(tmp_path, {"fr\x1b[2J\n.txt": "Oui\n", "de.txt": "Ja\n"})
    with pytest.raises(CorpusError, match=r"fr\\x1b\[2J\\n.txt") as caught:
        read(tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("source", ["../..:default", "a" * 5000, "./..", "x/\0"])
def test_a_source_that_is_no_name_is_refused_in_one_line(source: str) -> None:
    with pytest.raises(CorpusError) as caught:
        read(source)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["text", "id", "data", "language", "a"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(st.sampled_from(["json", "jsonl", "csv", "tsv", "parquet"]), JSON.map(json.dumps))
def test_any_content_is_sentences_or_a_corpus_error(kind: str, text: str) -> None:
    with TemporaryDirectory() as folder:
        Path(folder, f"fra.{kind}").write_text(text)
        try:
            corpus = LabelledCorpus.read(folder)
        except CorpusError as error:
            assert "\n" not in str(error)
        else:
            assert corpus.languages == ("fra_Latn",)
