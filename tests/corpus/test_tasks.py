"""Labelled data by format: what each layout becomes, and what is refused by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mechsteer.corpus import ParallelCorpus, Task, labelled, read_task
from mechsteer.corpus.tasks.layouts import Told
from mechsteer.corpus.tasks.task import label_column
from mechsteer.errors import CorpusError, CorpusWarning

FRENCH = ("La lune est pleine.", "Le train part tôt.", "Elle mange du pain.", "Il pleut beaucoup.")
GERMAN = ("Der Mond ist voll.", "Der Zug fährt früh.", "Sie isst Brot.", "Es regnet sehr.")
TOPICS = ("science", "travel", "food", "science")


def tsv(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    return path


def jsonl(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sib(folder: Path, order: Sequence[int] = (2, 0, 3, 1)) -> Path:
    for code, texts, rows in (("fra_Latn", FRENCH, range(4)), ("deu_Latn", GERMAN, order)):
        for split in ("train", "dev"):
            lines = [(100 + i, TOPICS[i], texts[i]) for i in rows]
            tsv(folder / code / f"{split}.tsv", [("index_id", "category", "text"), *lines])
    return folder


def test_sib_200_is_a_folder_a_language_joined_on_its_ids(tmp_path: Path) -> None:
    task = read_task(sib(tmp_path), split="train")
    assert task.corpus.languages == ("deu_Latn", "fra_Latn")
    order = [GERMAN.index(text) for text in task.corpus.sentences["deu_Latn"]]
    assert [FRENCH[i] for i in order] == list(task.corpus.sentences["fra_Latn"])
    assert [TOPICS[i] for i in order] == list(task.labels)


def test_a_language_may_be_asked_for_under_another_code(tmp_path: Path) -> None:
    task = read_task(sib(tmp_path), split="dev", languages=["de", "fr"])
    assert task.corpus.languages == ("deu_Latn", "fra_Latn")


NLI = [
    ("fr", "La lune est pleine.", "Il y a une lune.", "entailment"),
    ("fr", "La lune est pleine.", "Il n'y a pas de lune.", "contradiction"),
    ("fr", "Le train part tôt.", "Le train est rouge.", "neutral"),
    ("fr", "Il pleut beaucoup.", "On ne sait pas.", "-"),
    ("de", "Der Mond ist voll.", "Es gibt einen Mond.", "entailment"),
    ("de", "Der Mond ist voll.", "Es gibt keinen Mond.", "contradiction"),
    ("de", "Der Zug fährt früh.", "Der Zug ist rot.", "neutral"),
    ("de", "Es regnet sehr.", "Man weiß es nicht.", "-"),
]


@pytest.mark.parametrize(
    "names",
    [
        ("language", "premise", "hypothesis", "label"),
        ("language", "sentence1", "sentence2", "gold_label"),
        ("Language", "Premise", "hypo", "label"),
    ],
)
def test_xnli_is_one_table_whose_premises_stay_together(tmp_path: Path, names: tuple[str]) -> None:
    task = read_task(tsv(tmp_path / "xnli.dev.tsv", [names, *NLI]))
    assert task.corpus.languages == ("fra_Latn", "deu_Latn")
    assert task.corpus.sentences["fra_Latn"][1] == "La lune est pleine. Il n'y a pas de lune."
    assert task.labels == ("entailment", "contradiction", "neutral")
    assert task.groups == (0, 0, 2)


def test_xnli_may_be_a_file_a_language(tmp_path: Path) -> None:
    for code in ("fr", "de"):
        rows = [
            {"premise": p, "hypothesis": h, "label": r} for c, p, h, r in NLI[:3] + NLI[4:7]
            if c == code
        ]  # fmt: skip
        jsonl(tmp_path / f"{code}.jsonl", rows)
    task = read_task(tmp_path)
    assert set(task.corpus.languages) == {"deu_Latn", "fra_Latn"}
    assert task.groups == (0, 0, 2)


def question(passage: str, number: int, right: object, code: str) -> dict[str, object]:
    answers = {f"mc_answer{i}": f"{code} answer {i} to {passage} {number}" for i in range(1, 5)}
    return {
        "link": f"https://example.org/{passage}", "question_number": number,
        "flores_passage": f"{code} passage {passage}", "question": f"{code} why {number}?",
        "correct_answer_num": right, "dialect": code, "ds": "2023-05-03",
    } | answers  # fmt: skip


def belebele(folder: Path) -> Path:
    asked = [("x", 1, "3"), ("x", 2, "1"), ("y", 1, "4")]
    for code, order in (("fra_Latn", (0, 1, 2)), ("deu_Latn", (2, 0, 1))):
        rows = [question(*asked[i], code) for i in order]
        jsonl(folder / f"{code}.jsonl", rows)
    return folder


def test_belebele_asks_of_each_answer_whether_it_is_correct(tmp_path: Path) -> None:
    task = read_task(belebele(tmp_path), languages=["fra_Latn", "deu_Latn"])
    assert len(task.labels) == 12
    assert task.labels[:4] == ("wrong", "wrong", "correct", "wrong")
    assert task.labels.count("correct") == 3
    french, german = (task.corpus.sentences[code][2] for code in ("fra_Latn", "deu_Latn"))
    assert french == "fra_Latn passage x fra_Latn why 1? fra_Latn answer 3 to x 1"
    assert german == french.replace("fra", "deu")
    assert len(set(task.groups[:8])) == 1  # two questions about one passage
    assert task.groups[8] != task.groups[0]


def test_any_table_of_a_user_with_the_columns_named(tmp_path: Path) -> None:
    header = ("lang", "id", "body", "mood", "document")
    rows = [("fra", i, FRENCH[i], "ab"[i % 2], i // 2) for i in range(4)]
    rows += [("deu", i, GERMAN[i], "ab"[i % 2], i // 2) for i in reversed(range(4))]
    told = Told(text="body", label="Mood", group="document")
    task = read_task(tsv(tmp_path / "mine.tsv", [header, *rows]), told=told)
    assert task.labels == ("a", "b", "a", "b")
    assert task.corpus.sentences["deu_Latn"] == GERMAN
    assert task.groups == (0, 0, 2, 2)


def test_a_corpus_with_a_column_of_labels(tmp_path: Path) -> None:
    corpus = ParallelCorpus({"fra_Latn": FRENCH, "deu_Latn": GERMAN})
    table = tsv(
        tmp_path / "meta.tsv", [("url", "topic"), *((f"u{i}", TOPICS[i]) for i in range(4))]
    )
    task = labelled(corpus, label_column(table, "topic"), ("u", "u", "v", "w"))
    assert (task.labels, task.groups) == (TOPICS, (0, 0, 2, 3))
    with pytest.raises(CorpusError, match="which column is the label"):
        label_column(table)
    with pytest.raises(CorpusError, match="no column 'domain': choose one of url, topic"):
        label_column(table, "domain")
    with pytest.raises(CorpusError, match="4 sentences a language and 3 labels"):
        labelled(corpus, TOPICS[:3])


@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_embedded_sentences_have_topics(split: str) -> None:
    task = read_task("embedded", split=split, languages=["eng_Latn", "kor_Hang"])
    assert task.classes == ("everyday", "nature", "society", "tales", "technology")
    topic = dict(zip(task.corpus.sentences["eng_Latn"], task.labels, strict=True))
    of = {
        "dev": ("Never send a password by email, because other people may be able to read the "
                "message.", "technology"),
        "test": ("Frogs lay their eggs in shallow water.", "nature"),
    }  # fmt: skip
    assert topic[of[split][0]] == of[split][1]
    assert min(task.labels.count(name) for name in task.classes) >= 25


def test_sentences_that_not_all_languages_have_are_left_out_and_said(tmp_path: Path) -> None:
    folder = sib(tmp_path, order=(2, 0, 3))
    with pytest.warns(CorpusWarning, match="3 of up to 4 labelled sentences"):
        task = read_task(folder, split="dev", languages=["fra_Latn", "deu_Latn"])
    assert task.labels == ("science", "food", "science")


def test_the_fingerprint_knows_labels_and_groups() -> None:
    corpus = ParallelCorpus({"fra_Latn": FRENCH})
    prints = {
        Task(corpus, TOPICS).fingerprint,
        Task(corpus, TOPICS[::-1]).fingerprint,
        labelled(corpus, TOPICS, "aabb").fingerprint,
    }
    assert len(prints) == 3
    assert Task(corpus, TOPICS).fingerprint in prints


def refused(tmp_path: Path, case: str) -> Path:
    """A source that is wrong in one way."""
    header = ("language", "text", "label")
    good = [("fr", FRENCH[0], "a"), ("fr", FRENCH[1], "b")]
    german = [("de", GERMAN[0], "a"), ("de", GERMAN[1], "b")]
    tables: dict[str, list[tuple[object, ...]]] = {
        "another label": [header, *good, german[0], ("de", GERMAN[1], "a")],
        "one class": [header, *((*row[:2], "a") for row in (*good, *german))],
        "one language": [header, *good],
        "more rows": [header, *good, *german, ("de", GERMAN[2], "a")],
        "no language column": [("text", "label"), *(row[1:] for row in good)],
        "no labels": [("language", "text"), *(row[:2] for row in (*good, *german))],
        "blank text": [header, *good, ("de", " ", "a"), german[1]],
        "twice": [("id", *header), *((7, *row) for row in (*good, *german))],
        "no answer of four": [tuple(question("x", 1, 5, "fr"))]
        + [tuple(question("x", 1, 5, code).values()) for code in ("fr", "de")],
    }
    if case in tables:
        return tsv(tmp_path / "data.tsv", tables[case])
    if case == "no tables":
        tsv(tmp_path / "fra_Latn.txt", [("Bonjour.",)])
        return tmp_path
    return sib(tmp_path)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("another label", "different labels in different languages .*fr.*'b'.*de.*'a'"),
        ("one class", "two classes or more, got .*'a'"),
        ("one language", "two languages or more"),
        ("more rows", "has no ids, and not equally many rows a language: fr 2, de 3"),
        ("no language column", "no column of languages .*got text, label"),
        ("no labels", "expected a column of labels .*got language, text"),
        ("blank text", "data.tsv:4: column 'text' holds no text"),
        ("twice", "data.tsv:3: the id '7' occurs twice"),
        ("no answer of four", "expected correct_answer_num from 1 to 4, got '5'"),
        ("no tables", r"holds no labelled tables: expected LANG/SPLIT.tsv \(SIB-200\)"),
        ("several splits", "several splits: choose one of dev, train"),
    ],
)
def test_a_wrong_layout_is_refused_by_name(tmp_path: Path, case: str, said: str) -> None:
    with pytest.raises(CorpusError, match=said):
        read_task(refused(tmp_path, case))


def test_what_is_asked_for_and_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    folder = sib(tmp_path)
    with pytest.raises(CorpusError, match="no kor_Hang among"):
        read_task(folder, split="dev", languages=["fra_Latn", "kor_Hang"])
    with pytest.raises(CorpusError, match="no split 'test': choose one of dev, train"):
        read_task(folder, split="test")
    with pytest.raises(CorpusError, match="expected a column 'genre', got index_id, category"):
        read_task(folder, split="dev", told=Told(label="genre"))
    with pytest.raises(CorpusError, match="choose one of dev, test"):
        read_task("embedded")
