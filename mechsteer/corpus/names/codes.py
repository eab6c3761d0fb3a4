"""Codes of languages as they are written: taken apart and looked up, whatever they usually mean.

A code is a BCP 47 tag with an ISO 639 language and perhaps an ISO 15924 script, a region and a
variant, parted by ``-`` or ``_``; FLORES+ writes a glottocode (``cat_Latn_vale1252``) as variant.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mechsteer.corpus.names.flores import FLORES200
from mechsteer.errors import CorpusError, shown

# Codes in use that are not, or no longer, in ISO 639: M2M-100's Northern Sotho, and Moldavian.
_IN_USE = {"ns": "nso", "mo": "ron", "mol": "ron"}
_NO_LANGUAGE = frozenset({"mis", "mul", "und", "zxx"})
_NO_REGION = frozenset({"XX", "ZZ"})
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:[-_](?P<script>[a-z]{4}))?(?:[-_](?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?:[-_](?P<variant>[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))?",
    re.IGNORECASE,
)


_LONGEST = 64  # characters of a code that is compared with known ones


@dataclass(frozen=True)
class Tag:
    """A language code taken apart: ISO 639-3, ISO 15924, region, and variant or glottocode."""

    code: str
    language: str
    script: str | None = None
    region: str | None = None
    variant: str | None = None


def parse(code: str) -> Tag:
    """The parts of a language code, whatever its case.

    Raises:
        CorpusError: The code is no language (the closest ones are listed), or its script unknown.
    """
    tag = _tag(code)
    if tag is None:
        raise CorpusError(f"unknown language {shown(code)}{_did_you_mean(code)}")
    return tag


@functools.cache
def _tag(code: str) -> Tag | None:
    """The parts of a code, None for no language; what is close to it is not looked for."""
    match = _TAG.fullmatch(code.strip())
    language = alpha3(match["language"]) if match else None
    if match is None or language is None or not _is_variant(match):
        return None
    script = match["script"] and match["script"].title()
    if script and not _is_script(script):
        raise CorpusError(
            f"unknown script {script!r} in {code!r}: write an ISO 15924 code, as Latn"
        )
    region, variant = (match["region"] or "").upper(), (match["variant"] or "").lower()
    return Tag(
        code, language, script, None if region in _NO_REGION else region or None, variant or None
    )


def is_tag(text: str) -> bool:
    """Whether ``text`` is spelt like a language code, known or not, as ``LANG.*`` files are."""
    match = _TAG.fullmatch(text)
    return match is not None and _is_variant(match)


def is_language(code: str) -> bool:
    """Whether ``code`` means a language, whatever its script."""
    try:
        return _tag(code) is not None
    except CorpusError:
        return False


def closest(code: str, known: Iterable[str]) -> list[str]:
    """Up to three of ``known`` that are spelt most like ``code``, best first."""
    lower = {name.lower(): name for name in known}
    asked = code.lower()[:_LONGEST]  # comparing takes the product of both lengths
    return [lower[name] for name in difflib.get_close_matches(asked, lower, n=3)]


def alpha3(subtag: str) -> str | None:
    """ISO 639-3 code of a two- or three-letter code, ``None`` where there is no such language."""
    from langcodes import Language

    # Not normalised: that would turn `tgl` into `fil` and `prs` into `fa-AF`.
    subtag = _IN_USE.get(subtag.lower(), subtag.lower())
    language = Language.get(registered(subtag), normalize=False)
    if not language.is_valid() or subtag in _NO_LANGUAGE:
        return None
    return str(language.to_alpha3())


@functools.cache
def _two_letters() -> dict[str, str]:
    from langcodes.data_dicts import LANGUAGE_ALPHA3, LANGUAGE_ALPHA3_BIBLIOGRAPHIC

    tables = (LANGUAGE_ALPHA3_BIBLIOGRAPHIC, LANGUAGE_ALPHA3)
    pairs = [(three, two) for table in tables for two, three in table.items()]
    return {three: two for three, two in pairs if len(two) == 2}


def registered(language: str) -> str:
    """The subtag BCP 47 registers: the two-letter code where there is one."""
    return _two_letters().get(language, language)


def _is_script(script: str) -> bool:
    from langcodes import Language

    return bool(Language.make(script=script).is_valid())


def _is_variant(match: re.Match[str]) -> bool:
    """Whether the last part is a variant: after a script any, else one that BCP 47 registers."""
    from langcodes import Language

    if match["variant"] is None or match["script"]:
        return True
    return bool(Language.make(language="en", variants=[match["variant"].lower()]).is_valid())


def _did_you_mean(code: str) -> str:
    """The closest FLORES-200 names, by country (``jp``), code or English name (``French``)."""
    by_name = _english_names()
    found = _spoken_in(code) or closest(code, FLORES200)
    found = found or [by_name[name] for name in closest(code, by_name)]
    return f": did you mean {', '.join(found)}?" if found else ": write a code such as fra_Latn"


def _spoken_in(country: str) -> list[str]:
    """The FLORES-200 names of the language that CLDR expects in a country."""
    from langcodes.data_dicts import LIKELY_SUBTAGS

    tag = LIKELY_SUBTAGS.get(f"und-{country.strip().upper()}")
    language = tag and alpha3(tag.partition("-")[0])
    return [name for name in FLORES200 if name[:3] == language]


@functools.cache
def _english_names() -> dict[str, str]:
    """FLORES-200 names by the English names of their languages."""
    from langcodes import Language

    return {Language.get(name[:3]).display_name(): name for name in reversed(FLORES200)}
