"""Text beyond FLORES: Tatoeba and BUCC pairs, and paraphrases within one language."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from experiments.new_embedding_spaces.settings import DATA
from mechsteer.corpus import ParallelCorpus
from mechsteer.errors import CorpusError

Paraphrases = tuple[str, list[str], list[str]]
"""What they are, and both sides."""

ENGLISH = "eng_Latn"
_BUCC = {"deu_Latn": "de", "fra_Latn": "fr", "rus_Cyrl": "ru", "zho_Hans": "zh"}
_PAWS = {
    "deu_Latn": "de",
    "eng_Latn": "en",
    "fra_Latn": "fr",
    "jpn_Jpan": "ja",
    "kor_Hang": "ko",
    "spa_Latn": "es",
    "zho_Hans": "zh",
}


def english_pairs(language: str, n: int, data: Path = DATA) -> Iterator[tuple[str, ParallelCorpus]]:
    """Each benchmark that pairs a language with English and is there: its name and the pair."""
    if language == ENGLISH:
        return
    letters = language[:3]
    if (data / "tatoeba" / f"tatoeba.{letters}-eng.eng").is_file():
        pair = ParallelCorpus.from_tatoeba(data / "tatoeba", languages=[language, ENGLISH])
        yield "Tatoeba", pair.head(n)
    folder = data / "bucc2018" / f"{_BUCC.get(language)}-en"
    if folder.is_dir():
        yield "BUCC", bucc(folder, language)


def bucc(folder: Path, language: str) -> ParallelCorpus:
    """The gold pairs of BUCC 2018, from its own files: ``id<TAB>sentence`` and ``id<TAB>id``.

    Raises:
        CorpusError: a file is missing, or the gold names a sentence that is not there.
    """
    name = f"{folder.name}.test"
    if not (folder / f"{name}.gold").is_file():
        name = f"{folder.name}.training"
    sides = [_by_id(folder / f"{name}.{code}") for code in folder.name.split("-")]
    gold = [row[:2] for row in _rows(folder / f"{name}.gold")]
    try:
        texts = [[side[ids[place]] for ids in gold] for place, side in enumerate(sides)]
    except KeyError as error:
        raise CorpusError(f"{folder / name}.gold names {error}, which no sentence has") from None
    return ParallelCorpus({language: texts[0], ENGLISH: texts[1]}, name=f"bucc2018/{folder.name}")


def paraphrases(language: str, n: int, test: ParallelCorpus, data: Path = DATA) -> Paraphrases:
    """PAWS-X test pairs that are paraphrases; where they are not at hand, a stated substitute.

    The substitute is a sentence of ``test`` against itself without its last third: like PAWS-X's
    paraphrases it shares most of its words with the original, and unlike them it says less.
    """
    file = data / "paws-x" / _PAWS.get(language, language) / "test_2k.tsv"
    if file.is_file():
        rows = [row for row in _rows(file) if row[-1] == "1"][:n]
        return "PAWS-X", [row[1] for row in rows], [row[2] for row in rows]
    full = list(test.sentences[language][:n])
    return "without the last third", full, [shortened(sentence) for sentence in full]


def shortened(sentence: str) -> str:
    """The first two thirds, to the end of a word where words are separated.

    >>> shortened("one two three four five six"), shortened("一二三四五六")
    ('one two three four', '一二三四')
    """
    end = max(1, -(-2 * len(sentence) // 3))
    head = sentence[:end]
    if sentence[end : end + 1].isspace() or " " not in head.strip():
        return head.strip()
    return head.rsplit(" ", 1)[0].strip()


def _by_id(path: Path) -> dict[str, str]:
    return {row[0]: row[1] for row in _rows(path)}


def _rows(path: Path) -> list[list[str]]:
    if not path.is_file():
        raise CorpusError(f"expected {path}")
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row for row in rows if row]
