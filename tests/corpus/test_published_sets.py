"""Data sets by format, in the many ways their files come: columns, bytes, packing, splits."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mechsteer.corpus import LabelledCorpus, ParallelCorpus, read, read_task
from mechsteer.errors import CorpusError, CorpusWarning
from tests.corpus.published_rows import (
    NAMED,
    SHORT,
    TEXTS,
    TOPICS,
    Row,
    belebele,
    bouquet,
    flores_plus,
    jsonl,
    parquet,
    paws,
    quoted,
    shuffled,
    sib,
    tsv,
    views,
    windows,
    xnli,
)
from tests.corpus.written import write

VARIANTS: Mapping[str, tuple[str, Callable[[list[Row]], bytes]]] = {
    "tsv": (".tsv", tsv),
    "quoted tsv": (".tsv", quoted),
    "shuffled tsv": (".tsv", lambda rows: tsv(shuffled(rows))),
    "windows tsv": (".tsv", lambda rows: windows(tsv(rows))),
    "gz tsv": (".tsv.gz", lambda rows: gzip.compress(windows(tsv(shuffled(rows))))),
    "jsonl": (".jsonl", lambda rows: jsonl(shuffled(rows))),
    "xz jsonl": (".jsonl.xz", lambda rows: lzma.compress(jsonl(rows))),
    "bz2 csv": (".csv.bz2", lambda rows: bz2.compress(quoted(rows).replace(b"\t", b","))),
    "parquet": (".parquet", parquet),
    "views": (".parquet", lambda rows: views(shuffled(rows))),
}
SETS = {
    "flores+": flores_plus, "sib": sib, "belebele": belebele, "paws-x": paws, "xnli": xnli,
    "bouquet": bouquet,
}  # fmt: skip
EACH = [  # every variant with three of the sets, every set with five of the variants
    pytest.param(name, variant, id=f"{name} {variant}")
    for i, variant in enumerate(VARIANTS)
    for j, name in enumerate(SETS)
    if (i + j) % 2 == 0
]
OF_ONE_TABLE = ("flores+", "belebele", "xnli", "bouquet")
WRITERS = {"tsv": tsv, "jsonl": jsonl}
EXPECTED = {NAMED[code]: texts for code, texts in TEXTS.items()}


@pytest.mark.parametrize(("name", "variant"), EACH)
def test_a_file_for_every_language_is_read_however_it_is_written(
    tmp_path: Path, name: str, variant: str
) -> None:
    suffix, encode = VARIANTS[variant]
    write(tmp_path, {f"{NAMED[code]}{suffix}": encode(SETS[name](code)) for code in TEXTS})
    assert read(tmp_path).sentences == EXPECTED
    assert read(tmp_path, languages="de,fr").languages == ("deu_Latn", "fra_Latn")
    with pytest.raises(CorpusError, match="has no kor_Hang among its 3 languages"):
        read(tmp_path, languages="de,ko")


@pytest.mark.parametrize(("name", "variant"), [p for p in EACH if p.values[0] in OF_ONE_TABLE])
def test_one_table_of_all_languages_is_read_however_it_is_written(
    tmp_path: Path, name: str, variant: str
) -> None:
    suffix, encode = VARIANTS[variant]
    rows = [row for code in TEXTS for row in SETS[name](code)]
    file = write(tmp_path, {f"all{suffix}": encode(rows)}) / f"all{suffix}"
    split = "dev" if name in {"flores+", "bouquet"} else None
    assert read(file, split=split).sentences == EXPECTED
    assert read(file, languages="en,deu", split=split).languages == ("eng_Latn", "deu_Latn")


@pytest.mark.parametrize("variant", ["tsv", "quoted tsv", "gz tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("name", ["sib", "paws-x", "xnli", "belebele"])
def test_a_folder_for_every_language_is_read_as_text_and_as_a_task(
    tmp_path: Path, name: str, variant: str
) -> None:
    suffix, encode = VARIANTS[variant]
    splits = ("dev_2k", "translated_train") if name == "paws-x" else ("dev", "train")
    for code in TEXTS:
        files = {f"{SHORT[code]}/{each}{suffix}": encode(SETS[name](code)) for each in splits}
        write(tmp_path, {**files, f"{SHORT[code]}/labels.txt": "a\nb\n"})
    for split in ("dev", splits[0], "train"):
        assert read(tmp_path, split=split).sentences == EXPECTED
        task = read_task(tmp_path, split=split)
        assert task.corpus.languages == ("deu_Latn", "eng_Latn", "fra_Latn")
    labels = {"sib": TOPICS, "paws-x": ("0", "1", "0")}
    if name in labels:
        assert task.labels == labels[name]
    with pytest.raises(CorpusError, match="several splits: choose one of dev, train"):
        read(tmp_path)
    with pytest.raises(CorpusError, match="no split 'test': choose one of dev, train"):
        read_task(tmp_path, split="test")


def test_numbered_parts_are_one_table_and_all_must_be_there(tmp_path: Path) -> None:
    for code in TEXTS:
        rows = paws(code)
        for part, few in enumerate((rows[:2], rows[2:])):
            write(tmp_path, {f"{SHORT[code]}/test-0000{part}-of-00002.parquet": parquet(few)})
    assert read(tmp_path).sentences == read(tmp_path, split="test").sentences == EXPECTED
    assert read_task(tmp_path, split="test").labels == ("0", "1", "0")
    (tmp_path / "de/test-00000-of-00002.parquet").unlink()
    with pytest.raises(CorpusError, match=r"de holds test-00001-of-00002.parquet: expected .* all"):
        read(tmp_path)


def test_a_language_without_the_split_is_left_out_and_said(tmp_path: Path) -> None:
    for code, split in (("fra", "dev"), ("deu", "dev"), ("eng", "train")):
        write(tmp_path, {f"{code}/{split}.tsv": tsv(sib(code))})
    with pytest.warns(CorpusWarning, match="has no dev of eng: left out"):
        assert read(tmp_path, split="dev").languages == ("deu_Latn", "fra_Latn")
    with pytest.raises(CorpusError, match="no eng_Latn"), pytest.warns(CorpusWarning):
        read(tmp_path, split="dev", languages="en,fr")


@pytest.mark.parametrize("folder", ["", "data/"])
def test_tables_named_by_their_split_alone_tell_languages_by_row(
    tmp_path: Path, folder: str
) -> None:
    rows = [row for code in TEXTS for row in xnli(code)]
    write(tmp_path, {f"{folder}xnli.{split}.tsv": tsv(rows) for split in ("dev", "test")})
    assert read(tmp_path, split="dev").sentences == EXPECTED
    task = read_task(tmp_path, split="test")
    assert task.classes == ("contradiction", "entailment", "neutral")
    assert task.groups == (0, 0, 0, 3, 3, 3, 6, 6, 6)


def test_bouquet_by_level_by_pair_and_with_its_english_once(tmp_path: Path) -> None:
    rows = [*bouquet("fra"), *bouquet("deu")]
    file = write(tmp_path, {"all.jsonl": jsonl(rows)}) / "all.jsonl"
    assert read(file).sentences == EXPECTED
    long = [{**row, "level": "paragraph_level", "uniq_id": "P0"} for row in rows[::3]]
    write(tmp_path, {"all.jsonl": jsonl([*rows, *long])})
    with pytest.warns(CorpusWarning, match="left out its paragraphs: name split='paragraph_level'"):
        assert read(file, split="dev").sentences == EXPECTED
    for split in ("paragraph_level", "dev/paragraph_level"):
        assert read(file, split=split).sentences["fra_Latn"] == TEXTS["fra"][:1]
    pairs = {f"p/dev/{NAMED[c]}-eng_Latn.parquet": parquet(bouquet(c)) for c in ("fra", "deu")}
    assert read(write(tmp_path, dict(pairs)) / "p/dev").sentences == EXPECTED
    assert read(tmp_path / "p", split="dev").sentences == EXPECTED


def test_levels_of_bouquet_are_told_apart_in_any_folder(tmp_path: Path) -> None:
    for code in ("fra", "deu"):
        long = [{**row, "level": "paragraph_level", "uniq_id": "P0"} for row in bouquet(code)[:1]]
        rows = parquet([*bouquet(code), *long])
        write(tmp_path, {f"{NAMED[code]}/{s}.parquet": rows for s in ("dev", "test")})
    with pytest.warns(CorpusWarning, match="left out its paragraphs"):
        assert read(tmp_path, split="dev").sentences["deu_Latn"] == TEXTS["deu"]
    assert read(tmp_path, split="dev/paragraph_level").sentences["fra_Latn"] == TEXTS["fra"][:1]


def test_bouquet_is_labelled_data_of_its_sources(tmp_path: Path) -> None:
    rows = [
        {**row, "domain": topic}
        for code in ("fra", "deu")
        for row, topic in zip(bouquet(code), TOPICS, strict=True)
    ]
    write(tmp_path, {f"{split}.parquet": parquet(rows) for split in ("dev", "test")})
    task = read_task(tmp_path, split="dev")
    assert task.labels == TOPICS
    assert task.corpus.sentences == {NAMED[code]: TEXTS[code] for code in ("fra", "deu")}


@pytest.mark.parametrize("name", ["sib", "paws-x", "xnli", "belebele"])
def test_a_table_named_by_its_split_has_the_language_of_its_folder(
    tmp_path: Path, name: str
) -> None:
    rows = [
        {k: v for k, v in r.items() if k not in {"language", "dialect"}} for r in SETS[name]("fra")
    ]
    write(tmp_path, {"fra_Latn/dev.tsv": tsv(rows), "fra_Latn/test.tsv": tsv(rows)})
    found = {"fra_Latn": TEXTS["fra"]}
    assert read(tmp_path / "fra_Latn/dev.tsv", split="dev").sentences == found
    assert read(tmp_path / "fra_Latn", split="test", languages="fr").sentences == found
    write(tmp_path, {"fra_Latn/notes.tsv": tsv(rows)})
    with pytest.raises(CorpusError, match="no column 'language' beside it"):
        read(tmp_path / "fra_Latn/notes.tsv")


def test_a_table_that_stands_there_in_two_formats_is_read_once(tmp_path: Path) -> None:
    rows = [row for code in TEXTS for row in xnli(code)]
    files = {f"xnli.{s}.{kind}": f(rows) for s in ("dev", "test") for kind, f in WRITERS.items()}
    write(tmp_path, dict(files))
    with pytest.warns(
        CorpusWarning, match="xnli.dev.tsv is left out: xnli.dev.jsonl stands beside"
    ):
        assert read(tmp_path, split="dev").sentences == EXPECTED


def test_tables_of_questions_give_what_is_asked(tmp_path: Path) -> None:
    more: dict[str, dict[str, object]] = {
        "mmlu": {"question_id": 0, "question": "", "option_0": "a", "category": "b"},
        "xquad": {"id": "0", "context": "c d", "question": ""},
        "xcopa": {"idx": 0, "premise": "", "choice1": "a", "question": "cause", "label": 0},
    }
    for name, row in more.items():
        key, text = next(iter(row)), "premise" if "premise" in row else "question"
        for code, texts in TEXTS.items():
            rows = [{**row, key: i, text: each} for i, each in enumerate(texts)]
            write(tmp_path, {f"{name}/{SHORT[code]}/test.jsonl": jsonl(rows[::-1])})
        assert read(tmp_path / name).sentences == {n: t[::-1] for n, t in EXPECTED.items()}


def bucc(folder: Path, *, gold: str | None, packed: bool = False) -> Path:
    ids = {code: [f"{SHORT[code]}-{7 * i:09}" for i in range(3)] for code in ("deu", "eng")}
    files: dict[str, bytes] = {}
    for code, texts in (("deu", TEXTS["deu"]), ("eng", TEXTS["eng"][::-1])):
        lines = zip(ids[code], texts, strict=True)
        files[f"de-en.training.{SHORT[code]}"] = "".join(f"{i}\t{t}\n" for i, t in lines).encode()
    if gold is not None:
        files["de-en.training.gold"] = gold.encode()
    files["de-en.test.de"], files["de-en.test.en"] = b"de-1\tJa.\n", b"en-1\tYes.\n"
    ending = ".gz" if packed else ""
    data = {f"{name}{ending}": gzip.compress(x) if packed else x for name, x in files.items()}
    return write(folder / "de-en", dict(data))


GOLD = "de-000000000\ten-000000014\nde-000000014\ten-000000000\n"


@pytest.mark.parametrize("packed", [False, True])
def test_bucc_is_paired_by_its_gold_file(tmp_path: Path, packed: bool) -> None:
    folder = bucc(tmp_path, gold=GOLD, packed=packed)
    found = {NAMED[code]: TEXTS[code][::2] for code in ("deu", "eng")}
    with pytest.warns(CorpusWarning, match="2 of up to 3 sentences have a translation"):
        assert read(folder, split="training").sentences == found
    with pytest.warns(CorpusWarning):
        both = read(tmp_path, split="training", languages="en,de")
    assert list(both.sentences.items()) == [(n, found[n][::-1]) for n in ("eng_Latn", "deu_Latn")]
    everything = LabelledCorpus.read(folder, split="training").sentences
    assert everything["eng_Latn"] == TEXTS["eng"][::-1]
    with pytest.raises(CorpusError, match="no id is common"):
        read(folder, split="test")
    for split, said in (("dev", "no split 'dev'"), (None, "several splits")):
        with pytest.raises(CorpusError, match=f"{said}: choose one of test, training"):
            read(folder, split=split)


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        (None, "no id is common"),
        (GOLD.replace("\t", " "), r"training.gold:1: expected two ids with a tab between"),
        ("de-000000000\ten-000000014\nde-000000000\ten-000000000\n", "no id is common"),
    ],
)
def test_bucc_without_clear_pairs_is_refused(tmp_path: Path, gold: str | None, said: str) -> None:
    with pytest.raises(CorpusError, match=said):
        read(bucc(tmp_path, gold=gold), split="training")


def test_opus_mt_testsets_are_folders_of_pairs_with_sets(tmp_path: Path) -> None:
    for pair in ("deu-eng", "eng-fra"):
        for code in pair.split("-"):
            for name in ("newstest2019", "tatoeba-test-v2021-08-07"):
                write(tmp_path, {f"{pair}/{name}.{code}": "\n".join(TEXTS[code]) + "\n"})
            write(tmp_path, {f"{pair}/newstest2019.{code}.labels": f"{code}\n" * 3})
    corpus = read(tmp_path, languages="en,de", split="newstest2019")
    assert corpus.sentences == {NAMED[code]: TEXTS[code] for code in ("eng", "deu")}
    assert read(tmp_path / "eng-fra/newstest2019.fra").languages == ("eng_Latn", "fra_Latn")
    with pytest.raises(CorpusError, match=r"has 2 pairs \(deu-eng, eng-fra, …\): name the two"):
        read(tmp_path, split="newstest2019")
    with pytest.raises(CorpusError, match="no pair with fr and de"):
        read(tmp_path, languages="fr,de")
    with pytest.raises(CorpusError, match="several splits: choose one of newstest2019, tatoeba"):
        read(tmp_path, languages="en,de")


@pytest.mark.parametrize("column", [{"lang": "deu-eng"}, {}])
def test_bitext_with_both_languages_in_one_column_or_name(
    tmp_path: Path, column: dict[str, Any]
) -> None:
    sides = zip(TEXTS["deu"], TEXTS["eng"], strict=True)
    rows = [{"sentence1": a, "sentence2": b, **column} for a, b in sides]
    write(tmp_path, {"deu-eng/test.jsonl": jsonl(rows), "x/deu-eng.tsv": quoted(rows)})
    for path in ("deu-eng/test.jsonl", "deu-eng", "x/deu-eng.tsv", "x"):
        assert ParallelCorpus.read(tmp_path / path).sentences == {
            NAMED[code]: TEXTS[code] for code in ("deu", "eng")
        }


def test_bitexts_of_several_pairs_are_never_one(tmp_path: Path) -> None:
    for code in ("deu", "fra"):
        sides = zip(TEXTS[code], TEXTS["eng"], strict=True)
        rows = [{"sentence1": a, "sentence2": b} for a, b in sides]
        write(tmp_path, {f"{s}/{code}-eng.jsonl": jsonl(rows) for s in ("dev", "test")})
    for path, split in ((tmp_path, "test"), (tmp_path / "dev", None)):
        with pytest.warns(CorpusWarning, match="3 of up to 6 sentences have a translation"):
            corpus = read(path, languages="fr,en", split=split)
        assert corpus.sentences == {NAMED[code]: TEXTS[code] for code in ("fra", "eng")}
    with pytest.raises(CorpusError, match="no id is common"):
        read(tmp_path, split="test")
