"""The text of a command: read as a person names it, and read again as a run was scored on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mechsteer.artifacts.runs import Run
from mechsteer.cli.do.models import EMBEDDED, asked_of
from mechsteer.cli.requests import ScoreRequest, StudyRequest
from mechsteer.corpus import LabelledCorpus, ParallelCorpus, read_task
from mechsteer.corpus.labels.cells import Columns, require_no_columns
from mechsteer.corpus.names.codes import parse
from mechsteer.corpus.names.naming import name_or_none
from mechsteer.corpus.overlap import require_held_out
from mechsteer.corpus.rows import parse_rows
from mechsteer.corpus.tasks.layouts import Told as TaskColumns
from mechsteer.errors import ArtifactError, CorpusError


def scored_text(run: Run) -> LabelledCorpus:
    """The corpus that was scored, read again and compared.

    Raises:
        ArtifactError: its sentences are others now.
    """
    asked = asked_of(run)
    text = asked_text(asked)
    if text.fingerprint != run.input("fingerprint"):
        raise ArtifactError(
            f"the corpus {asked.corpus} has changed since {run.path} was scored: score again"
        )
    return text


def asked_text(asked: ScoreRequest) -> LabelledCorpus:
    """The corpus that ``mechsteer score`` is asked to score.

    Raises:
        CorpusError: what the reader refuses, or there are no such rows.
    """
    columns = Columns(text=asked.text, language=asked.language_column, separator=asked.separator)
    if not asked.label:
        require_no_columns(columns)
        return read_text(
            asked.corpus, asked.languages, asked.split,
            labelled=asked.labelled, rows=asked.rows, limit=asked.limit,
        )  # fmt: skip
    return _cut(_by_label(asked, columns), asked.rows, asked.limit)


def _by_label(asked: ScoreRequest, columns: Columns) -> LabelledCorpus:
    """A table by its columns; a folder or ``"embedded"`` as labelled translations, if they are."""
    languages = asked.languages or None
    if asked.corpus != EMBEDDED and not Path(asked.corpus).is_dir():
        return LabelledCorpus.from_table(
            asked.corpus, languages=languages, split=asked.split, label=asked.label, **columns
        )
    if len(asked.label) > 1 or asked.language_column or asked.separator:
        raise CorpusError(
            f"--label: expected one column of labelled translations, as {asked.corpus} is no table"
        )
    told = TaskColumns(asked.text, None if asked.corpus == EMBEDDED else asked.label[0])
    several = languages if len(asked.languages) > 1 else None  # a task has two or more
    task = read_task(asked.corpus, languages=several, split=asked.split, told=told)
    return (task.select(languages) if languages else task).by_label(asked.label[0])


def read_text(
    source: str,
    languages: Sequence[str] = (),
    split: str | None = None,
    *,
    labelled: bool = False,
    rows: str | None = None,
    limit: int | None = None,
) -> LabelledCorpus:
    """Read a corpus: of each language the ``rows``, and the first ``limit`` of them.

    Raises:
        CorpusError: what the reader refuses, or there are no such rows.
    """
    kind = LabelledCorpus if labelled else ParallelCorpus
    corpus = kind.read(source, languages=languages or None, split=split)
    return _cut(corpus, rows, limit)


def _cut(corpus: LabelledCorpus, rows: str | None, limit: int | None) -> LabelledCorpus:
    if rows is not None:
        corpus = _rows(corpus, rows)
    return corpus if limit is None else corpus.head(limit)


def read_test(run: Run, request: StudyRequest) -> tuple[ParallelCorpus, ParallelCorpus]:
    """Dev and test, both parallel, in the languages of dev; of those asked for alone, if any are.

    Raises:
        CorpusError: one of them is not parallel, or most of test stands in dev.
    """
    dev = scored_text(run)
    if request.languages:
        dev = dev.select(request.languages)
        if len(dev.languages) < 2:
            raise CorpusError("--languages: expected two or more, whose pairs are measured")
    codes = _codes(asked_of(run).languages, dev.languages)
    test = read_text(request.test, codes, request.split, rows=request.rows, limit=request.limit)
    if not isinstance(dev, ParallelCorpus) or not isinstance(test, ParallelCorpus):
        raise CorpusError("a study needs parallel text on both sides: row i is one sentence")
    require_held_out(dev, test, allow=request.allow_overlap)
    return dev, test


def read_costed(text: str | None, dev: LabelledCorpus) -> LabelledCorpus | None:
    """Text whose prediction every dose is charged with; ``dev`` is the scored corpus itself."""
    if text is None:
        return None
    return dev if text == "dev" else LabelledCorpus.read(text)


def _rows(corpus: LabelledCorpus, rows: str) -> LabelledCorpus:
    start, stop = parse_rows(rows)
    fewest = min(map(len, corpus.sentences.values()))
    if start >= fewest or (stop is not None and stop > fewest):
        raise CorpusError(f"--rows {rows}: {corpus.name} has {fewest} sentences a language")
    return corpus.slice(start, fewest if stop is None else stop)


def _codes(asked: Sequence[str], languages: Sequence[str]) -> list[str]:
    """Languages by name, or by the code that tells a variety (eng-US) where one was asked for."""
    varieties = {name_or_none(c): c for c in asked if parse(c).region or parse(c).variant}
    return [varieties.get(name, name) for name in languages]
