"""Names of languages: ISO 639-3 and ISO 15924, as in FLORES-200 (``fra_Latn``), and their aliases.

A script is part of the name because it is part of the text: Kashmiri in Arabic letters and in
Devanagari share no token. Aliases are two- and three-letter codes, BCP 47 tags (``fr``, ``fre``,
``pt-BR``, ``zh-TW``) and the codes of FLORES+ with a glottocode; what a bare code means is decided
by FLORES-200 first, then by CLDR. A region never changes what a bare code means, unless CLDR gives
it a script of its own there (``zh-TW``, ``pa-PK``).
"""

from __future__ import annotations

import functools
import re

from mechsteer.corpus.names.codes import Tag, alpha3, closest, is_tag, parse, registered
from mechsteer.corpus.names.flores import BY_FULL_NAME_ONLY, FLORES200, RELABELLED
from mechsteer.errors import CorpusError

__all__ = [
    "FLORES200",
    "alpha3",
    "canonical",
    "closest",
    "fixed",
    "in_script",
    "is_tag",
    "likely",
    "script_of",
    "scripts_own",
    "usual",
]

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
# Styles of writing that share their letters with another script, so that text cannot show them.
_STYLES = {"Aran": "Arab", "Cyrs": "Cyrl", "Geok": "Geor", "Hanb": "Hant", "Kore": "Hang"}
_NAME = re.compile(r"[a-z]{3}_([A-Z][a-z]{3})")
_STYLES |= {"Latf": "Latn", "Latg": "Latn", "Syre": "Syrc", "Syrj": "Syrc", "Syrn": "Syrc"}


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
    return fixed(tag) or usual(tag)


def likely(code: str) -> str:
    """The canonical name of a code, in the script that CLDR expects where there are several.

    For what says no more than the code, and is no text that could tell.

    >>> likely("zh"), likely("zh-TW"), likely("fr")
    ('zho_Hans', 'zho_Hant', 'fra_Latn')

    Raises:
        CorpusError: the code is unknown, or has no usual script.
    """
    tag = parse(code)
    members = _flores_members(tag.language)
    if tag.script or tag.language in _USUAL or len(members) < 2:
        return canonical(code)
    return fixed(tag) or in_script(tag.language, _likely_script(tag))


def script_of(language: str) -> str:
    """The script (ISO 15924) that a canonical name carries; empty for any other text.

    >>> script_of("fra_Latn"), script_of("fra"), script_of("very_formal")
    ('Latn', '', '')
    """
    found = _NAME.fullmatch(language)
    return found[1] if found else ""


@functools.cache
def scripts_own() -> frozenset[str]:
    """Names of the languages that CLDR expects of a script where no more is told.

    >>> {"bod_Tibt", "kat_Geor"} <= scripts_own(), "dzo_Tibt" in scripts_own()
    (True, False)
    """
    from langcodes.data_dicts import LIKELY_SUBTAGS

    expected = (
        tag for code, tag in LIKELY_SUBTAGS.items() if re.fullmatch("und-[A-Z][a-z]{3}", code)
    )
    parts = (tag.split("-")[:2] for tag in expected)
    return frozenset(in_script(alpha3(code) or code, script) for code, script in parts)


def fixed(tag: Tag) -> str | None:
    """The name of a code that leaves its script to no text; ``None`` where it does.

    A script written out fixes it, a region in which CLDR gives the language another script, and a
    variety that FLORES-200 names by itself. Han characters (``Hani``) leave two scripts open.
    """
    if relabelled := RELABELLED.get(f"{tag.language}_{tag.script}_{tag.variant}"):
        return relabelled
    there = _USUAL_THERE.get(f"{tag.language}-{tag.region}")
    if there and tag.script in {None, there[4:]}:
        return there
    script = _script_there(tag) if tag.script in {None, "Hani"} else tag.script
    return in_script(tag.language, script) if script else None


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


@functools.cache
def attested_scripts(language: str) -> frozenset[str]:
    """Scripts (ISO 15924) in which FLORES-200 or CLDR know a language (ISO 639-3) to be written.

    A language without a usual script has none.
    """
    from langcodes.data_dicts import LIKELY_SUBTAGS
    from language_data.population_data import LANGUAGE_WRITING_POPULATION

    codes = tuple(f"{registered(name)}-" for name in (language, _macrolanguage(language)))
    tags = (*LIKELY_SUBTAGS.values(), *LANGUAGE_WRITING_POPULATION)
    scripts = {tag.split("-")[1] for tag in tags if tag.startswith(codes)}
    members = {language, *(name[:3] for name in _flores_members(language))}
    scripts.update(name[4:] for name in FLORES200 if name[:3] in members)
    known = {_STYLES.get(script, script) for script in scripts if len(script) == 4}
    return frozenset(known - {"Hani", "Hira", "Kana", "Jamo"})  # parts of Hans, Hant, Jpan, Hang


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

    found = Language.get(registered(language), normalize=False)
    return str(found.prefer_macrolanguage().to_alpha3())


def _script_there(tag: Tag) -> str | None:
    """The script CLDR knows for this language in this region, other than the usual one."""
    from langcodes.data_dicts import LIKELY_SUBTAGS

    likely = LIKELY_SUBTAGS.get(f"{registered(tag.language)}-{tag.region}")
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
