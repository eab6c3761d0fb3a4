"""Which texts of a source answer to the languages asked for.

A source has texts under codes (of files, of columns, of rows); a user asks by codes, too. The same
spelling always answers: where ``eng-GB`` and ``eng-US`` are both English, ``eng-US`` means that
one. Otherwise names answer, after a look at the text where a code leaves its script open. Only the
texts that may answer are read.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mechsteer.corpus.formats.text import Text
from mechsteer.corpus.names.codes import closest, parse
from mechsteer.corpus.names.languages import canonical
from mechsteer.corpus.names.naming import could_be, is_open, name_or_none, named
from mechsteer.errors import CorpusError, CorpusWarning

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Entry:
    """A text that a source holds under a language code, and where; ``load`` reads it."""

    code: str
    where: str
    load: Callable[[], Text]


@dataclass(frozen=True)
class _Read:
    entry: Entry
    code: str
    text: Text
    name: str


def asked(languages: Sequence[str] | str | None) -> list[str] | None:
    """Codes of the languages asked for, a sequence or ``"fra,deu"``; ``None`` means all.

    Raises:
        CorpusError: A code is unknown, none is left, or two mean the same language.
    """
    if languages is None:
        return None
    given = languages.split(",") if isinstance(languages, str) else languages
    codes = [parse(code).code.strip() for code in given]
    if not codes:
        raise CorpusError("no language was asked for: name some, or leave `languages` out for all")
    names = [name_or_none(code) or code.lower() for code in codes]
    if twice := [code for code, name in zip(codes, names, strict=True) if names.count(name) > 1]:
        raise CorpusError(f"the same language was asked for twice: {', '.join(twice)}")
    return codes


def choose(
    found: Mapping[str, _Found],
    languages: Sequence[str] | None,
    *,
    source: str,
    kind: str = "languages",
) -> dict[str, _Found]:
    """The languages asked for by canonical name, in that order, out of those a source holds."""
    if languages is None:
        return dict(found)
    if missing := [name for name in languages if name not in found]:
        raise _missing(missing, list(found), source, kind)
    return {name: found[name] for name in languages}


def may_answer(code: str, asked_code: str) -> bool:
    """Whether a text under ``code`` may be the language asked for, as far as the codes tell."""
    if _spelt(code) == _spelt(asked_code):
        return True
    name = name_or_none(asked_code)
    if name is not None and could_be(code, name):
        return True
    return is_open(asked_code) and is_open(code) and _language(code) == _language(asked_code)


def by_language(
    entries: Sequence[Entry], codes: Sequence[str] | None, *, source: str, kind: str = "files"
) -> dict[str, Text]:
    """Texts by canonical name: all in the order of the entries, or those asked for in that order.

    Warns:
        CorpusWarning: Of several texts of one language the plain one was taken (``por`` beside
            ``por-BR``).

    Raises:
        CorpusError: An unknown language among all entries; a language asked for that is not there
            (the closest ones are listed) or that several texts answer to (all are listed).
    """
    if codes is None:
        return _all([_read(entry) for entry in entries], kind)
    read = [_read(e) for e in entries if any(may_answer(e.code, code) for code in codes)]
    found = [_answer(code, read, [e.code for e in entries], source, kind) for code in codes]
    names = [each.name for each in found]
    if twice := [f"{x.code}" for x in found if names.count(x.name) > 1]:
        raise CorpusError(f"{source}: {' and '.join(twice)} are one language: name one of them")
    return {each.name: each.text for each in found}


def _read(entry: Entry) -> _Read:
    try:
        parse(entry.code)
    except CorpusError as error:
        raise CorpusError(f"{entry.where}: {error}") from error
    text = entry.load()
    code = text.code or entry.code
    try:
        return _Read(entry, code, text, named(code, text.sentences, entry.where))
    except CorpusError as error:
        raise CorpusError(f"{entry.where}: {error}") from error


def _all(read: Sequence[_Read], kind: str) -> dict[str, Text]:
    groups: defaultdict[str, list[_Read]] = defaultdict(list)
    for each in read:
        groups[each.name].append(each)
    return {name: _only(name, group, kind).text for name, group in groups.items()}


def _answer(
    code: str, read: Sequence[_Read], codes: Sequence[str], source: str, kind: str
) -> _Read:
    same = [each for each in read if _spelt(code) in {_spelt(each.entry.code), _spelt(each.code)}]
    if len(same) == 1:
        return same[0]
    name = name_or_none(code)
    fit = same or [each for each in read if each.name == name]
    if not fit and is_open(code):
        fit = [each for each in read if is_open(each.code) and could_be(code, each.name)]
    if not fit:
        canonical(code)  # one that means several languages says so first
        named_by_text = {each.entry.code: each.name for each in read}
        held = [named_by_text.get(each) or name_or_none(each) or each for each in codes]
        raise _missing([name or code], list(dict.fromkeys(held)), source)
    return _only(name or code, fit, kind)


def _only(name: str, group: Sequence[_Read], kind: str) -> _Read:
    """The one text of a language, or the plain one beside regional varieties."""
    plain = [each for each in group if not _is_variety(each.code)]
    if len(group) == 1:
        return group[0]
    if len(plain) != 1:
        raise _several(name, group, kind)
    left = ", ".join(each.entry.where for each in group if each is not plain[0])
    warnings.warn(
        f"{name} is read from {plain[0].entry.where}, not from {left}: ask for the other by its "
        "own code to read it instead",
        CorpusWarning,
        stacklevel=2,
    )
    return plain[0]


def _several(name: str, group: Sequence[_Read], kind: str) -> CorpusError:
    number = "two" if len(group) == 2 else f"{len(group)}"
    where = " and ".join(each.entry.where for each in group)
    codes = " or ".join(dict.fromkeys(each.code for each in group))
    return CorpusError(
        f"{number} {kind} of {name}: {where}; name the languages to read, this one as {codes}"
    )


def _missing(
    missing: Sequence[str], held: Sequence[str], source: str, kind: str = "languages"
) -> CorpusError:
    some = closest(missing[0], held) or held[:3]
    return CorpusError(
        f"{source} has no {', '.join(missing)} among its {len(held)} {kind} "
        f"(closest: {', '.join(some) or 'none'})"
    )


def _is_variety(code: str) -> bool:
    tag = parse(code)
    return bool(tag.region or tag.variant)


def _language(code: str) -> str:
    return parse(code).language


def _spelt(code: str) -> str:
    return code.strip().lower().replace("-", "_")
