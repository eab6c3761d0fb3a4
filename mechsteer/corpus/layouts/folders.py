"""Folders with a file per language, and how their files are named.

==========================================  =========================================
``dir/dev/fra_Latn.dev``                    FLORES-200
``dir/dev/dev.fra_Latn``                    FLORES+ as released, and Moses (``dev.en``)
``dir/fra_Latn.dev``                        the same without a folder per split
``dir/fra_Latn.txt``, ``dir/dev/…``         MEXA and most others
``dir/fra_Latn.tsv``                        ``id<TAB>sentence``, equal ids are translations
``dir/fra_Latn.jsonl`` (csv, parquet, …)    a table of one language, FLORES+ for example
``dir/newstest2019-ref.fra.txt``            NTREX-128 (``-src`` and ``-ref`` are one set)
``dir/xquad.fr.json``                       XQuAD: its questions
==========================================  =========================================

A file is parsed as its suffix says, and read as lines only where it is named as sentences are.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mechsteer.corpus.formats.packed import unpacked
from mechsteer.corpus.formats.text import Text, entries
from mechsteer.corpus.layouts.choice import Entry, asked, by_language
from mechsteer.corpus.layouts.files import FORMATS, is_known_format, is_readable, read_file
from mechsteer.corpus.layouts.published import in_level
from mechsteer.corpus.layouts.table_folders import (
    Files,
    files_of,
    in_rows,
    inside,
    is_split,
    read_tables,
)
from mechsteer.corpus.layouts.tables import in_split, one_text, texts
from mechsteer.corpus.names.codes import is_language, is_tag
from mechsteer.errors import CorpusError

_SIDE = re.compile(r"-(src|ref)$")


@dataclass(frozen=True)
class LanguageFile:
    """A file of one language, and the split its name puts it in."""

    path: Path
    code: str
    split: str


def read_folder(
    path: Path, *, languages: Sequence[str] | str | None, split: str | None
) -> dict[str, Text]:
    """Text of a folder with a file per language; all languages by default.

    Raises:
        CorpusError: No such split (those there are listed), or several and none was named; an
            unknown or missing language; two files of the same language; an unreadable file.
    """
    codes = asked(languages)
    path, split = inside(path, split)
    if not _holds_texts(path) and (tables := files_of(path, split) if path.is_dir() else None):
        return _of_tables(tables, codes, split, str(path))
    files = _pick_split(path, split)
    held = [Entry(f.code, str(f.path), partial(read_file, f.path, f.code)) for f in files]
    found = by_language(held, codes, source=str(path))
    return found if codes is not None else dict(sorted(found.items()))


def _holds_texts(path: Path) -> bool:
    """Whether a folder, or one in it, has files that are named by language."""
    folders = [path, *(each for each in entries(path) if each.is_dir())] if path.is_dir() else ()
    return any(language_files(folder) for folder in folders)


def _of_tables(
    files: Files, codes: Sequence[str] | None, split: str | None, source: str
) -> dict[str, Text]:
    """Texts of tables that are named by their split, by language or one of all languages."""
    if "" in files:
        return texts(in_split(read_tables(files[""]), in_rows(files[""], split)), codes)
    held = [Entry(c, str(f[0]), partial(_of_parts, f, c, split)) for c, f in files.items()]
    found = by_language(held, codes, source=source)
    return found if codes is not None else dict(sorted(found.items()))


def _of_parts(paths: Sequence[Path], code: str, split: str | None) -> Text:
    return one_text(in_level(read_tables(paths), in_rows(paths, split))[0], code)


def set_of(path: Path) -> str | None:
    """The set that a path names: ``dev``, or ``dev.en`` beside ``dev.de``; else ``None``."""
    if not path.parent.is_dir():
        return None
    last = _last(path)
    for name, files in language_files(path.parent).items():
        side = last and last in files
        if side or (name == path.name and all(_last(file.path) == file for file in files)):
            return name
    return None


def _pick_split(path: Path, split: str | None) -> list[LanguageFile]:
    if not path.is_dir():
        raise CorpusError(f"expected a folder of LANG.txt or LANG.split files, got the file {path}")
    _require_names(path)
    here = language_files(path)
    found = {name: list(files) for name, files in here.items()}
    for folder in [entry for entry in entries(path) if entry.is_dir()]:
        if inner := _of_folder(folder):
            found[folder.name] = [*found.get(folder.name, ()), *inner]
    if not found:
        names = ", ".join(each.name for each in entries(path)[:4]) or "nothing"
        raise CorpusError(
            f"{path} holds no files named LANG.txt or LANG.split, as fra_Latn.dev, nor tables "
            f"LANG/SPLIT.tsv or SPLIT.tsv, got {names}"
        )
    if split is None and len(found) == 1:
        _require_format(here)
        return next(iter(found.values()))
    if split is not None and (chosen := found.get(split) or _side(here, split)):
        return chosen
    wrong = "several splits" if split is None else f"no split {split!r}"
    raise CorpusError(f"{path} has {wrong}: choose one of {', '.join(sorted(found))}")


def _require_names(folder: Path) -> None:
    """Refuse the two sides of a translation that are named by their part in it (``src``)."""
    names = {unpacked(each).name for each in entries(folder)}
    for name in sorted(names):
        sides = {f"{name[:-4]}.trg", f"{name[:-4]}.tgt"} & names if name[-4:] == ".src" else ()
        for other in sides:
            raise CorpusError(
                f"{folder} holds {name} and {other}, whose names do not say their languages: "
                f"rename them as {name[:-4]}.eng and {name[:-4]}.fra"
            )


def _of_folder(folder: Path) -> list[LanguageFile]:
    """The files of a folder that is a split: those named after it, else ``LANG.txt``, else all."""
    inner = language_files(folder)
    only = next(iter(inner.values())) if len(inner) == 1 else []
    return inner.get(folder.name) or inner.get("txt") or only


def _side(found: Mapping[str, Sequence[LanguageFile]], split: str) -> list[LanguageFile]:
    """The files of one side of a set, ``newstest2019-ref``."""
    files = (file for files in found.values() for file in files)
    return [file for file in files if file.path.name.startswith(f"{split}.{file.code}")]


def _require_format(found: Mapping[str, Sequence[LanguageFile]]) -> None:
    """Refuse a suffix that is neither a format nor a usual split, unless the user names it."""
    for split, files in found.items():
        path = files[0].path
        if unpacked(path).suffix == f".{split}" and not (is_known_format(path) or is_split(split)):
            raise CorpusError(
                f"{path}: {split!r} is no format that is read ({', '.join(FORMATS)}); if it is a "
                f"split with one sentence a line, name it: split={split!r}"
            )


def language_files(folder: Path) -> dict[str, list[LanguageFile]]:
    """Files of a folder by split; groups without any language are left out.

    A file is named by its first part (``fra.dev``) or by its last (``dev.fra``), whichever more of
    its neighbours are named alike in.
    """
    paths = [path for path in entries(folder) if _is_candidate(path)]
    by_first = Counter(_first(path).split for path in paths)
    by_last = Counter(last.split for path in paths if (last := _last(path)))
    groups: defaultdict[str, list[LanguageFile]] = defaultdict(list)
    for path in paths:
        file, last = _first(path), _last(path)
        alike = by_first[file.split] if _is_named(file) else int(_is_unsure(last))
        if last and by_last[last.split] > alike:
            file = last
        groups[file.split].append(file)
    named = {name: files for name, files in groups.items() if any(map(_is_named, files))}
    read = {name: files for name, files in named.items() if is_readable(files[0].path)}
    return read or named


def _is_candidate(path: Path) -> bool:
    """Any file; a folder only if it is named as a file is, to be refused by name."""
    if path.name.startswith("."):
        return False
    return not path.is_dir() or (is_known_format(path) and is_tag(path.name.partition(".")[0]))


def _is_named(file: LanguageFile) -> bool:
    return is_tag(file.code) and not is_split(file.code)


def _is_unsure(last: LanguageFile | None) -> bool:
    """Whether a file named ``SET.LANG`` needs neighbours: ``notes.tok`` is no Toki Pona."""
    return not (last and is_split(last.split) and len(last.code) != 3)


def _first(path: Path) -> LanguageFile:
    """A file named ``LANG.SPLIT``, ``LANG.FORMAT`` or ``LANG.SPLIT.FORMAT``."""
    code, _, rest = unpacked(path).name.partition(".")
    stem = rest.rpartition(".")[0] if is_known_format(path) else rest
    return LanguageFile(path, code, stem or rest)


def _last(path: Path) -> LanguageFile | None:
    """A file named ``SET.LANG`` or ``SET.LANG.FORMAT``, None if it is not."""
    name = unpacked(path).stem if is_known_format(path) else unpacked(path).name
    stem, _, code = name.rpartition(".")
    if not stem or is_split(code) or not is_language(code):
        return None
    return LanguageFile(path, code, _SIDE.sub("", stem))
