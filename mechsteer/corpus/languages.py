"""Names of languages: ISO 639-3 and ISO 15924, as in FLORES-200 (``fra_Latn``), and their aliases.

A script is part of the name because it is part of the text: Kashmiri in Arabic letters and in
Devanagari share no token. Aliases are two- and three-letter codes, BCP 47 tags (``fr``, ``fre``,
``pt-BR``, ``zh-TW``) and the codes of FLORES+ with a glottocode; what a bare code means is decided
by FLORES-200 first, then by CLDR. A region never changes what a bare code means, unless CLDR gives
it a script of its own there (``zh-TW``, ``pa-PK``).
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mechsteer.corpus.flores import BY_FULL_NAME_ONLY, FLORES200, RELABELLED
from mechsteer.errors import CorpusError

# What Tatoeba's files hold where FLORES-200 and CLDR name no script, or two; Filipino, which CLDR
# takes for Tagalog; macrolanguages with one member in FLORES-200 that CLDR does not list.
_USUAL = {
    "ang": "ang_Latn",
    "ber": "ber_Latn",
    "cbk": "cbk_Latn",
    "cmn": "zho_Hans",
    "fil": "tgl_Latn",
    "ful": "fuv_Latn",
    "hbs": "hbs_Latn",
    "ile": "ile_Latn",
    "lfn": "lfn_Latn",
    "max": "max_Latn",
    "mhr": "mhr_Cyrl",
    "nor": "nob_Latn",
    "nov": "nov_Latn",
    "orv": "orv_Cyrl",
    "pus": "pbt_Arab",
    "que": "quy_Latn",
    "tzl": "tzl_Latn",
}
# Languages that a region or a script tells apart within a macrolanguage.
_USUAL_THERE = {"fas-AF": "prs_Arab", "kur-IQ": "ckb_Arab", "kur-IR": "ckb_Arab"}
_USUAL_IN = {"aze_Arab": "azb_Arab"}
# Codes in use that are not, or no longer, in ISO 639: M2M-100's Northern Sotho, and Moldavian.
_IN_USE = {"ns": "nso", "mo": "ron", "mol": "ron"}
# Styles of writing that share their letters with another script, so that text cannot show them.
_STYLES = {"Aran": "Arab", "Cyrs": "Cyrl", "Geok": "Geor", "Hanb": "Hant", "Kore": "Hang"}
_STYLES |= {"Latf": "Latn", "Latg": "Latn", "Syre": "Syrc", "Syrj": "Syrc", "Syrn": "Syrc"}
_NO_LANGUAGE = frozenset({"mis", "mul", "und", "zxx"})
_NO_REGION = frozenset({"XX", "ZZ"})
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:[-_](?P<script>[a-z]{4}))?(?:[-_](?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?:[-_](?P<variant>[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Tag:
    """A language code taken apart: ISO 639-3, ISO 15924, region, and variant or glottocode."""

    code: str
    language: str
    script: str | None = None
    region: str | None = None
    variant: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether text may decide the script, because neither script nor region does."""
        return self.script in {None, "Hani"} and _script_there(self) is None


@functools.cache
def parse(code: str) -> Tag:
    """The parts of a language code, whatever its case.

    Raises:
        CorpusError: The code is no language (the closest ones are listed), or its script unknown.
    """
    match = _TAG.fullmatch(code.strip())
    language = alpha3(match["language"]) if match else None
    if match is None or language is None or not _is_variant(match):
        raise CorpusError(f"unknown language {code!r}{_did_you_mean(code)}")
    script = match["script"] and match["script"].title()
    if script and not _is_script(script):
        raise CorpusError(
            f"unknown script {script!r} in {code!r}: write an ISO 15924 code, as Latn"
        )
    region, variant = (match["region"] or "").upper(), (match["variant"] or "").lower()
    return Tag(
        code, language, script, None if region in _NO_REGION else region or None, variant or None
    )


@functools.cache
def canonical(code: str) -> str:
    """The canonical name of a language, ``ISO639-3_Script``, whatever its case or alias.

    A macrolanguage means its FLORES-200 member (``ara`` is ``arb_Arab``), a language in one script
    that script. Any other ISO 639-3 code with an ISO 15924 script is accepted as it stands.

    >>> canonical("fr"), canonical("ZHO-hant"), canonical("swa"), canonical("ko-KR")
    ('fra_Latn', 'zho_Hant', 'swh_Latn', 'kor_Hang')

    Raises:
        CorpusError: The code is unknown (the closest ones are listed), means several languages
            (all are listed) or has no known script (what to type is said).
    """
    if code in FLORES200:
        return code
    tag = parse(code)
    if relabelled := RELABELLED.get(f"{tag.language}_{tag.script}_{tag.variant}"):
        return relabelled
    if there := _USUAL_THERE.get(f"{tag.language}-{tag.region}"):
        return there
    script = _script_there(tag) if tag.script in {None, "Hani"} else tag.script
    return in_script(tag.language, script) if script else usual(tag)


def in_script(language: str, script: str) -> str:
    """The name of a language (ISO 639-3) written in a script (ISO 15924).

    >>> in_script("que", "Latn"), in_script("srp", "Latn")
    ('quy_Latn', 'srp_Latn')
    """
    script = _STYLES.get(script, script)
    # Only a name that FLORES-200 has: `kur_Arab` is Sorani, not Kurmanji in Arabic letters.
    members = (f"{member[:3]}_{script}" for member in _flores_members(language))
    named = next((name for name in members if name in FLORES200), f"{language}_{script}")
    common = _USUAL.get(language, "")
    return common if common.endswith(script) else _USUAL_IN.get(named, named)


def usual(tag: Tag) -> str:
    """The name of a language without script: the usual one, else FLORES-200's, else CLDR's.

    Raises:
        CorpusError: There are several (all are listed), or CLDR knows no script.
    """
    if tag.language in _USUAL:
        return _USUAL[tag.language]
    members = _flores_members(tag.language)
    if len(members) == 1:
        return members[0]
    if members and tag.region is None:
        raise CorpusError(f"ambiguous language {tag.code!r}: write {' or '.join(members)}")
    return in_script(tag.language, _likely_script(tag))


def is_tag(text: str) -> bool:
    """Whether ``text`` is spelt like a language code, known or not, as ``LANG.*`` files are."""
    match = _TAG.fullmatch(text)
    return match is not None and _is_variant(match)


def is_language(code: str) -> bool:
    """Whether ``code`` means a language, whatever its script."""
    try:
        parse(code)
    except CorpusError:
        return False
    return True


def closest(code: str, known: Iterable[str]) -> list[str]:
    """Up to three of ``known`` that are spelt most like ``code``, best first."""
    lower = {name.lower(): name for name in known}
    return [lower[name] for name in difflib.get_close_matches(code.lower(), lower, n=3)]


def alpha3(subtag: str) -> str | None:
    """ISO 639-3 code of a two- or three-letter code, ``None`` where there is no such language."""
    from langcodes import Language

    # Not normalised: that would turn `tgl` into `fil` and `prs` into `fa-AF`.
    subtag = _IN_USE.get(subtag.lower(), subtag.lower())
    language = Language.get(_registered(subtag), normalize=False)
    if not language.is_valid() or subtag in _NO_LANGUAGE:
        return None
    return str(language.to_alpha3())


@functools.cache
def attested_scripts(language: str) -> frozenset[str]:
    """Scripts (ISO 15924) in which FLORES-200 or CLDR know a language (ISO 639-3) to be written."""
    from langcodes.data_dicts import LIKELY_SUBTAGS
    from language_data.population_data import LANGUAGE_WRITING_POPULATION

    code = f"{_registered(language)}-"
    cldr = (tag for tag in (*LIKELY_SUBTAGS.values(), *LANGUAGE_WRITING_POPULATION))
    scripts = {tag.split("-")[1] for tag in cldr if tag.startswith(code)}
    scripts.update(name[4:] for name in FLORES200 if name[:3] == language)
    known = {_STYLES.get(script, script) for script in scripts if len(script) == 4}
    return frozenset(known - {"Hani", "Hira", "Kana", "Jamo"})  # parts of Hans, Hant, Jpan, Hang


@functools.cache
def _two_letters() -> dict[str, str]:
    from langcodes.data_dicts import LANGUAGE_ALPHA3, LANGUAGE_ALPHA3_BIBLIOGRAPHIC

    tables = (LANGUAGE_ALPHA3_BIBLIOGRAPHIC, LANGUAGE_ALPHA3)
    pairs = [(three, two) for table in tables for two, three in table.items()]
    return {three: two for three, two in pairs if len(two) == 2}


def _registered(language: str) -> str:
    """The subtag BCP 47 registers: the two-letter code where there is one."""
    return _two_letters().get(language, language)


@functools.cache
def _flores_members(language: str) -> tuple[str, ...]:
    """FLORES-200 names of a language, else of the languages under the same macrolanguage."""
    names = [name for name in FLORES200 if name not in BY_FULL_NAME_ONLY]
    exact = tuple(name for name in names if name[:3] == language)
    macro = _macrolanguage(language)
    return exact or tuple(name for name in names if _macrolanguage(name[:3]) == macro)


@functools.cache
def _macrolanguage(language: str) -> str:
    from langcodes import Language

    found = Language.get(_registered(language), normalize=False)
    return str(found.prefer_macrolanguage().to_alpha3())


def _script_there(tag: Tag) -> str | None:
    """The script CLDR knows for this language in this region, other than the usual one."""
    from langcodes.data_dicts import LIKELY_SUBTAGS

    likely = LIKELY_SUBTAGS.get(f"{_registered(tag.language)}-{tag.region}")
    return likely.split("-")[1] if likely else None


def _likely_script(tag: Tag) -> str:
    from langcodes import Language
    from langcodes.data_dicts import LIKELY_SUBTAGS

    language = Language.get(f"{tag.language}-{tag.region}" if tag.region else tag.language)
    # `maximize` answers Latn for languages it has never heard of.
    if str(language.language) not in LIKELY_SUBTAGS:
        raise CorpusError(
            f"{tag.code!r} has no usual script: write one, for example {tag.language}_Latn"
        )
    return str(language.maximize().script)


def _is_script(script: str) -> bool:
    from langcodes import Language

    return bool(Language.make(script=script).is_valid())


def _is_variant(match: re.Match[str]) -> bool:
    """Whether the last part is one: after a script any, as in FLORES+; else one BCP 47 registers."""
    from langcodes import Language

    if match["variant"] is None or match["script"]:
        return True
    return bool(Language.make(language="en", variants=[match["variant"].lower()]).is_valid())


def _did_you_mean(code: str) -> str:
    """The closest FLORES-200 names, found by code or by English name (``French``)."""
    from langcodes import Language

    by_name = {Language.get(name[:3]).display_name(): name for name in reversed(FLORES200)}
    found = closest(code, FLORES200) or [by_name[name] for name in closest(code, by_name)]
    return f": did you mean {', '.join(found)}?" if found else ": write a code such as fra_Latn"
