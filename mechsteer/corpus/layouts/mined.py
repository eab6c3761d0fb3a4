"""Sentences to be mined for translations, as BUCC gives them: ``de-000000001<TAB>Satz``.

Each side has ids of its own; a gold file of ``de-000000001<TAB>en-000000007`` says which are
translations of each other. The other sentences are there to be told from them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mechsteer.corpus.formats.packed import unpacked
from mechsteer.corpus.formats.text import Text, entries, read_lines
from mechsteer.errors import CorpusError

_ROW = re.compile(r"(?P<id>[a-z]{2,3}-[0-9]+)\t(?P<text>[^\t]*)")


def read_mined(text: Text) -> Text:
    """A text with its ids apart, if every line begins with one; any other as it is."""
    rows = [_ROW.fullmatch(line) for line in text.sentences]
    if not rows or None in rows:
        return text
    found = [row for row in rows if row is not None]
    return replace(text, sentences=[r["text"] for r in found], ids=[r["id"] for r in found])


def golden(texts: Mapping[str, Text], folder: Path, pair: str) -> dict[str, Text]:
    """The texts with one id for a sentence and its translation, by the gold file of the pair.

    Sentences that have no translation, or several, have no id. Without a gold file texts are left
    as they are, and no id is common to them.

    Raises:
        CorpusError: a line of the gold file is not two ids.
    """
    gold = [path for path in entries(folder) if unpacked(path).name == f"{pair}.gold"]
    if not gold or any(text.ids is None for text in texts.values()):
        return dict(texts)
    joint = _joint(gold[0])
    return {
        language: replace(text, ids=[joint.get(key or "") for key in text.ids or ()])
        for language, text in texts.items()
    }


def _joint(path: Path) -> dict[str, str | None]:
    """One id for the two of each line; None for those that stand on several."""
    found: dict[str, str | None] = {}
    for number, line in enumerate(read_lines(path), start=1):
        ids = line.strip().split("\t")
        if len(ids) != 2 or ids[0] == ids[1]:
            raise CorpusError(f"{path}:{number}: expected two ids with a tab between, got {line!r}")
        again = any(each in found for each in ids)
        for each in ids:
            found[each] = None if again else line.strip()
    return found
