from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechsteer.corpus.names.languages import FLORES200, canonical, closest
from mechsteer.errors import CorpusError

# The 112 languages of the LASER Tatoeba test, https://github.com/facebookresearch/LASER
TATOEBA = """
afr amh ang ara arq arz ast awa aze bel ben ber bos bre bul cat cbk ceb ces cha cmn cor csb cym dan
deu dsb dtp ell epo est eus fao fin fra fry gla gle glg gsw heb hin hrv hsb hun hye ido ile ina ind
isl ita jav jpn kab kat kaz khm kor kur kzj lat lfn lit lvs mal mar max mhr mkd mon nds nld nno nob
nov oci orv pam pes pms pol por ron rus slk slv spa sqi srp swe swg swh tam tat tel tgl tha tuk tur
tzl uig ukr urd uzb vie war wuu xho yid yue zsm
""".split()  # noqa: SIM905


def test_flores_200_has_204_languages_each_once() -> None:
    assert len(FLORES200) == len(set(FLORES200)) == 204


@pytest.mark.parametrize("code", FLORES200)
def test_every_flores_name_is_its_own_canonical_name_in_any_case_and_with_a_hyphen(
    code: str,
) -> None:
    assert canonical(code) == canonical(code.lower().replace("_", "-")) == code


@pytest.mark.parametrize("code", TATOEBA)
def test_every_tatoeba_code_has_a_canonical_name(code: str) -> None:
    assert canonical(canonical(code)) == canonical(code)


def test_tatoeba_codes_name_112_different_languages() -> None:
    assert len({canonical(code) for code in TATOEBA}) == len(TATOEBA) == 112


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        *[("fr", "fra_Latn"), ("FRA", "fra_Latn"), ("fre", "fra_Latn"), ("ger", "deu_Latn")],
        *[("el", "ell_Grek"), ("he", "heb_Hebr"), ("iw", "heb_Hebr"), ("ja", "jpn_Jpan")],
        *[("ara", "arb_Arab"), ("ar", "arb_Arab"), ("cmn", "zho_Hans"), ("swa", "swh_Latn")],
        *[("sw", "swh_Latn"), ("lv", "lvs_Latn"), ("ekk", "est_Latn"), ("no", "nob_Latn")],
        *[("fa", "pes_Arab"), ("prs", "prs_Arab"), ("aze", "azj_Latn"), ("sqi", "als_Latn")],
        *[("kur", "kmr_Latn"), ("msa", "zsm_Latn"), ("mon", "khk_Cyrl"), ("yid", "ydd_Hebr")],
        *[("aka", "aka_Latn"), ("ak", "aka_Latn"), ("twi", "twi_Latn"), ("fil", "tgl_Latn")],
        *[("min", "min_Latn"), ("orv", "orv_Cyrl"), ("ber", "ber_Latn"), ("wuu", "wuu_Hans")],
    ],
)
def test_a_bare_code_means_the_usual_member_and_script(alias: str, name: str) -> None:
    assert canonical(alias) == name


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        *[("zh-Hant", "zho_Hant"), ("zh_CN", "zho_Hans"), ("zh-TW", "zho_Hant")],
        *[("pt-BR", "por_Latn"), ("sr-Latn", "srp_Latn"), ("cmn_Hans", "zho_Hans")],
        *[("ara_Latn", "arb_Latn"), ("kur_Arab", "kur_Arab"), ("zh-Hant-HK", "zho_Hant")],
        ("es-419", "spa_Latn"),
    ],
)
def test_a_tag_with_script_or_region_is_read_as_bcp_47(tag: str, name: str) -> None:
    assert canonical(tag) == name


@pytest.mark.parametrize("name", ["nqo_Nkoo", "cjy_Hans", "eng_Cyrl", "qaa_Latn", "tlh_Piqd"])
def test_a_valid_language_and_script_outside_flores_stands_as_it_is(name: str) -> None:
    assert canonical(name) == name


@pytest.mark.parametrize(
    ("alias", "names"),
    [("zh", "zho_Hans or zho_Hant"), ("zho", "zho_Hans or zho_Hant"), ("ks", "kas_Arab or kas_D")],
)
def test_an_ambiguous_alias_is_refused_with_all_it_can_mean(alias: str, names: str) -> None:
    with pytest.raises(CorpusError, match=f"ambiguous language '{alias}': write {names}"):
        canonical(alias)


@pytest.mark.parametrize(
    ("typo", "meant"), [("fra_Lat", "fra_Latn"), ("deuLatn", "deu_Latn"), ("frnech", "fra_Latn")]
)
def test_an_unknown_code_is_refused_with_the_closest_names(typo: str, meant: str) -> None:
    with pytest.raises(CorpusError, match=f"unknown language '{typo}'.*{meant}"):
        canonical(typo)


@pytest.mark.parametrize("code", ["", "xx", "und", "mul", "zxx", "README", "中文", "fr fr", "\0"])
def test_what_is_no_language_is_refused(code: str) -> None:
    with pytest.raises(CorpusError, match="unknown language"):
        canonical(code)


@pytest.mark.parametrize("code", ["fra_Latm", "zh-Hanz"])
def test_an_unknown_script_is_refused(code: str) -> None:
    with pytest.raises(CorpusError, match="unknown script"):
        canonical(code)


def test_a_language_without_a_usual_script_says_what_to_write() -> None:
    with pytest.raises(CorpusError, match="write one, for example cjy_Latn"):
        canonical("cjy")


@given(st.text(max_size=9))
def test_any_text_is_a_language_or_a_corpus_error(text: str) -> None:
    try:
        name = canonical(text)
    except CorpusError as error:
        assert "\n" not in str(error)
    else:
        assert canonical(name) == name


def test_closest_finds_at_most_three_whatever_the_case() -> None:
    assert closest("FRA_LATN", FLORES200)[0] == "fra_Latn"
    assert len(closest("fra_Latn", FLORES200)) == 3


def test_a_canonical_name_is_found_without_loading_the_language_tables() -> None:
    code = (
        "import sys; from mechsteer.corpus.names.languages import canonical; canonical('fra_Latn');"
        "sys.exit('langcodes' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("code", "name"), [("jp", "jpn_Jpan"), ("cz", "ces_Latn"), ("GR", "ell_G")]
)
def test_a_country_in_place_of_a_language_is_answered_with_its_language(
    code: str, name: str
) -> None:
    with pytest.raises(CorpusError, match=f"did you mean {name}"):
        canonical(code)
