"""Prompts of benchmarks, each with the language that its answer should be in.

The *Language Confusion Benchmark* (Marchisio et al. 2024) keeps tables of a column ``prompt`` in
``monolingual/SOURCE/LANG.csv`` and ``crosslingual/SOURCE/LANG.csv``; the latter ask in English for
an answer in another language. *CLaS-Bench* (Gurgurov et al. 2026) keeps parallel questions, a file
``LANG.txt`` of 70 lines for each of 32 languages, and asks in each for an answer in each, without
saying so: the edit must.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mechsteer.corpus import ParallelCorpus
from mechsteer.corpus.formats.packed import suffix_of, unpacked
from mechsteer.corpus.formats.table import SUFFIXES, Table, read_rows
from mechsteer.corpus.layouts.choice import asked
from mechsteer.corpus.names.codes import is_language
from mechsteer.corpus.names.languages import likely
from mechsteer.errors import CorpusError

QUESTIONS = "questions"
"""The source of prompts that are parallel questions."""
_CROSS = ("location", "phrasing")  # columns of prompts that name the language of their answer


@dataclass(frozen=True)
class Prompt:
    """A prompt, the language of the answer it wants, and where it comes from.

    ``language`` and ``asked_in`` are canonical names; ``number`` counts the prompts of one source
    in one pair of languages from 0.
    """

    text: str
    language: str
    asked_in: str
    source: str = QUESTIONS
    number: int = 0

    @property
    def setting(self) -> str:
        """``monolingual``, or ``crosslingual``: the answer is not in the prompt's language."""
        return "monolingual" if self.language == self.asked_in else "crosslingual"


def questions(
    corpus: ParallelCorpus, targets: Sequence[str] | str | None = None
) -> tuple[Prompt, ...]:
    """Every question of a parallel corpus in every language, for an answer in every target.

    Args:
        corpus: the questions: ``ms.corpus.read("CLaS-Bench/data")``.
        targets: languages of the answers; those of the corpus by default.

    >>> asked = questions(ParallelCorpus({"fr": ["Qui ?"], "de": ["Wer?"]}), "fra")
    >>> [(each.asked_in, each.language, each.setting) for each in asked]
    [('fra_Latn', 'fra_Latn', 'monolingual'), ('deu_Latn', 'fra_Latn', 'crosslingual')]
    """
    languages = [likely(code) for code in asked(targets) or corpus.languages]
    return tuple(
        Prompt(text, language, source, QUESTIONS, number)
        for source, texts in corpus.sentences.items()
        for language in languages
        for number, text in enumerate(texts)
    )


def read_prompts(
    path: str | Path, *, languages: Sequence[str] | str | None = None
) -> tuple[Prompt, ...]:
    """Prompts of the Language Confusion Benchmark: a table, or a folder of them at any depth.

    A table has columns ``prompt`` and ``language``, and ``source`` where it tells; what is not in a
    column is taken from the file's name and folders. Prompts are English where their folder is
    ``crosslingual``, or columns ``location`` and ``phrasing`` say how they name a language.

    Raises:
        CorpusError: no such table, no prompt, an unknown language, or none of those asked for.
    """
    root = Path(path)
    wanted = None if languages is None else {likely(code) for code in asked(languages) or ()}
    found = [prompt for file in _tables(root) for prompt in _prompts(read_rows(file), file)]
    kept = [each for each in found if wanted is None or each.language in wanted]
    if wanted is not None and (missing := sorted(wanted - {each.language for each in kept})):
        held = ", ".join(sorted({each.language for each in found}))
        raise CorpusError(f"{root} has no prompts for {', '.join(missing)}, got {held}")
    return tuple(kept)


def holds_prompts(path: str | Path) -> bool:
    """Whether a table, or the first in a folder, has a column ``prompt``."""
    root = Path(path)
    inside = sorted(root.rglob("*")) if root.is_dir() else [root]
    first = next((file for file in inside if suffix_of(file) in SUFFIXES and file.is_file()), None)
    if first is None:
        return False
    return "prompt" in {str(name).strip().lower() for name in read_rows(first).columns}


def _tables(root: Path) -> list[Path]:
    if not root.is_dir():
        if suffix_of(root) not in SUFFIXES:
            raise CorpusError(f"expected a table of prompts ({', '.join(SUFFIXES)}), got {root}")
        return [root]
    files = [file for file in sorted(root.rglob("*")) if suffix_of(file) in SUFFIXES]
    if not files:
        raise CorpusError(f"{root} holds no table of prompts: expected SOURCE/LANG.csv in it")
    return files


def _prompts(table: Table, file: Path) -> Iterator[Prompt]:
    cells = {str(name).strip().lower(): each for name, each in table.columns.items()}
    if "prompt" not in cells:
        raise CorpusError(f"{file} has no column 'prompt', got {', '.join(table.columns)}")
    code = unpacked(file).stem
    if "language" not in cells and not is_language(code):
        raise CorpusError(f"{file} has no column 'language', and its name is none")
    crossed = "crosslingual" in file.parts or all(name in cells for name in _CROSS)
    count: dict[tuple[str, str], int] = {}
    for row, (line, text) in enumerate(zip(table.lines, cells["prompt"], strict=True)):
        if not isinstance(text, str) or not text.strip():
            raise CorpusError(f"{file}:{line}: no prompt")
        try:
            language = likely(str(cells["language"][row]) if "language" in cells else code)
        except CorpusError as error:
            raise CorpusError(f"{file}:{line}: {error}") from error
        source = str(cells["source"][row]) if "source" in cells else file.parent.name
        number = count.get((source, language), 0)
        count[source, language] = number + 1
        yield Prompt(text, language, "eng_Latn" if crossed else language, source, number)
