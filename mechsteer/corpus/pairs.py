"""Language pairs: two files with the pair in their names, ``tatoeba.fra-eng.fra`` and ``.eng``.

This is how Tatoeba (LASER) and OPUS in Moses format come. Pairs cannot be joined into others, as
their sentences differ.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from mechsteer.corpus.choice import Entry, asked, by_language, may_answer
from mechsteer.corpus.codes import closest
from mechsteer.corpus.files import read_file
from mechsteer.corpus.naming import name_or_none
from mechsteer.corpus.text import Text, entries
from mechsteer.errors import CorpusError

_PAIR = re.compile(r"(?P<pair>.+\.(?P<a>[A-Za-z_]+)-(?P<b>[A-Za-z_]+))\.(?P<side>[A-Za-z_]+)")


def read_pair(path: Path, *, languages: Sequence[str] | str | None) -> dict[str, Text]:
    """Both sides of one language pair, from its folder or one of its two files.

    ``languages`` names the pair by one of its languages or both, and then gives their order.

    Raises:
        CorpusError: No pair or several answer to ``languages``, or a side is missing.
    """
    codes = asked(languages) or []
    pair, sides = _one_pair(path, codes)
    if len(sides) != 2:
        files = ", ".join(map(str, sides.values()))
        raise CorpusError(f"{path} has one side of {pair} only: {files}")
    held = [Entry(c, str(file), partial(read_file, file, c)) for c, file in sides.items()]
    texts = by_language(held, codes if len(codes) == 2 else None, source=pair)
    if len(texts) != 2:
        raise CorpusError(f"both sides of {pair} are {', '.join(texts)}")
    return texts


def holds_pairs(path: Path) -> bool:
    """Whether ``path`` is one side of a pair, or a folder with such files."""
    files = entries(path) if path.is_dir() else [path]
    return any(_side(file) for file in files)


def _one_pair(path: Path, codes: Sequence[str]) -> tuple[str, dict[str, Path]]:
    pairs = _pairs(path)
    found = {pair: sides for pair, sides in pairs.items() if _answers(sides, codes)}
    if not found:
        names = [name_or_none(code) or code for code in codes]
        held = {name_or_none(side) or side for sides in pairs.values() for side in sides}
        near = closest(names[0], held) if names else []
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
    return next(iter(found.items()))


def _answers(sides: Mapping[str, Path], codes: Sequence[str]) -> bool:
    return all(any(may_answer(side, code) for side in sides) for code in codes)


def _pairs(path: Path) -> dict[str, dict[str, Path]]:
    """Pairs by their common name (``tatoeba.fra-eng``), each side by code, in named order."""
    folder, only = (path, None) if path.is_dir() else (path.parent, _side(path))
    pairs: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    for file in entries(folder):
        side = _side(file)
        if side and (only is None or side["pair"] == only["pair"]):
            pairs[side["pair"]][side["side"]] = file
    return {pair: _source_first(pair, sides) for pair, sides in pairs.items()}


def _source_first(pair: str, sides: Mapping[str, Path]) -> dict[str, Path]:
    source = pair.rpartition(".")[2].partition("-")[0]
    return dict(sorted(sides.items(), key=lambda side: side[0] != source))


def _side(file: Path) -> re.Match[str] | None:
    match = _PAIR.fullmatch(file.name)
    return match if match and match["side"] in (match["a"], match["b"]) else None
