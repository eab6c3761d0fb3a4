"""Tables as corpora: the same text in every shape and format, or a refusal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mechsteer.corpus import ParallelCorpus, read
from mechsteer.errors import CorpusError, CorpusWarning
from tests.corpus.written import BOTH, FRENCH, GERMAN, write

pytestmark = pytest.mark.filterwarnings("ignore::mechsteer.errors.CorpusWarning")

WIDE = pd.DataFrame({"id": [7, 8], "de": GERMAN, "sentence_fra_Latn": FRENCH})
LONG = pd.DataFrame(
    {"language": ["de", "fr", "fr", "de"], "text": [GERMAN[0], FRENCH[1], FRENCH[0], GERMAN[1]]}
).assign(id=[1, 2, 1, 2])
PLUS = pd.DataFrame(
    {"iso_639_3": ["deu"] * 2 + ["fra"] * 2, "iso_15924": ["Latn"] * 4, "text": GERMAN + FRENCH}
)


def save(frame: pd.DataFrame, file: Path) -> Path:
    if file.suffix == ".parquet":
        frame.to_parquet(file)
    else:
        frame.to_csv(file, sep="\t" if file.suffix == ".tsv" else ",", index=False)
    return file


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize("frame", [WIDE, LONG, PLUS], ids=["wide", "long", "flores_plus"])
def test_a_table_gives_the_same_corpus_in_every_shape_and_format(
    tmp_path: Path, frame: pd.DataFrame, suffix: str
) -> None:
    corpus = read(save(frame, tmp_path / f"text{suffix}"))
    assert corpus.sentences == BOTH
    assert isinstance(corpus, ParallelCorpus)


def test_a_csv_cell_may_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    french = ('Il dit : « oui », puis "non".', "deux\nlignes", "fin")
    frame = pd.DataFrame({"fra": french, "deu": ("a", "b", "c")})
    corpus = read(save(frame, tmp_path / "text.csv"))
    assert corpus.sentences["fra_Latn"] == french
    assert [corpus.where("deu_Latn", i).rpartition(":")[2] for i in range(3)] == ["2", "3", "5"]


def test_quotes_in_a_tsv_are_characters(tmp_path: Path) -> None:
    write(tmp_path, {"text.tsv": 'fra\tdeu\n"Oui\t"Ja" "\n'})
    assert read(tmp_path / "text.tsv").sentences == {"fra_Latn": ('"Oui',), "deu_Latn": ('"Ja" "',)}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_missing_translation_takes_its_row_out_of_every_language(
    tmp_path: Path, suffix: str
) -> None:
    frame = pd.DataFrame({"fra": ["a", None, "c"], "deu": ["d", "e", "f"]})
    with pytest.warns(CorpusWarning, match="1 blank"):
        corpus = read(save(frame, tmp_path / f"text{suffix}"))
    assert corpus.sentences == {"fra_Latn": ("a", "c"), "deu_Latn": ("d", "f")}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.tsv", "fra\tdeu\na\tb\tc\n", "t.tsv:2: expected 2 fields, got 3"),
        ("t.csv", 'fra,deu\na,"b\n', "t.csv:2: not CSV"),
        ("t.csv", "fra,notes\na,b\n", "column 'notes': unknown language.*name the languages"),
        ("t.csv", "fra,fr\na,b\n", "two columns of fra_Latn"),
        ("t.csv", "fra,fra\na,b\n", "t.csv:1: a column name occurs twice"),
        ("t.csv", "language,text\nfra,a\nfrench,b\n", "t.csv:3: unknown language 'french'"),
        ("t.csv", "fra,deu\n", "has no sentences"),
        ("t.csv", "id\n1\n", "has no language"),
        ("t.parquet", "fra,deu\na,b\n", "cannot read .*t.parquet"),
        ("t.json", "[]", "expected a folder of LANG.txt"),
        ("t.csv", "", "is empty"),
    ],
)
def test_a_table_that_leaves_doubt_is_refused(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    write(tmp_path, {name: text})
    with pytest.raises(CorpusError, match=message):
        read(tmp_path / name)


def test_a_column_of_numbers_is_no_text(tmp_path: Path) -> None:
    file = save(pd.DataFrame({"fra": [1, 2], "deu": GERMAN}), tmp_path / "text.parquet")
    with pytest.raises(CorpusError, match=r"text.parquet:1: column 'fra' holds int, not text"):
        read(file)


def test_named_columns_are_read_and_the_others_ignored(tmp_path: Path) -> None:
    frame = WIDE.assign(URL="http://", domain="news")
    file = save(frame, tmp_path / "text.csv")
    assert read(file, languages=["fra", "deu"]).languages == ("fra_Latn", "deu_Latn")
