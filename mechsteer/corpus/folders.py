"""Folders of text files: one per language, or one pair of files per language pair.

=====================================  ============================================
``dir/dev/fra_Latn.dev``               FLORES-200
``dir/fra_Latn.dev``                   the same without a folder per split
``dir/fra_Latn.txt``, ``dir/dev/…``    MEXA and most others
``dir/fra_Latn.tsv``                   ``id<TAB>sentence``, equal ids are translations
``dir/tatoeba.fra-eng.fra`` / ``.eng``  Tatoeba (LASER), and OPUS in Moses format
=====================================  ============================================
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mechsteer.corpus.languages import canonical, closest, is_tag
from mechsteer.corpus.text import Text, asked, choose, read_lines
from mechsteer.errors import CorpusError

_PAIR = re.compile(r"(?P<pair>.+\.(?P<a>[A-Za-z_]+)-(?P<b>[A-Za-z_]+))\.(?P<side>[A-Za-z_]+)")


def read_folder(
    path: Path, *, languages: Sequence[str] | str | None, split: str | None
) -> dict[str, Text]:
    """Text of a folder of ``LANG.txt``, ``LANG.tsv`` or ``LANG.split``; all languages by default.

    Raises:
        CorpusError: No such split (those there are listed), or several and none was named; an
            unknown or missing language; two files of the same language; an unreadable file.
    """
    names = asked(languages)
    files = _by_language(_pick_split(path, split), strict=names is None)
    chosen = choose(files, names, source=str(path))
    return {language: _read_file(file) for language, file in chosen.items()}


def read_pair(path: Path, *, languages: Sequence[str] | str | None) -> dict[str, Text]:
    """Both sides of one language pair, from its folder or one of its two files.

    ``languages`` names the pair by one of its languages or both, and then gives their order.

    Raises:
        CorpusError: No pair or several answer to ``languages``, or a side is missing.
    """
    pairs = _pairs(path)
    names = asked(languages) or []
    found = {pair: sides for pair, sides in pairs.items() if set(names) <= set(sides)}
    if not found:
        near = closest(names[0], {name for sides in pairs.values() for name in sides})
        raise CorpusError(
            f"{path} has no pair with {' and '.join(names)} (closest: {', '.join(near) or 'none'})"
            "; pairs cannot be joined into others, as their sentences differ"
        )
    if len(found) > 1:
        some = ", ".join(list(found)[:3])
        raise CorpusError(
            f"{path} has {len(found)} pairs ({some}, …): name the two languages of one; pairs "
            "cannot be read together, as their sentences differ"
        )
    ((pair, sides),) = found.items()
    if len(sides) != 2:
        raise CorpusError(f"{path} has one side of {pair} only: {', '.join(map(str, sides))}")
    ordered = choose(sides, names if len(names) == 2 else None, source=pair)
    return {language: _read_file(file) for language, file in ordered.items()}


def holds_pairs(path: Path) -> bool:
    """Whether ``path`` is one side of a pair, or a folder with such files."""
    files = path.iterdir() if path.is_dir() else [path]
    return any(_side(file) for file in files)


def _pick_split(path: Path, split: str | None) -> list[Path]:
    if not path.is_dir():
        raise CorpusError(f"expected a folder of LANG.txt or LANG.split files, got the file {path}")
    found = _by_suffix(path)
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        inner = _by_suffix(folder)
        found[folder.name] += inner.get(folder.name) or inner.get("txt") or []
    found = {name: files for name, files in found.items() if files}
    if not found:
        raise CorpusError(f"{path} holds no files named LANG.txt or LANG.split, as fra_Latn.dev")
    if split is None and len(found) == 1:
        return next(iter(found.values()))
    if split not in found:
        wrong = "several splits" if split is None else f"no split {split!r}"
        raise CorpusError(f"{path} has {wrong}: choose one of {', '.join(sorted(found))}")
    return found[split]


def _by_suffix(folder: Path) -> dict[str, list[Path]]:
    """Files grouped by all that follows the first dot; groups without any language are left out."""
    groups: defaultdict[str, list[Path]] = defaultdict(list)
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            groups[file.name.partition(".")[2]].append(file)
    named = {name: files for name, files in groups.items() if any(map(_is_named, files))}
    return defaultdict(list, named)


def _is_named(file: Path) -> bool:
    return is_tag(file.name.partition(".")[0])


def _by_language(files: Iterable[Path], *, strict: bool) -> dict[str, Path]:
    """Files by canonical language, sorted; other files are refused if ``strict``, else ignored."""
    found: dict[str, Path] = {}
    for file in files:
        try:
            language = canonical(file.name.partition(".")[0])
        except CorpusError as error:
            if strict:
                raise CorpusError(f"{file}: {error}") from error
            continue
        if language in found:
            raise CorpusError(f"two files of {language}: {found[language]} and {file}")
        found[language] = file
    return dict(sorted(found.items()))


def _read_file(file: Path) -> Text:
    lines = read_lines(file)
    numbers = range(1, len(lines) + 1)
    if file.suffix != ".tsv":
        return Text(str(file), lines, numbers)
    fields = [line.split("\t") for line in lines]
    for number, row in zip(numbers, fields, strict=True):
        if len(row) != 2:
            raise CorpusError(f"{file}:{number}: expected id<TAB>sentence, got {len(row)} fields")
    return Text(str(file), [row[1] for row in fields], numbers, ids=[row[0] for row in fields])


def _pairs(path: Path) -> Mapping[str, dict[str, Path]]:
    """Pairs by their common name (``tatoeba.fra-eng``), each side by language, in named order."""
    folder, only = (path, None) if path.is_dir() else (path.parent, _side(path))
    pairs: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    for file in sorted(folder.iterdir()):
        side = _side(file)
        if side is None or (only and side["pair"] != only["pair"]):
            continue
        language = canonical(side["side"])
        if language in pairs[side["pair"]]:
            raise CorpusError(f"both sides of {side['pair']} are {language}")
        pairs[side["pair"]][language] = file
    return {pair: _source_first(pair, sides) for pair, sides in pairs.items()}


def _source_first(pair: str, sides: Mapping[str, Path]) -> dict[str, Path]:
    source = pair.rpartition(".")[2].partition("-")[0]
    return dict(sorted(sides.items(), key=lambda side: side[1].suffix != f".{source}"))


def _side(file: Path) -> re.Match[str] | None:
    match = _PAIR.fullmatch(file.name)
    return match if match and match["side"] in (match["a"], match["b"]) else None
