"""What each layout of files gives, and what each refuses."""

from __future__ import annotations

import codecs
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechsteer.corpus import LabelledCorpus, read
from mechsteer.corpus.formats.text import read_lines
from mechsteer.errors import CorpusError, CorpusWarning
from tests.corpus.written import BOTH, FRENCH, GERMAN, write

pytestmark = pytest.mark.filterwarnings("ignore::mechsteer.errors.CorpusWarning")


def lines(sentences: tuple[str, ...], end: str = "\n") -> str:
    return "".join(f"{sentence}{end}" for sentence in sentences)


@pytest.mark.parametrize(
    ("german", "french", "split"),
    [
        ("deu_Latn.txt", "fra_Latn.txt", None),
        ("de.txt", "FRA-latn.txt", None),
        ("deu_Latn.dev", "fra_Latn.dev", None),
        ("deu_Latn.dev", "fra_Latn.dev", "dev"),
        ("dev/deu_Latn.dev", "dev/fra_Latn.dev", "dev"),
        ("dev/deu_Latn.dev", "dev/fra_Latn.dev", None),
        ("dev/deu_Latn.txt", "dev/fra_Latn.txt", "dev"),
    ],
)
def test_a_folder_of_files_per_language_is_read_in_order_of_language(
    tmp_path: Path, german: str, french: str, split: str | None
) -> None:
    write(tmp_path, {french: lines(FRENCH), german: lines(GERMAN), "README.md": "# text\n"})
    corpus = read(tmp_path, split=split)
    assert list(corpus.sentences.items()) == list(BOTH.items())
    assert corpus.where("fra_Latn", 1) == f"{tmp_path / french}:2"


def test_languages_are_read_in_the_order_asked_and_other_files_left_alone(tmp_path: Path) -> None:
    write(tmp_path, {"fr.txt": lines(FRENCH), "de.txt": lines(GERMAN), "notes.txt": b"\xff"})
    assert read(tmp_path, languages=["fra_Latn", "deu"]).languages == ("fra_Latn", "deu_Latn")
    assert read(tmp_path, languages="fr,de").languages == ("fra_Latn", "deu_Latn")


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (["fr.txt", "french.txt"], {}, r"french.txt: unknown language 'french'.*fra_Latn"),
        (["fr.txt", "zh.txt"], {}, r"zh.txt: ambiguous language 'zh': write zho_Hans or zho_Hant"),
        (["fr.txt", "fra_Latn.txt"], {}, "two files of fra_Latn: .*fr.txt and .*fra_Latn.txt"),
        (["dev/fr.dev", "test/fr.test"], {}, "several splits: choose one of dev, test"),
        (["dev/fr.dev", "fr.test"], {"split": "tst"}, "no split 'tst': choose one of dev, test"),
        (["README.md"], {}, "holds no files named LANG.txt"),
        (["fra_Latn.txt"], {"languages": ["fur"]}, r"no fur_Latn .*\(closest: fra_Latn\)"),
    ],
)
def test_a_folder_that_leaves_doubt_is_refused(
    tmp_path: Path, files: list[str], options: dict[str, Any], message: str
) -> None:
    write(tmp_path, dict.fromkeys(files, "a\n"))
    with pytest.raises(CorpusError, match=message):
        read(tmp_path, **options)


@pytest.mark.parametrize("name", ["tatoeba.fra-eng", "Tatoeba.fr-en", "corpus.x.fr-en"])
def test_a_pair_is_named_by_one_language_by_both_or_by_a_file(tmp_path: Path, name: str) -> None:
    source, target = name.rpartition(".")[2].split("-")
    english = {"eng_Latn": ("Hello.", "Thanks."), "fra_Latn": FRENCH}
    write(tmp_path, {f"{name}.{target}": "Hello.\nThanks.\n", f"{name}.{source}": lines(FRENCH)})
    assert read(tmp_path).languages == ("fra_Latn", "eng_Latn")
    assert read(tmp_path / f"{name}.{target}").languages == ("fra_Latn", "eng_Latn")
    assert read(tmp_path, languages="fra").sentences == english
    assert read(tmp_path, languages=["eng", "fr"]).languages == ("eng_Latn", "fra_Latn")
    assert read(tmp_path).name == name


def test_pairs_are_never_joined_over_english(tmp_path: Path) -> None:
    sides = ["fra-eng.fra", "fra-eng.eng", "cmn-eng.cmn", "cmn-eng.eng", "deu-eng.deu"]
    write(tmp_path, {f"tatoeba.{side}": "a\n" for side in sides})
    assert read(tmp_path, languages="cmn").languages == ("zho_Hans", "eng_Latn")
    with pytest.raises(CorpusError, match=r"has 2 pairs .* cannot be read together"):
        read(tmp_path, languages="eng")
    with pytest.raises(CorpusError, match="no pair with fra_Latn and zho_Hans"):
        read(tmp_path, languages="fra,cmn")
    with pytest.raises(CorpusError, match=r"one side of tatoeba.deu-eng only"):
        read(tmp_path, languages="deu")


def test_translations_with_ids_are_joined_and_doubtful_ids_left_out(tmp_path: Path) -> None:
    french = "a:2\tdeux\n~a:3\ttrois\n-\tseul\na:1\tun\nb\tx\nb\ty\nc\tfin\n"
    german = "a:1\teins\n~a:3\tdrei\n-\tallein\nb\tz\na:2\tzwei\nd\tende\n"
    write(tmp_path, {"fra.tsv": french, "deu.tsv": german})
    with pytest.warns(CorpusWarning, match="2 of up to 7 sentences have a translation"):
        corpus = read(tmp_path)
    assert corpus.sentences == {"deu_Latn": ("eins", "zwei"), "fra_Latn": ("un", "deux")}
    assert corpus.where("fra_Latn", 0) == f"{tmp_path / 'fra.tsv'}:4"
    assert len(LabelledCorpus.read(tmp_path)) == 13


def test_texts_without_a_common_id_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"fra.tsv": "~1\ta\n", "deu.tsv": "~1\tb\n"})
    with pytest.raises(CorpusError, match="no id is common"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"fr.txt": b"ok\n\x00b\n"}, r"fr.txt:2, byte 1: NUL"),
        ({"fr.txt": b"ok\nab\xff\n"}, r"fr.txt:2, byte 3: not UTF-8 \(0xff\)"),
        ({"fr.txt": b"ok\n\nx\xed\xa0\x80\n"}, r"fr.txt:3, byte 2: a lone surrogate"),
        ({"fr.txt": "ok\n".encode("utf-16")}, r"fr.txt:1, byte 4: NUL in text; UTF-16 must"),
        ({"fr.txt": "é".encode("latin-1")}, r"fr.txt:1, byte 1: not UTF-8"),
        ({"fr.txt": b""}, r"fr.txt is empty"),
        ({"fr.txt": b"\xef\xbb\xbf"}, r"fr.txt is empty"),
        ({"fr.txt": b"\n\n"}, r"fr.txt has no sentences"),
        ({"fr.tsv": b"1\ta\n2 b\n"}, r"fr.tsv:2: expected id<TAB>sentence, got 1 fields"),
    ],
)
@pytest.mark.filterwarnings("ignore::mechsteer.errors.CorpusWarning")
def test_bytes_that_are_no_text_are_refused_by_file_line_and_byte(
    tmp_path: Path, files: dict[str, str | bytes], message: str
) -> None:
    write(tmp_path, files)
    with pytest.raises(CorpusError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_parquet_cell_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    cells = pa.array([b"ok", b"\xff"]).view(pa.string())
    pq.write_table(pa.table({"fra": cells, "deu": list(GERMAN)}), tmp_path / "text.parquet")
    with pytest.raises(CorpusError, match=r"cannot read .*text.parquet: .*utf-8"):
        read(tmp_path / "text.parquet")


@given(st.binary(max_size=20) | st.text("a\r\n\u2028\ufeff\0", max_size=9).map(str.encode))
def test_any_bytes_are_their_lines_or_a_corpus_error(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "fra.txt")
        file.write_bytes(data)
        try:
            found = read_lines(file)
        except CorpusError as error:
            assert f"{file}" in str(error)
        else:
            text = data.removeprefix(codecs.BOM_UTF8).decode().replace("\r\n", "\n")
            assert "\n".join(found) == text.removesuffix("\n")
            assert not any("\n" in line for line in found)


@pytest.mark.parametrize(
    ("data", "sentences"),
    [
        (b"\xef\xbb\xbfun\r\ndeux\r\n", ("un", "deux")),
        (b"un\ndeux", ("un", "deux")),
        (b"un\rdeux\ntrois\r", ("un\rdeux", "trois\r")),
        ("un\u2028deux\u0085\x0b\x0ctrois\n".encode(), ("un\u2028deux\u0085\x0b\x0ctrois",)),
        ("\u202eabc\u202c \ufeffd\n".encode(), ("\u202eabc\u202c \ufeffd",)),
        ("e\u0301 \ufb01\n".encode(), ("e\u0301 \ufb01",)),
        (b"  a  \r\r\n", ("  a  \r",)),
        (b"x" * 100_000 + b"\ny\n", ("x" * 100_000, "y")),
    ],
)
def test_only_line_ends_are_taken_away_from_text(
    tmp_path: Path, data: bytes, sentences: tuple[str, ...]
) -> None:
    write(tmp_path, {"fra.txt": data})
    assert read(tmp_path).sentences == {"fra_Latn": sentences}


@pytest.mark.parametrize("source", ["nowhere", "/no/such/folder", "./no/where"])
def test_a_path_that_is_not_there_says_what_was_expected(source: str) -> None:
    with pytest.raises(CorpusError, match=f"no such file or folder: {source}; expected a folder"):
        read(source)


@pytest.mark.parametrize(
    "columns",
    [
        {"sentence_deu_Latn": GERMAN, "sentence_fra_Latn": FRENCH},
        {"translation": [{"de": g, "fr": f} for g, f in zip(GERMAN, FRENCH, strict=True)]},
    ],
    ids=["wide", "translation"],
)
def test_a_dataset_of_the_hub_is_read_as_a_table(
    monkeypatch: pytest.MonkeyPatch, columns: dict[str, list[Any]]
) -> None:
    datasets = pytest.importorskip("datasets")
    asked = []

    def load_dataset(*given: Any, **named: Any) -> Any:
        asked.append((given, named))
        return datasets.Dataset.from_dict(columns)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    corpus = read("owner/name:de-fr", split="test")
    assert corpus.sentences == BOTH
    assert asked == [(("owner/name", "de-fr"), {"split": "test", "revision": None})]


def test_a_dataset_with_several_splits_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    one = datasets.Dataset.from_dict({"fra": ["a"]})
    splits = datasets.DatasetDict({"train": one, "test": one})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: splits)
    with pytest.raises(CorpusError, match="several splits: choose one of train, test"):
        read("owner/name")


def test_a_dataset_offline_is_refused_in_one_line() -> None:
    pytest.importorskip("datasets")
    code = (
        "from mechsteer.corpus import read\n"
        "try: read('owner/name')\n"
        "except ValueError as error: print(error)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": "/nonexistent", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(answer) == 1
    assert "no file or folder owner/name; as a dataset: cannot load owner/name" in answer[0]
