"""Data sets as they are published: NTREX-128, FLORES+, XQuAD, Moses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mechsteer.corpus import LabelledCorpus, ParallelCorpus, read
from mechsteer.errors import CorpusError, CorpusWarning
from tests.corpus.published_codes import PUBLISHED
from tests.corpus.written import flores_plus, json_lines, write

NTREX = {
    f"newstest2019-ref.{code}.txt": f"{text}\n"
    for code, text in {
        "eng-GB": "Colour.",
        "eng-IN": "Colour!",
        "eng-US": "Color.",
        "deu": "Farbe.",
        "por": "Cor.",
        "por-BR": "Côr.",
        "srp-Latn": "Boja.",
        "srp-Cyrl": "Боја.",
        "zho-CN": "颜色这个。",
        "zho-TW": "顏色這個。",
        "mey": "لون",
        "hmn": "Xim.",
    }.items()
}


@pytest.mark.parametrize(
    ("languages", "sentences"),
    [
        ("eng-US,por-BR", {"eng_Latn": "Color.", "por_Latn": "Côr."}),
        ("eng_gb,por", {"eng_Latn": "Colour.", "por_Latn": "Cor."}),
        ("sr,srp_Latn", {"srp_Cyrl": "Боја.", "srp_Latn": "Boja."}),
        ("zh-Hans,zho_Hant", {"zho_Hans": "颜色这个。", "zho_Hant": "顏色這個。"}),
        ("mey,hmn,de", {"mey_Arab": "لون", "hmn_Latn": "Xim.", "deu_Latn": "Farbe."}),
    ],
)
def test_ntrex_is_read_by_its_names_and_variants(
    tmp_path: Path, languages: str, sentences: dict[str, str]
) -> None:
    corpus = read(write(tmp_path, dict(NTREX)), languages=languages)
    assert corpus.sentences == {name: (text,) for name, text in sentences.items()}


@pytest.mark.parametrize("languages", [None, "eng", "en,de"])
def test_several_texts_of_a_language_are_refused_with_the_codes_to_ask_by(
    tmp_path: Path, languages: str | None
) -> None:
    with pytest.raises(CorpusError, match=r"of eng_Latn: .*this one as eng-GB or eng-IN or eng-US"):
        read(write(tmp_path, dict(NTREX)), languages=languages)


def test_two_variants_are_not_two_languages(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="the same language was asked for twice: eng-US, eng-GB"):
        read(write(tmp_path, dict(NTREX)), languages="eng-US,eng-GB")


def test_the_source_of_ntrex_is_its_english_and_variants_are_said_to_be_left(
    tmp_path: Path,
) -> None:
    write(tmp_path, {**NTREX, "newstest2019-src.eng.txt": "Colors.\n"})
    with pytest.warns(CorpusWarning) as caught:
        corpus = read(tmp_path)
    assert corpus.sentences["eng_Latn"] == ("Colors.",)
    assert corpus.sentences["por_Latn"] == ("Cor.",)
    assert len(corpus.languages) == 9
    left = [str(warning.message) for warning in caught]
    assert any("ref.eng-US.txt" in message for message in left)
    assert any("not from" in message and "ref.por-BR.txt" in message for message in left)


def test_every_name_of_ntrex_is_read_under_its_right_name(tmp_path: Path) -> None:
    codes = [code for code in PUBLISHED["NTREX128"] if code not in {"eng-GB", "eng-IN"}]
    write(tmp_path, {f"newstest2019-ref.{code}.txt": f"{i}\n" for i, code in enumerate(codes)})
    for i, code in enumerate(codes):
        corpus = LabelledCorpus.read(tmp_path, languages=[code])
        assert corpus.sentences == {PUBLISHED["NTREX128"][code]: (str(i),)}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_flores_plus_is_read_by_language(tmp_path: Path, kind: str) -> None:
    codes = ["eng_Latn_stan1293", "cmn_Hans_beij1234", "twi_Latn_asan1239", "twi_Latn_akua1239"]
    for code, text in zip(codes, ["Yes", "是", "Aane", "Yiw"], strict=True):
        rows = flores_plus(code, text, f"{text} 2")
        short = code if code.startswith("twi") else code[:8]
        if kind == "parquet":
            pd.DataFrame(rows).to_parquet(tmp_path / f"{short}.parquet")
        else:
            write(tmp_path, {f"{short}.jsonl": json_lines(*rows)})
    assert read(tmp_path).sentences == {
        "aka_Latn": ("Aane", "Aane 2"),
        "eng_Latn": ("Yes", "Yes 2"),
        "twi_Latn": ("Yiw", "Yiw 2"),
        "zho_Hans": ("是", "是 2"),
    }


def test_flores_plus_as_released_names_the_split_first(tmp_path: Path) -> None:
    files = {
        "dev.apc_Arab_nort3139": "نعم\n",
        "dev.apc_Arab_sout3123": "اي\n",
        "dev.fil_Latn": "Oo\n",
    }
    write(tmp_path, {f"dev/{name}": text for name, text in files.items()})
    write(tmp_path, {"devtest/devtest.fil_Latn": "Hindi\n"})
    assert read(tmp_path, split="dev").languages == ("ajp_Arab", "apc_Arab", "tgl_Latn")
    assert read(tmp_path, split="devtest").sentences == {"tgl_Latn": ("Hindi",)}


@pytest.mark.parametrize("corpus_type", [LabelledCorpus, ParallelCorpus])
def test_two_glottocodes_under_one_code_are_never_merged(
    tmp_path: Path, corpus_type: type[LabelledCorpus]
) -> None:
    standard = flores_plus("cat_Latn_stan1289", "Sí.", "No.")
    valencian = flores_plus("cat_Latn_vale1252", "Xe.", "No.")
    file = write(tmp_path, {"t.jsonl": json_lines(*standard, *valencian)}) / "t.jsonl"
    with pytest.raises(CorpusError, match="cat_Latn_stan1289 or cat_Latn_vale1252"):
        corpus_type.read(file)
    corpus = corpus_type.read(file, languages="cat_Latn_vale1252")
    assert corpus.sentences == {"cat_Latn": ("Xe.", "No.")}


def test_rows_of_two_regions_under_one_code_are_not_merged_and_aliases_are(tmp_path: Path) -> None:
    rows = [{"lang": code, "text": f"{code}."} for code in ("en-US", "en-GB", "fr", "FRA")]
    file = write(tmp_path, {"t.jsonl": json_lines(*rows)}) / "t.jsonl"
    with pytest.raises(CorpusError, match="en-US or en-GB"):
        LabelledCorpus.read(file)
    corpus = LabelledCorpus.read(file, languages=["en-GB", "fr"])
    assert corpus.sentences == {"eng_Latn": ("en-GB.",), "fra_Latn": ("fr.", "FRA.")}


def test_a_doubtful_code_matters_only_where_it_is_asked_for(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"ara.txt": "نعم\n", "arb_Arab.txt": "لا\n"}
    write(tmp_path, {**files, "fra.txt": "Oui\n", "deu.txt": "Ja\n", "zzz.txt": b"\xff"})
    assert read(tmp_path, languages="fr,de").languages == ("fra_Latn", "deu_Latn")
    assert read(tmp_path, languages="ara").sentences == {"arb_Arab": ("نعم",)}
    assert read(tmp_path, languages="arb-arab").sentences == {"arb_Arab": ("لا",)}
    with pytest.raises(CorpusError, match=r"two files of arb_Arab: .* as ara or arb_Arab"):
        read(tmp_path, languages="ar")


@pytest.mark.parametrize(
    "names", [("dev.en", "dev.de"), ("src.en", "src.de"), ("t.tok.en", "t.tok.de")]
)
def test_a_moses_set_is_read_from_its_folder_or_one_of_its_files(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    write(tmp_path, {names[0]: "Yes\n", names[1]: "Ja\n", "README": "x\n"})
    expected = {"deu_Latn": ("Ja",), "eng_Latn": ("Yes",)}
    assert read(tmp_path).sentences == read(tmp_path / names[0]).sentences == expected
    assert read((tmp_path / names[0]).with_suffix("")).sentences == expected


def test_several_moses_sets_are_splits(tmp_path: Path) -> None:
    sets = {"train.clean": "One", "test2014": "Two", "dev": "Three"}
    write(
        tmp_path,
        {f"{name}.{side}": f"{text}\n" for name, text in sets.items() for side in ("en", "fr")},
    )
    with pytest.raises(
        CorpusError, match=r"several splits: choose one of dev, test2014, train.clean"
    ):
        read(tmp_path)
    for name, text in sets.items():
        assert read(tmp_path, split=name).sentences["eng_Latn"] == (text,)
        assert read(tmp_path / f"{name}.fr").sentences["fra_Latn"] == (text,)


def squad(**questions: str) -> str:
    asked = [{"id": key, "question": text, "answers": []} for key, text in questions.items()]
    paragraph = {"context": "One paragraph.", "qas": asked}
    return json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [paragraph]}]})


def test_xquad_gives_its_questions_joined_by_id(tmp_path: Path) -> None:
    write(tmp_path, {"xquad.en.json": squad(a="Who?", b="Where?", c="Why?")})
    write(tmp_path, {"xquad.de.json": squad(b="Wo?", a="Wer?")})
    with pytest.warns(CorpusWarning, match="2 of up to 3 sentences"):
        corpus = read(tmp_path)
    assert set(zip(*corpus.sentences.values(), strict=True)) == {
        ("Wer?", "Who?"),
        ("Wo?", "Where?"),
    }


@pytest.mark.parametrize(
    ("options", "found"),
    [({"split": "dev"}, "Oui"), ({"split": "test"}, "Non"), ({}, None), ({"split": "x"}, None)],
)
def test_a_column_split_is_chosen_from(
    tmp_path: Path, options: dict[str, Any], found: str | None
) -> None:
    file = write(tmp_path, {"t.csv": "split,fra\ndev,Oui\ntest,Non\n"}) / "t.csv"
    if found:
        assert read(file, **options).sentences == {"fra_Latn": (found,)}
    else:
        with pytest.raises(CorpusError, match="choose one of dev, test"):
            read(file, **options)


def test_a_stray_file_beside_no_other_is_no_language(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"holds no files named LANG\.txt"):
        read(write(tmp_path, {"dev.tok": "a\n", "notes.en": "a\n", "LICENSE": "a\n"}))
