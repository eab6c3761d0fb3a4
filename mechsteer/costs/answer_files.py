"""Answers on disk: one JSON object a line, with the columns that published evaluations read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.corpus.formats.table import Table, read_rows
from mechsteer.corpus.layouts.columns import is_missing
from mechsteer.corpus.names.languages import likely
from mechsteer.costs.answers import Answer
from mechsteer.costs.prompts import QUESTIONS, Prompt
from mechsteer.errors import CorpusError
from mechsteer.steering.state import NO_EDIT

_TEXT = ("completion", "answer", "output")


def save_answers(answers: Sequence[Answer], path: str | Path) -> None:
    """Write answers as JSON lines: ``source``, ``language`` and ``completion`` among others.

    Those three are what the Language Confusion Benchmark's own evaluation reads.

    Raises:
        ArtifactError: the file cannot be written.
    """
    rows = (
        {
            "edit": each.edit, "source": each.prompt.source, "asked_in": each.prompt.asked_in,
            "language": each.prompt.language, "number": each.prompt.number,
            "prompt": each.prompt.text, "completion": each.text,
        }
        for each in answers
    )  # fmt: skip
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_bytes(Path(path), text.encode("utf-8", "surrogatepass"))


def read_answers(path: str | Path) -> tuple[Answer, ...]:
    """Answers of a table, whichever engine wrote them.

    Columns are ``completion`` (or ``answer``, ``output``) and ``language``, in which the answer
    should be; ``asked_in`` (that language by default), ``source``, ``edit`` (or ``model``),
    ``prompt`` and ``number`` where they are known.

    Raises:
        CorpusError: no such columns, or an unknown language.
    """
    table = read_rows(Path(path))
    cells = {str(name).strip().lower(): each for name, each in table.columns.items()}
    text = next((name for name in _TEXT if name in cells), None)
    if text is None or "language" not in cells:
        raise CorpusError(
            f"{path}: expected columns language and {' or '.join(_TEXT)}, got {', '.join(cells)}"
        )
    return tuple(_answers(table, dict(cells), text))


def _answers(table: Table, cells: dict[str, Sequence[object]], text: str) -> Iterator[Answer]:
    count: dict[tuple[str, ...], int] = {}
    for row, line in enumerate(table.lines):
        here = {name: each[row] for name, each in cells.items() if not is_missing(each[row])}
        try:
            language = likely(str(here.get("language", "")))
            asked_in = likely(str(here.get("asked_in", language)))
        except CorpusError as error:
            raise CorpusError(f"{table.source}:{line}: {error}") from error
        source = str(here.get("source", QUESTIONS))
        edit = str(here.get("edit", here.get("model", NO_EDIT)))
        place = (edit, source, asked_in, language)
        number = count.get(place, 0)
        count[place] = number + 1
        prompt = Prompt(str(here.get("prompt", "")), language, asked_in, source, number)
        yield Answer(prompt, str(here.get(text, "")), edit)
