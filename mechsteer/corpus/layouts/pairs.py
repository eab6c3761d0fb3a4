"""Language pairs: two files with the pair in their names, or in the name of their folder.

==========================================  ================================================
``dir/tatoeba.fra-eng.fra`` and ``.eng``    Tatoeba (LASER), and OPUS in Moses format
``dir/de-en.training.de`` and ``.en``       BUCC: ``id<TAB>sentence``; ``de-en.training.gold``
                                            says which of them are translations
``dir/deu-eng/newstest2019.deu``            OPUS-MT-testsets: a folder a pair, its sets in it
==========================================  ================================================

Pairs cannot be joined into others, as their sentences differ.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mechsteer.corpus.formats.packed import unpacked
from mechsteer.corpus.formats.text import Text, entries
from mechsteer.corpus.layouts.choice import Entry, asked, by_language, may_answer
from mechsteer.corpus.layouts.files import read_file
from mechsteer.corpus.layouts.mined import golden
from mechsteer.corpus.layouts.published import pair_of
from mechsteer.corpus.names.codes import closest
from mechsteer.corpus.names.naming import name_or_none
from mechsteer.errors import CorpusError

_LAST = re.compile(r"(?P<set>.+)\.(?P<a>[A-Za-z_]+)-(?P<b>[A-Za-z_]+)\.(?P<side>[A-Za-z_]+)")
_FIRST = re.compile(r"(?P<a>[a-z]{2,3})-(?P<b>[a-z]{2,3})\.(?P<set>[^.]+)\.(?P<side>[a-z]{2,3})")


@dataclass(frozen=True)
class _Side:
    """One file of a pair: what both are called, their set, its language and the first one."""

    pair: str
    set: str
    code: str
    first: str


def read_pair(
    path: Path, *, languages: Sequence[str] | str | None, split: str | None = None
) -> dict[str, Text]:
    """Both sides of one language pair, from its folder or one of its two files.

    ``languages`` names the pair by one of its languages or both, and then gives their order;
    ``split`` names its set (``training``), where there are several.

    Raises:
        CorpusError: No pair or several answer to ``languages``, or a side is missing.
    """
    codes = asked(languages) or []
    pair, sides = _one_pair(path, codes, split)
    if len(sides) != 2:
        files = ", ".join(map(str, sides.values()))
        raise CorpusError(f"{path} has one side of {pair} only: {files}")
    held = [Entry(c, str(file), partial(read_file, file, c)) for c, file in sides.items()]
    texts = by_language(held, codes if len(codes) == 2 else None, source=pair)
    if len(texts) != 2:
        raise CorpusError(f"both sides of {pair} are {', '.join(texts)}")
    return golden(texts, next(iter(sides.values())).parent, pair)


def holds_pairs(path: Path) -> bool:
    """Whether ``path`` is one side of a pair, or a folder with such files."""
    files = entries(path) if path.is_dir() else [path]
    return any(_side(file) for file in files)


def folder_of_pair(path: Path, languages: Sequence[str] | str | None) -> Path | None:
    """The folder of one pair in a folder of such; None where there are none.

    Raises:
        CorpusError: several or none answer to ``languages``.
    """
    if not path.is_dir():
        return None
    codes = asked(languages) or []
    found = {each.name: pair_of(each.name) for each in entries(path) if each.is_dir()}
    pairs = {name: pair for name, pair in found.items() if pair}
    if len(pairs) != len([name for name in found if name[:1] != "."]) or not pairs:
        return None
    fit = {name: pair for name, pair in pairs.items() if _answers(pair, codes)}
    if len(fit) > 1 and len(codes) == 2:
        fit = {n: p for n, p in fit.items() if may_answer(p[0], codes[0])} or fit
    if len(fit) != 1:
        wrong = f"{len(fit)} pairs" if fit else f"no pair with {' and '.join(codes)}"
        some = ", ".join(list(fit or pairs)[:5])
        raise CorpusError(
            f"{path} has {wrong} ({some}, …): name the two languages of one; pairs cannot be read "
            "together, as their sentences differ"
        )
    return path / next(iter(fit))


def _one_pair(path: Path, codes: Sequence[str], split: str | None) -> tuple[str, dict[str, Path]]:
    pairs = _pairs(path, split)
    found = {pair: sides for pair, sides in pairs.items() if _answers(sides, codes)}
    if not found:
        names = [name_or_none(code) or code for code in codes]
        held = {name_or_none(side) or side for sides in pairs.values() for side in sides}
        near = closest(names[0], held) if names else []
        raise CorpusError(
            f"{path} has no pair with {' and '.join(names)} (closest: {', '.join(near) or 'none'})"
            "; pairs cannot be joined into others, as their sentences differ"
        )
    if len(found) > 1 and len({frozenset(sides) for sides in found.values()}) == 1:
        sets = dict.fromkeys(
            side.set for each in found.values() for side in map(_side, each.values()) if side
        )
        raise CorpusError(f"{path} has several splits: choose one of {', '.join(sets)}")
    if len(found) > 1:
        some = ", ".join(list(found)[:3])
        raise CorpusError(
            f"{path} has {len(found)} pairs ({some}, …): name the two languages of one; pairs "
            "cannot be read together, as their sentences differ"
        )
    return next(iter(found.items()))


def _answers(sides: Mapping[str, object] | Sequence[str], codes: Sequence[str]) -> bool:
    return all(any(may_answer(side, code) for side in sides) for code in codes)


def _pairs(path: Path, split: str | None) -> dict[str, dict[str, Path]]:
    """Pairs by their common name (``tatoeba.fra-eng``), each side by code, in named order."""
    folder, only = (path, None) if path.is_dir() else (path.parent, _side(path))
    files = {file: side for file in entries(folder) if (side := _side(file))}
    sets = dict.fromkeys(side.set for side in files.values())
    if split is not None and split not in sets:
        raise CorpusError(f"{folder} has no split {split!r}: choose one of {', '.join(sets)}")
    pairs: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    for file, side in files.items():
        if (only is None or side.pair == only.pair) and split in {None, side.set}:
            if side.code in pairs[side.pair]:
                twice = f"{pairs[side.pair][side.code]} and {file}"
                raise CorpusError(f"two files of {side.code} in {side.pair}: {twice}")
            pairs[side.pair][side.code] = file
    first = {side.pair: side.first for side in files.values()}
    return {
        pair: dict(sorted(sides.items(), key=lambda side: side[0] != first[pair]))
        for pair, sides in pairs.items()
    }


def _side(file: Path) -> _Side | None:
    name = unpacked(file).name
    match = _FIRST.fullmatch(name) or _LAST.fullmatch(name)
    if match is None or match["side"] not in (match["a"], match["b"]):
        return None
    return _Side(name.rpartition(".")[0], match["set"], match["side"], match["a"])
