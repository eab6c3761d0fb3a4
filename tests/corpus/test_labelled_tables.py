"""Any column of any table is a label; labels stand as they are written."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mechsteer.cli.do.corpora import asked_text
from mechsteer.cli.requests import ScoreRequest
from mechsteer.corpus import LabelledCorpus, ParallelCorpus, Task
from mechsteer.errors import CorpusError, CorpusWarning

LONG = "x" * 300
ROWS = [
    ("Go away.", "not toxic", 1, "eng", 0, 1, "b;a"),
    ("Come in.", "très formel", 1, "eng", 1, 1, "a"),
    ("Va-t'en.", "not toxic", 2, "fra", 0, 0, ""),
    ("Entrez.", "très formel", 2, "fra", 1, 0, "b"),
    ("Merci.", "A/B", 2, "fra", 0, 1, "a"),
    ("Thanks.", "A/B", 1, "English", 1, 0, "b"),
    ("Bye.", LONG, 1, "en", 0, 1, "a"),
]
NAMES = ["text", "tone", "number", "lang", "toxic", "yes, but", "tags"]


def frame() -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=NAMES)


def csv(folder: Path, table: pd.DataFrame | None = None, name: str = "t.csv") -> Path:
    path = folder / name
    table = frame() if table is None else table
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.parquet"])
def test_a_label_is_any_column_of_any_table(name: str, tmp_path: Path) -> None:
    path = csv(tmp_path, name=name)
    tone = LabelledCorpus.from_table(path, text="text", label="tone")
    assert tone.languages == ("not toxic", "très formel", "A/B", LONG)
    assert tone.sentences["A/B"] == ("Merci.", "Thanks.")
    assert tone.where("A/B", 1).startswith(f"{path}:")
    number = LabelledCorpus.from_table(path, label="NUMBER")
    assert number.languages == ("1", "2")
    assert number.concepts is not None and number.concepts.label == "NUMBER"
    assert tone.fingerprint != number.fingerprint


def test_labels_are_never_languages(tmp_path: Path) -> None:
    table = frame().assign(tone=["fr", "no", "fr", "no", "fr", "en_Latn", "no"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = LabelledCorpus.from_table(csv(tmp_path, table), label="tone")
    assert found.languages == ("fr", "no", "en_Latn")
    assert found.select(["no"]).languages == ("no",)
    with pytest.raises(CorpusError, match="has no français among its 3 labels"):
        found.select(["français"])


def test_a_column_of_languages_chooses_rows_and_is_kept(tmp_path: Path) -> None:
    path = csv(tmp_path, frame().query("tone != @LONG", local_dict={"LONG": LONG}))
    both = LabelledCorpus.from_table(path, label="tone", language="lang")
    assert both.concepts is not None
    assert both.concepts.languages["not toxic"] == ("eng_Latn", "fra_Latn")
    assert both.concepts.languages["A/B"] == ("fra_Latn", "English")  # no code: as it stands
    french = LabelledCorpus.from_table(path, label="tone", language="lang", languages="fr")
    assert [*french.sentences.values()] == [("Va-t'en.",), ("Entrez.",), ("Merci.",)]
    assert both.head(1).sentences["A/B"] == ("Merci.", "Thanks.")  # one of each language
    assert both.head(1).concepts == both.concepts
    with pytest.raises(CorpusError, match="has no deu_Latn among its languages"):
        LabelledCorpus.from_table(path, label="tone", language="lang", languages=["deu"])
    with pytest.raises(CorpusError, match="no column tells them"):
        LabelledCorpus.from_table(path, label="tone", languages="fr")


def test_several_columns_of_0_and_1_overlap(tmp_path: Path) -> None:
    found = LabelledCorpus.from_table(csv(tmp_path), label=["toxic", "yes, but"])
    assert found.concepts is not None
    assert found.concepts.sets == {
        "toxic": ("toxic + yes, but", "toxic"),
        "yes, but": ("yes, but", "toxic + yes, but"),
    }
    assert found.sentences["(none)"] == ("Va-t'en.",)
    assert found.slice(0, 1).concepts == found.concepts


@pytest.mark.parametrize("listed", [False, True])
def test_several_labels_of_one_cell_overlap(listed: bool, tmp_path: Path) -> None:
    if listed:
        rows = [{"text": row[0], "tags": [t for t in row[6].split(";") if t]} for row in ROWS]
        path = tmp_path / "t.json"
        path.write_text(json.dumps(rows), encoding="utf-8")
        found = LabelledCorpus.from_table(path, label="tags")
        assert found.sentences["(none)"] == ("Va-t'en.",)
    else:
        with pytest.warns(CorpusWarning, match=r"t\.csv:4: 1 row without a label left out"):
            found = LabelledCorpus.from_table(csv(tmp_path), label="tags", separator=";")
    assert found.concepts is not None
    assert found.concepts.sets == {"a": ("a + b", "a"), "b": ("a + b", "b")}


def test_rows_without_a_label_or_a_sentence_are_left_out_and_counted(tmp_path: Path) -> None:
    table = frame()
    table.loc[[1, 4], "tone"] = [None, "  "]
    table.loc[2, "text"] = ""
    with pytest.warns(CorpusWarning) as said:
        found = LabelledCorpus.from_table(csv(tmp_path, table), label="tone")
    assert [str(each.message).rpartition("/")[2] for each in said] == [
        "t.csv:3: 2 rows without a label left out",
        "t.csv:4: 1 row without a sentence left out",
    ]
    assert len(found) == 4


def _many(folder: Path) -> Path:
    table = pd.DataFrame({"text": [f"{i} apples" for i in range(11)], "id": range(11)})
    return csv(folder, table, "many.csv")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"label": "tonne"}, "expected a column 'tonne', got text, tone"),
    ({"label": "tone", "text": "sentence"}, "expected a column 'sentence'"),
    ({"label": "text"}, "column 'text' is that of the sentences"),
    ({"label": "same"}, r"holds one label alone \('x'\): expected two or more"),
    ({"label": ["toxic", "tone"]}, "column 'tone' is one of several labels: expected 0 or 1"),
    ({"label": ["toxic", "always"]}, "every sentence has 'always'"),
    ({"text": "text"}, "text: a column is named, and no label"),
    ({"label": "tone", "text": "number"}, "expected a sentence, got int"),
]


@pytest.mark.parametrize(("asked", "said"), REFUSED)
def test_what_cannot_be_meant_is_refused(asked: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = csv(tmp_path, frame().assign(same="x", always=1), "t.parquet")
    with pytest.raises(CorpusError, match=said):
        LabelledCorpus.from_table(path, **asked)
    with pytest.raises(CorpusError, match="11 different values in 11 rows: expected labels"):
        LabelledCorpus.from_table(_many(tmp_path), label="id")
    with pytest.raises(CorpusError, match="are not parallel"):
        ParallelCorpus.from_table(path, label="tone")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"label": []}, r"expected a column of labels, or several different ones, got \[\]"),
        ({"label": ["tone", "tone"]}, "several different ones"),
        ({"label": "tone", "separator": ""}, "expected what parts the labels"),
    ],
)
def test_columns_that_cannot_be_meant_are_refused(
    tmp_path: Path, told: dict[str, Any], said: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,tone\nYes.,fr\nNo.,en\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=said):
        LabelledCorpus.from_table(path, **told)
    with pytest.raises(CorpusError, match="has no label: give"):
        LabelledCorpus.from_table(path, label="tone").select([])


def test_topics_of_translations_are_told_apart_in_every_language() -> None:
    topics = Task.embedded("dev", languages=["eng_Latn", "fra_Latn"]).by_label("topic")
    assert topics.concepts is not None and topics.concepts.label == "topic"
    assert set(topics.languages) == {"everyday", "nature", "society", "tales", "technology"}
    assert len(topics) == 512
    assert set(topics.concepts.languages["tales"]) == {"eng_Latn", "fra_Latn"}


def test_a_folder_of_labelled_translations_is_read_by_its_labels(tmp_path: Path) -> None:
    for code in ("eng_Latn", "fra_Latn"):
        rows = [f"{i}\t{'sport' if i % 2 else 'travel'}\t{code} {i}" for i in range(6)]
        (tmp_path / code).mkdir()
        lines = "\n".join(["index_id\tcategory\ttext", *rows])
        (tmp_path / code / "train.tsv").write_text(lines, encoding="utf-8")
    asked = {"corpus": str(tmp_path), "split": "train", "label": ("category",)}
    both = asked_text(ScoreRequest(**asked))
    assert both.languages == ("travel", "sport") and len(both) == 12
    french = asked_text(ScoreRequest(**asked, languages=("fr",)))
    assert french.sentences["sport"] == ("fra_Latn 1", "fra_Latn 3", "fra_Latn 5")
    table = str(tmp_path / "fra_Latn" / "train.tsv")
    one = asked_text(ScoreRequest(corpus=table, label=("category",)))
    assert one.sentences == french.sentences and one.concepts != french.concepts


def test_a_column_of_sentences_of_another_name_is_asked_for(tmp_path: Path) -> None:
    path = csv(tmp_path, frame().rename(columns={"text": "comment_text"}))
    with pytest.raises(CorpusError, match=r"got comment_text, .*: name it \(text=, --text\)"):
        LabelledCorpus.from_table(path, label="tone")
    found = LabelledCorpus.from_table(path, label="tone", text="comment_text")
    assert found.languages[0] == "not toxic"
