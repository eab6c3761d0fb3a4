"""The text of a command: read as a person names it, and read again as a run was scored on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mechsteer.artifacts.runs import Run
from mechsteer.cli.do.models import asked_of
from mechsteer.corpus import LabelledCorpus, ParallelCorpus
from mechsteer.errors import ArtifactError, CorpusError


def scored_text(run: Run) -> LabelledCorpus:
    """The corpus that was scored, read again and compared.

    Raises:
        ArtifactError: its sentences are others now.
    """
    asked = asked_of(run)
    text = read_text(
        asked.corpus, asked.languages, asked.split, labelled=asked.labelled, limit=asked.limit
    )
    if text.fingerprint != run.manifest["inputs"]["fingerprint"]:
        raise ArtifactError(
            f"the corpus {asked.corpus} has changed since {run.path} was scored: score again"
        )
    return text


def read_text(
    source: str,
    languages: Sequence[str] = (),
    split: str | None = None,
    *,
    labelled: bool = False,
    limit: int | None = None,
) -> LabelledCorpus:
    """Read a corpus, the first ``limit`` sentences of each language where that is given."""
    if labelled:
        return _first(LabelledCorpus.read(source, languages=languages or None, split=split), limit)
    corpus = ParallelCorpus.read(source, languages=languages or None, split=split)
    return corpus if limit is None else corpus.head(limit)


def read_test(
    source: str, dev: LabelledCorpus, split: str | None, limit: int | None
) -> tuple[ParallelCorpus, ParallelCorpus]:
    """Dev and test, both parallel, in the languages of dev.

    Raises:
        CorpusError: one of them is not parallel.
    """
    test = read_text(source, dev.languages, split, limit=limit)
    if not isinstance(dev, ParallelCorpus) or not isinstance(test, ParallelCorpus):
        raise CorpusError("a study needs parallel text on both sides: row i is one sentence")
    return dev, test


def read_costed(text: str | None, dev: LabelledCorpus) -> LabelledCorpus | None:
    """Text whose prediction every dose is charged with; ``dev`` is the scored corpus itself."""
    if text is None:
        return None
    return dev if text == "dev" else LabelledCorpus.read(text)


def _first(corpus: LabelledCorpus, limit: int | None) -> LabelledCorpus:
    if limit is None:
        return corpus
    sentences = {code: tuple(texts)[:limit] for code, texts in corpus.sentences.items()}
    lines = {code: tuple(numbers)[:limit] for code, numbers in corpus.lines.items()}
    return replace(corpus, sentences=sentences, lines=lines)
