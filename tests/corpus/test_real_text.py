"""The reference data: FLORES-200, Tatoeba and the training text."""

from __future__ import annotations

from pathlib import Path

import pytest

from mechsteer.corpus import LabelledCorpus, ParallelCorpus, read

pytestmark = pytest.mark.filterwarnings("ignore::mechsteer.errors.CorpusWarning")


@pytest.mark.parametrize(("split", "n"), [("dev", 997), ("devtest", 1012)])
def test_flores_200_is_parallel_in_all_its_languages(data_root: Path, split: str, n: int) -> None:
    files = {file.stem for file in (data_root / "flores200" / split).iterdir()}
    corpus = read(data_root / "flores200", split=split)
    assert corpus.n_sentences == n
    assert set(corpus.languages) == files
    assert read(data_root / "flores200" / split).fingerprint == corpus.fingerprint


def test_flores_200_keeps_the_lines_of_its_files(data_root: Path) -> None:
    corpus = read(data_root / "flores200", split="dev", languages="tha,ru,zh-Hans")
    for language, sentences in corpus.sentences.items():
        file = data_root / "flores200" / "dev" / f"{language}.dev"
        # Without newline="" Python would end lines at carriage returns too.
        with file.open(encoding="utf-8", newline="\n") as text:
            assert [line.rstrip("\n") for line in text] == list(sentences)


def test_every_tatoeba_pair_is_read_by_its_own_code(data_root: Path) -> None:
    folder = data_root / "tatoeba"
    codes = sorted({file.suffix[1:] for file in folder.glob("tatoeba.*-eng.*")} - {"eng"})
    assert len(codes) == 64
    for code in codes:
        corpus = ParallelCorpus.from_tatoeba(folder, languages=code)
        raw = (folder / f"tatoeba.{code}-eng.{code}").read_bytes()
        assert corpus.n_sentences == raw.count(b"\n")
        assert corpus.languages[1] == "eng_Latn"


def test_training_text_pairs_only_what_shares_a_certain_id(data_root: Path) -> None:
    if not (data_root / "train").is_dir():
        pytest.skip("needs the training text, which `make data` does not fetch")
    corpus = read(data_root / "train", languages="heb,hin")
    ids: list[dict[str, str]] = []
    for language in corpus.languages:
        text = (data_root / "train" / f"{language}.tsv").read_text(encoding="utf-8")
        rows = (line.split("\t") for line in text.splitlines() if line[0] not in "-~")
        ids.append({key: sentence for key, sentence in rows})  # noqa: C416
    common = [key for key in ids[0] if key in ids[1]]
    assert corpus.sentences["heb_Hebr"] == tuple(ids[0][key] for key in common)
    assert corpus.sentences["hin_Deva"] == tuple(ids[1][key] for key in common)
    everything = LabelledCorpus.read(data_root / "train", languages="heb,hin")
    assert len(everything.sentences["heb_Hebr"]) == 20136
