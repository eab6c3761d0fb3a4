"""Labelled data of many languages, read from folders and tables.

====================================  ====================================================
``dir/fra_Latn/train.tsv``            SIB-200, PAWS-X: a folder a language, a file a split
``dir/fra_Latn.jsonl``                Belebele, or any table of one language
``dir/dev/fra_Latn.tsv``              the same in a folder a split
``xnli.dev.tsv``                      one table with a column ``language`` (XNLI, ``dialect`` too)
====================================  ====================================================

Columns are found by name, see ``mechsteer.corpus.tasks.layouts``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from mechsteer.corpus.formats.table import SUFFIXES, Table, read_rows
from mechsteer.corpus.formats.text import entries
from mechsteer.corpus.layouts.choice import asked, may_answer
from mechsteer.corpus.layouts.columns import SINGLE, kind_of
from mechsteer.corpus.layouts.files import require_format
from mechsteer.corpus.layouts.folders import LanguageFile, language_files
from mechsteer.corpus.layouts.published import BOUQUET, HYPOTHESIS, LANGUAGE, PREMISE, in_level
from mechsteer.corpus.layouts.sources import existing
from mechsteer.corpus.layouts.table_folders import files_of, in_rows, inside, is_table, read_tables
from mechsteer.corpus.layouts.tables import in_split
from mechsteer.corpus.parallel import ParallelCorpus
from mechsteer.corpus.tasks.layouts import Row, Told, examples
from mechsteer.corpus.tasks.task import Task, is_blank, one_label
from mechsteer.errors import CorpusError, CorpusWarning

Languages = Sequence[str] | str | None


def read_task(
    source: str | Path,
    *,
    languages: Languages = None,
    split: str | None = None,
    told: Told | None = None,
) -> Task:
    """Labelled sentences of a folder, a table, or ``"embedded"``; rows in every language alone.

    Translations share an id; without ids row i is one sentence in every language.

    Args:
        source: see the table above.
        languages: to read; all by default.
        split: to read, where there are several.
        told: the columns of text, label and group, where their names do not tell.

    Warns:
        CorpusWarning: sentences were left out that not every language has.

    Raises:
        CorpusError: no such layout, split, column or language; labels that differ between
            translations; no sentence that every language has.
    """
    if source == "embedded":
        if split is None:
            raise CorpusError("embedded has several splits: choose one of dev, test")
        return Task.embedded(split, languages=languages)
    path, codes = existing(source), asked(languages)
    tables = _of_folder(path, split) if path.is_dir() else _of_table(path, split)
    if codes is not None:
        tables = _asked(tables, codes, path)
    rows = {code: examples(table, told or Told()) for code, table in tables.items()}
    return _joined(rows, {code: table.source for code, table in tables.items()}, path.name)


def _of_folder(path: Path, split: str | None) -> dict[str, Table]:
    path, split = inside(path, split)
    if (found := _by_language(path)) is None:
        tables = files_of(path, split)
        if tables is None:
            raise CorpusError(
                f"{path} holds no labelled tables: expected LANG/SPLIT.tsv (SIB-200), or "
                "LANG.jsonl, .tsv, .csv, .parquet"
            )
        if "" in tables:
            return _languages_of(
                in_split(read_tables(tables[""]), in_rows(tables[""], split)), path
            )
        return {c: in_level(read_tables(f), in_rows(f, split))[0] for c, f in tables.items()}
    if split is None and len(found) == 1:
        split = next(iter(found))
    if split not in found:
        wrong = "several splits" if split is None else f"no split {split!r}"
        raise CorpusError(f"{path} has {wrong}: choose one of {', '.join(sorted(found))}")
    return {file.code: read_rows(file.path) for file in found[split]}


def _by_language(path: Path) -> dict[str, list[LanguageFile]] | None:
    """Tables that are named by language, by split; None where there are none."""
    found = {name: files for name, files in language_files(path).items() if _are_tables(files)}
    for folder in (each for each in entries(path) if each.is_dir()):
        for files in language_files(folder).values():
            if _are_tables(files):
                found[folder.name] = files
    return found or None


def _are_tables(files: Sequence[LanguageFile]) -> bool:
    return bool(files) and all(is_table(file.path) for file in files)


def _of_table(path: Path, split: str | None) -> dict[str, Table]:
    """The rows of each language of one table."""
    require_format(path)
    if not is_table(path):
        raise CorpusError(f"expected a folder, or a table ({', '.join(SUFFIXES)}), got {path}")
    return _languages_of(in_split(read_rows(path), split), path)


def _languages_of(table: Table, path: Path) -> dict[str, Table]:
    named = {str(name).strip().lower(): cells for name, cells in table.columns.items()}
    cells = next((named[name] for name in (*LANGUAGE, BOUQUET[0]) if name in named), None)
    if cells is None:
        _require_text(table, named)
        raise CorpusError(
            f"{path} has no column of languages ({', '.join(LANGUAGE)}), got "
            f"{', '.join(map(str, table.columns))}: or put a table of each language into a folder"
        )
    rows: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        if is_blank(cell):
            raise CorpusError(f"{path}:{table.lines[row]}: no language")
        rows.setdefault(str(cell).strip(), []).append(row)
    return {code: table.rows(numbers) for code, numbers in rows.items()}


def _require_text(table: Table, named: Mapping[str, Sequence[object]]) -> None:
    """Refuse columns that hold all languages in one cell, as one configuration of XNLI does."""
    for name in (*PREMISE, *HYPOTHESIS):
        cell = next(iter(named.get(name, ())), "")
        if not isinstance(cell, str):
            raise CorpusError(
                f"{table.source}: column {name!r} holds {kind_of(cell)}, not text: {SINGLE}"
            )


def _asked(tables: Mapping[str, Table], codes: Sequence[str], path: Path) -> dict[str, Table]:
    found: dict[str, Table] = {}
    for code in codes:
        own = [name for name in tables if may_answer(name, code)]
        if len(own) != 1:
            what = f"several tables of {code} ({', '.join(own)})" if own else f"no {code}"
            raise CorpusError(f"{path} has {what} among {', '.join(list(tables)[:9])}, …")
        found[own[0]] = tables[own[0]]
    return found


def _joined(rows: Mapping[str, Sequence[Row]], sources: Mapping[str, str], name: str) -> Task:
    """Examples that every language has, in the order of the first language."""
    if len(rows) < 2:
        raise CorpusError(f"{name}: expected two languages or more, got {', '.join(rows)}")
    by_key = {code: _by_key(own, sources[code]) for code, own in rows.items()}
    keys = [
        key for key in next(iter(by_key.values())) if all(key in own for own in by_key.values())
    ]
    most = max(map(len, by_key.values()))
    if not keys:
        raise CorpusError(f"{name}: no labelled sentence is in all of {', '.join(rows)}")
    if len(keys) < most:
        if any(key.startswith("row ") for key in keys):
            counts = ", ".join(f"{code} {len(own)}" for code, own in by_key.items())
            raise CorpusError(f"{name} has no ids, and not equally many rows a language: {counts}")
        warnings.warn(
            f"{name}: {len(keys)} of up to {most} labelled sentences are in every language, the "
            "others were left out",
            CorpusWarning,
            stacklevel=3,
        )
    return _task(by_key, keys, sources, name)


def _task(
    by_key: Mapping[str, Mapping[str, Row]],
    keys: Sequence[str],
    sources: Mapping[str, str],
    name: str,
) -> Task:
    corpus = ParallelCorpus(
        {code: [own[key].text for key in keys] for code, own in by_key.items()},
        name=name,
        sources=dict(sources),
        lines={code: [own[key].line for key in keys] for code, own in by_key.items()},
    )
    labels = tuple(
        one_label({code: own[key].label for code, own in by_key.items()}, f"{name}: {key}")
        for key in keys
    )
    shared = tuple(tuple(part for own in by_key.values() for part in own[k].shared) for k in keys)
    return Task(corpus, labels, shared if any(shared) else ())


def _by_key(rows: Sequence[Row], source: str) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for row in rows:
        if found.setdefault(row.key, row) is not row:
            raise CorpusError(f"{source}:{row.line}: the id {row.key!r} occurs twice")
    return found


def labelled(corpus: ParallelCorpus, labels: Sequence[str], groups: Sequence[str] = ()) -> Task:
    """A parallel corpus with a label for each sentence, in order; equal ``groups`` stay together.

    Raises:
        CorpusError: other numbers of labels or groups than of sentences.
    """
    shared = tuple((group,) for group in groups)
    return Task(corpus, tuple(labels), shared)
