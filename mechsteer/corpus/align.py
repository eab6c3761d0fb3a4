"""From texts as a source holds them to sentences that can be used, with a warning for what is odd.

Blank sentences have nothing to pool over and are left out; in parallel text that takes the row out
of every language, so that sentence *i* still means the same everywhere. Repeated sentences stay:
they are real data, but a repeated candidate makes retrieval ambiguous.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mechsteer.corpus.formats.text import Text
from mechsteer.errors import CorpusError, CorpusWarning


def labelled(texts: Mapping[str, Text]) -> dict[str, Text]:
    """Each language without its blank sentences; lengths may differ."""
    blank = {language: _blank_rows(text) for language, text in texts.items()}
    kept = {language: _without(text, blank[language]) for language, text in texts.items()}
    _warn_repeats(kept.values())
    return kept


def parallel(texts: Mapping[str, Text]) -> dict[str, Text]:
    """Equal rows in every language: joined on ids where all have them, else by position.

    Raises:
        CorpusError: Languages of unequal length (each is listed), or no id common to all.
    """
    if all(text.ids is not None for text in texts.values()):
        texts = _joined(texts)
    _require_equal(texts)
    blank = set().union(*(_blank_rows(text) for text in texts.values()))
    kept = {language: _without(text, blank) for language, text in texts.items()}
    _warn_repeats(kept.values())
    return kept


def _joined(texts: Mapping[str, Text]) -> dict[str, Text]:
    rows = {language: _rows_by_id(text) for language, text in texts.items()}
    common = [key for key in next(iter(rows.values())) if all(key in ids for ids in rows.values())]
    source = next(iter(texts.values())).source
    if not common:
        raise CorpusError(f"no id is common to {', '.join(texts)} ({source}, …): nothing to join")
    longest = max(len(text.sentences) for text in texts.values())
    if len(common) < longest:
        _warn(
            f"{source}, …: {len(common)} of up to {longest} sentences have a translation in every "
            "language; rows without an id and ids that differ, occur twice or start with '-' "
            "(monolingual) or '~' (uncertain) were left out"
        )
    return {
        language: _take(text, [rows[language][key] for key in common])
        for language, text in texts.items()
    }


def _rows_by_id(text: Text) -> dict[str, int]:
    """Rows by the ids that mark translations: given, certain, and only once in the language."""
    ids = text.ids or ()
    count = Counter(ids)
    return {
        key: row
        for row, key in enumerate(ids)
        if key is not None and count[key] == 1 and key[:1] not in {"-", "~"}
    }


def _require_equal(texts: Mapping[str, Text]) -> None:
    by_length: defaultdict[int, list[str]] = defaultdict(list)
    for language, text in texts.items():
        by_length[len(text.sentences)].append(f"{language} ({text.source})")
    if len(by_length) > 1:
        counts = "; ".join(f"{n} in {', '.join(names)}" for n, names in sorted(by_length.items()))
        raise CorpusError(
            f"parallel text needs equally many sentences in every language, got {counts}; "
            "for text that is not parallel use LabelledCorpus"
        )


def _blank_rows(text: Text) -> set[int]:
    rows = [row for row, sentence in enumerate(text.sentences) if not sentence.strip()]
    if rows:
        _warn(f"{_lines(text, rows, 'blank')} left out, with any translations")
    return set(rows)


def _warn_repeats(texts: Iterable[Text]) -> None:
    for text in texts:
        first: dict[str, int] = {}
        rows = [row for row, s in enumerate(text.sentences) if first.setdefault(s, row) != row]
        if rows:
            _warn(f"{_lines(text, rows, 'repeated')}: the same sentence stands earlier")


def _lines(text: Text, rows: Sequence[int], kind: str) -> str:
    shown = ", ".join(str(text.lines[row]) for row in rows[:5])
    return f"{text.source}: {len(rows)} {kind} (line {shown}{', …' if len(rows) > 5 else ''})"


def _without(text: Text, rows: set[int]) -> Text:
    return _take(text, [row for row in range(len(text.sentences)) if row not in rows])


def _take(text: Text, rows: Sequence[int]) -> Text:
    sentences, lines = text.sentences, text.lines
    return replace(
        text, sentences=[sentences[r] for r in rows], lines=[lines[r] for r in rows], ids=None
    )


def _warn(message: str) -> None:
    warnings.warn(message, CorpusWarning, stacklevel=2)
