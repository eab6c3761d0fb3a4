"""Folders of tables that are named by their split, and how such data sets are published.

======================================  ==================================================
``dir/fra_Latn/train.tsv``              SIB-200: a folder a language, a file a split
``dir/fr/translated_train.tsv``         PAWS-X: ``train``; ``dev_2k.tsv`` is ``dev``
``dir/fr/test-00000-of-00002.parquet``  the hub: a split in numbered parts
``dir/train-00000-of-00001.parquet``    one table of all languages, which say theirs by row
``dir/xnli.dev.tsv``                    XNLI: the same
``dir/fra_Latn-eng_Latn.parquet``       BOUQuET, MTEB: tables by pair of languages
======================================  ==================================================

A folder that holds nothing but one other is that one. ``LEVEL/dev`` asks for a split of a folder.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mechsteer.corpus.formats.packed import suffix_of, unpacked
from mechsteer.corpus.formats.table import SUFFIXES, Table, read_rows
from mechsteer.corpus.formats.text import entries
from mechsteer.corpus.layouts.published import of_pair, pair_of, parted
from mechsteer.corpus.names.codes import is_language, is_tag
from mechsteer.errors import CorpusError, CorpusWarning

Files = dict[str, list[Path]]
"""Tables of one split by language; those under ``""`` are one table of all languages."""

_SPLIT = re.compile(
    r"(dev|devtest|test|tst|train|trn|valid|validation|val|eval|tune|heldout)[0-9]*", re.IGNORECASE
)
_FORMATS = (".parquet", ".jsonl", ".ndjson", ".json", ".tsv", ".csv")  # the surest first
_PART = re.compile(r"(?P<stem>.+)-(?P<number>[0-9]{5})-of-(?P<n>[0-9]{5})")
_DECORATED = re.compile(r"(?:translated[_-])?(?P<split>[a-z]+)(?:[_-][0-9]+k)?", re.IGNORECASE)


def is_split(name: str) -> bool:
    """Whether a name is a usual one of a split: ``dev``, ``devtest``, ``train``, ``val1``."""
    return _SPLIT.fullmatch(name) is not None


def split_of(path: Path) -> str | None:
    """The split that the name of a table says it is, if it says one.

    >>> split_of(Path("x/dev_2k.tsv")), split_of(Path("x/reviews.csv"))
    ('dev', None)
    """
    name = _plain(_stem(path))
    return name if is_split(name) else None


def language_of(path: Path) -> str | None:
    """The language of a table that is named by its split alone: that of its folder, if it is one.

    >>> language_of(Path("sib/fra_Latn/dev.tsv")), language_of(Path("it/reviews.csv"))
    ('fra_Latn', None)
    """
    folder = path.parent.name
    return folder if split_of(path) and _is_language(folder) and is_language(folder) else None


def is_table(path: Path) -> bool:
    """Whether a file is a table by its suffix."""
    return suffix_of(path) in SUFFIXES and path.is_file()


def inside(folder: Path, split: str | None) -> tuple[Path, str | None]:
    """The folder that the first part of ``LEVEL/dev`` names, and the split in it.

    So is the folder of a split whose tables are named by pair, ``test/deu-eng.jsonl``.
    """
    first, _, rest = (split or "").partition("/")
    below = folder / first
    if rest and below.is_dir():
        return inside(below, rest)
    is_whole = is_split(first) and below.is_dir() and not _by_name(folder) and _by_name(below)
    return (below, None) if is_whole else (folder, split)


def files_of(folder: Path, split: str | None) -> Files | None:
    """The tables of a split; None where the folder holds none that are named as above.

    Of one table of all languages the rows may tell their split: it is taken for any.

    Warns:
        CorpusWarning: a language has no table of the split.

    Raises:
        CorpusError: several splits and none was named, or not the one named; two tables of a split
            in one language; a numbered part is missing.
    """
    found = _by_name(folder)
    if not found:
        return None
    split, _ = parted(split)
    known = sorted({_plain(name) for name in found})
    only = len(known) == 1 and (split is None or all("" in files for files in found.values()))
    asked = known[0] if only else split
    chosen: Files = {}
    for name in sorted(found, key=lambda name: name != asked):  # the very name first
        if asked is not None and _plain(name) == _plain(asked):
            for code, paths in found[name].items():
                if code in chosen and name != asked and not _named(chosen[code], asked):
                    raise CorpusError(
                        f"two tables of {asked}: {chosen[code][0]} and {paths[0]}; name one as "
                        f"split={name!r}"
                    )
                chosen.setdefault(code, paths)
    if not chosen:
        wrong = "several splits" if split is None else f"no split {split!r}"
        raise CorpusError(f"{folder} has {wrong}: choose one of {', '.join(known)}")
    for code, paths in chosen.items():
        chosen[code] = _once(paths)
        _require_whole(chosen[code])
    _say_left({code for files in found.values() for code in files} - set(chosen), asked, folder)
    return chosen


def in_rows(paths: Sequence[Path], split: str | None) -> str | None:
    """What is left of a split for the rows of a table to tell."""
    name, level = parted(split)
    return level if name is None or _plain(name) == _plain(_stem(paths[0])) else split


def read_tables(paths: Sequence[Path]) -> Table:
    """Tables with the same columns as one, in order.

    Raises:
        CorpusError: their columns differ.
    """
    first, *others = (of_pair(read_rows(path)) for path in paths)
    columns = {name: list(cells) for name, cells in first.columns.items()}
    lines = list(first.lines)
    for path, table in zip(paths[1:], others, strict=True):
        if set(table.columns) != set(columns):
            raise CorpusError(
                f"{path} has columns {', '.join(table.columns)}, {paths[0]} has "
                f"{', '.join(columns)}: expected parts of one table"
            )
        for name, cells in table.columns.items():
            columns[name] += cells
        lines += table.lines
    return replace(first, columns=columns, lines=lines)


def _say_left(left: set[str], split: str | None, folder: Path) -> None:
    if codes := sorted(left - {""}):
        warnings.warn(
            f"{folder} has no {split} of {', '.join(codes)}: left out", CorpusWarning, stacklevel=3
        )


def _by_name(folder: Path) -> dict[str, Files]:
    """Tables by the name of their split, then by language."""
    found: defaultdict[str, Files] = defaultdict(dict)
    inner = [each for each in entries(folder) if each.is_dir() and each.name[:1] != "."]
    for sub in inner:
        for path in entries(sub) if _is_language(sub.name) else ():
            if is_table(path):
                found[_stem(path)].setdefault(sub.name, []).append(path)
    tables = [path for path in entries(folder) if is_table(path)]
    for path in tables:
        if _SPLIT.fullmatch(_plain(_stem(path))):
            found[_stem(path)].setdefault("", []).append(path)
        elif pair_of(_stem(path)):
            found["all"].setdefault("", []).append(path)
    if not found and len(inner) == 1 and not tables:
        return _by_name(inner[0])
    return dict(found)


def _is_language(name: str) -> bool:
    return is_tag(name) and not is_split(name)


def _stem(path: Path) -> str:
    """The name of a table without suffix and number."""
    stem = unpacked(path).stem
    part = _PART.fullmatch(stem)
    return part["stem"] if part else stem


def _plain(name: str) -> str:
    """What split a name means: ``dev`` of ``xnli.dev`` and ``dev_2k``."""
    last = name.rpartition(".")[2]
    match = _DECORATED.fullmatch(last)
    plain = match["split"].lower() if match else last
    return plain if is_split(plain) else name


def _named(paths: Sequence[Path], name: str | None) -> bool:
    return _stem(paths[0]) == name


def _once(paths: Sequence[Path]) -> list[Path]:
    """Tables without those that stand there in another format too, as XNLI's do."""
    found: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: (_FORMATS.index(suffix_of(path)), path)):
        if (first := found.setdefault(unpacked(path).stem, path)) is not path:
            warnings.warn(
                f"{path} is left out: {first.name} stands beside it, the same in another format",
                CorpusWarning,
                stacklevel=4,
            )
    return [path for path in paths if path in found.values()]


def _require_whole(paths: Sequence[Path]) -> None:
    """Refuse numbered parts of which one is missing, or two tables under one name."""
    parts = [_PART.fullmatch(unpacked(path).stem) for path in paths]
    numbers = sorted(int(part["number"]) for part in parts if part)
    wanted = {int(part["n"]) for part in parts if part}
    if not numbers and (len(paths) == 1 or all(pair_of(_stem(path)) for path in paths)):
        return
    if wanted != {len(paths)} or numbers != list(range(len(paths))):
        listed = ", ".join(path.name for path in paths[:5])
        raise CorpusError(
            f"{paths[0].parent} holds {listed}: expected one table, or all parts "
            "NAME-00000-of-0000N of it"
        )
