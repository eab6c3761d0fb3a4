"""Names of languages: ISO 639-3 and ISO 15924, as in FLORES-200 (``fra_Latn``), and their aliases.

A script is part of the name because it is part of the text: Kashmiri in Arabic letters and in
Devanagari share no token. Aliases are two- and three-letter codes and BCP 47 tags (``fr``, ``fre``,
``pt-BR``, ``zh-TW``); what a bare code means is decided by FLORES-200 first, then by CLDR.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable

from mechsteer.errors import CorpusError

_FLORES200 = """
ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn ajp_Arab aka_Latn als_Latn amh_Ethi apc_Arab
arb_Arab arb_Latn ars_Arab ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab azj_Latn
bak_Cyrl bam_Latn ban_Latn bel_Cyrl bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn
bug_Latn bul_Cyrl cat_Latn ceb_Latn ces_Latn cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn
dik_Latn dyu_Latn dzo_Tibt ell_Grek eng_Latn epo_Latn est_Latn eus_Latn ewe_Latn fao_Latn fij_Latn
fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn gaz_Latn gla_Latn gle_Latn glg_Latn grn_Latn guj_Gujr
hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn hun_Latn hye_Armn ibo_Latn ilo_Latn ind_Latn
isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn kac_Latn kam_Latn kan_Knda kas_Arab kas_Deva kat_Geor
kaz_Cyrl kbp_Latn kea_Latn khk_Cyrl khm_Khmr kik_Latn kin_Latn kir_Cyrl kmb_Latn kmr_Latn knc_Arab
knc_Latn kon_Latn kor_Hang lao_Laoo lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn ltg_Latn ltz_Latn
lua_Latn lug_Latn luo_Latn lus_Latn lvs_Latn mag_Deva mai_Deva mal_Mlym mar_Deva min_Arab min_Latn
mkd_Cyrl mlt_Latn mni_Beng mos_Latn mri_Latn mya_Mymr nld_Latn nno_Latn nob_Latn npi_Deva nso_Latn
nus_Latn nya_Latn oci_Latn ory_Orya pag_Latn pan_Guru pap_Latn pbt_Arab pes_Arab plt_Latn pol_Latn
por_Latn prs_Arab quy_Latn ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Olck scn_Latn shn_Mymr
sin_Sinh slk_Latn slv_Latn smo_Latn sna_Latn snd_Arab som_Latn sot_Latn spa_Latn srd_Latn srp_Cyrl
ssw_Latn sun_Latn swe_Latn swh_Latn szl_Latn tam_Taml taq_Latn taq_Tfng tat_Cyrl tel_Telu tgk_Cyrl
tgl_Latn tha_Thai tir_Ethi tpi_Latn tsn_Latn tso_Latn tuk_Latn tum_Latn tur_Latn twi_Latn tzm_Tfng
uig_Arab ukr_Cyrl umb_Latn urd_Arab uzn_Latn vec_Latn vie_Latn war_Latn wol_Latn xho_Latn ydd_Hebr
yor_Latn yue_Hant zho_Hans zho_Hant zsm_Latn zul_Latn
"""
FLORES200 = tuple(_FLORES200.split())
"""The 204 languages of FLORES-200 (NLLB Team 2022, https://arxiv.org/abs/2207.04672)."""

# Transliterations that NLLB-200 leaves out too: `ar` never means Arabic in Latin letters.
_BY_FULL_NAME_ONLY = frozenset({"arb_Latn", "min_Arab"})

# What Tatoeba's files hold where FLORES-200 and CLDR name no script, or two; Filipino, which CLDR
# takes for Tagalog; macrolanguages with one member in FLORES-200 that CLDR does not list.
_USUAL = {
    "ang": "ang_Latn",
    "ber": "ber_Latn",
    "cbk": "cbk_Latn",
    "cmn": "zho_Hans",
    "fil": "tgl_Latn",
    "ful": "fuv_Latn",
    "ile": "ile_Latn",
    "lfn": "lfn_Latn",
    "max": "max_Latn",
    "mhr": "mhr_Cyrl",
    "nor": "nob_Latn",
    "nov": "nov_Latn",
    "orv": "orv_Cyrl",
    "que": "quy_Latn",
    "tzl": "tzl_Latn",
}
_NO_LANGUAGE = frozenset({"mis", "mul", "und", "zxx"})
_TAG = re.compile(r"([a-z]{2,3})(?:[-_]([a-z]{4}))?(?:[-_]([a-z]{2}|[0-9]{3}))?", re.IGNORECASE)


@functools.cache
def canonical(code: str) -> str:
    """The canonical name of a language, ``ISO639-3_Script``, whatever its case or alias.

    A macrolanguage means its FLORES-200 member (``ara`` is ``arb_Arab``), a language in one script
    that script. Any other ISO 639-3 code with an ISO 15924 script is accepted as it stands.

    >>> canonical("fr"), canonical("ZHO-hant"), canonical("swa")
    ('fra_Latn', 'zho_Hant', 'swh_Latn')

    Raises:
        CorpusError: The code is unknown (the closest ones are listed), means several languages
            (all are listed) or has no known script (what to type is said).
    """
    if code in FLORES200:
        return code
    tag = _TAG.fullmatch(code.strip())
    language = alpha3(tag[1]) if tag else None
    if tag is None or language is None:
        raise CorpusError(f"unknown language {code!r}{_did_you_mean(code)}")
    if tag[2]:
        return _with_script(code, language, tag[2].title())
    if tag[3]:
        return _with_script(code, language, _likely_script(f"{tag[1]}-{tag[3]}", code))
    return _bare(code, language)


def is_tag(text: str) -> bool:
    """Whether ``text`` is spelt like a language code, known or not, as ``LANG.*`` files are."""
    return _TAG.fullmatch(text) is not None


def closest(code: str, known: Iterable[str]) -> list[str]:
    """Up to three of ``known`` that are spelt most like ``code``, best first."""
    lower = {name.lower(): name for name in known}
    return [lower[name] for name in difflib.get_close_matches(code.lower(), lower, n=3)]


def _bare(code: str, language: str) -> str:
    """A language without script: the usual one, else FLORES-200's, else CLDR's likely script."""
    if language in _USUAL:
        return _USUAL[language]
    members = _flores_members(language)
    if len(members) > 1:
        raise CorpusError(f"ambiguous language {code!r}: write {' or '.join(members)}")
    return members[0] if members else f"{language}_{_likely_script(language, code)}"


def _with_script(code: str, language: str, script: str) -> str:
    from langcodes import Language

    if not Language.make(script=script).is_valid():
        raise CorpusError(
            f"unknown script {script!r} in {code!r}: write an ISO 15924 code, as Latn"
        )
    # Only a name that FLORES-200 has: `kur_Arab` is Sorani, not Kurmanji in Arabic letters.
    members = (f"{member[:3]}_{script}" for member in _flores_members(language))
    return next((name for name in members if name in FLORES200), f"{language}_{script}")


def alpha3(subtag: str) -> str | None:
    """ISO 639-3 code of a two- or three-letter code, ``None`` where there is no such language."""
    from langcodes import Language

    # Not normalised: that would turn `tgl` into `fil` and `prs` into `fa-AF`.
    language = Language.get(_registered(subtag.lower()), normalize=False)
    if not language.is_valid() or subtag.lower() in _NO_LANGUAGE:
        return None
    return str(language.to_alpha3())


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
    names = [name for name in FLORES200 if name not in _BY_FULL_NAME_ONLY]
    exact = tuple(name for name in names if name[:3] == language)
    macro = _macrolanguage(language)
    return exact or tuple(name for name in names if _macrolanguage(name[:3]) == macro)


@functools.cache
def _macrolanguage(language: str) -> str:
    from langcodes import Language

    found = Language.get(_registered(language), normalize=False)
    return str(found.prefer_macrolanguage().to_alpha3())


def _likely_script(tag: str, code: str) -> str:
    from langcodes import Language
    from langcodes.data_dicts import LIKELY_SUBTAGS

    language = Language.get(tag)
    # `maximize` answers Latn for languages it has never heard of.
    if str(language.language) not in LIKELY_SUBTAGS:
        name = alpha3(tag.partition("-")[0])
        raise CorpusError(f"{code!r} has no usual script: write one, for example {name}_Latn")
    return str(language.maximize().script)


def _did_you_mean(code: str) -> str:
    """The closest FLORES-200 names, found by code or by English name (``French``)."""
    from langcodes import Language

    by_name = {Language.get(name[:3]).display_name(): name for name in reversed(FLORES200)}
    found = closest(code, FLORES200) or [by_name[name] for name in closest(code, by_name)]
    return f": did you mean {', '.join(found)}?" if found else ": write a code such as fra_Latn"
