"""Codes with a region, a script or a variety mean what the bare code means."""

from __future__ import annotations

import pytest

from mechsteer.corpus.names.languages import FLORES200, canonical
from mechsteer.errors import CorpusError
from tests.corpus.published_codes import PUBLISHED

SIZES = {"FLEURS": 102, "MBART50": 52, "M2M100": 99, "NTREX128": 124, "TATOEBA": 112}
CODES = [(project, *pair) for project, codes in PUBLISHED.items() for pair in codes.items()]


@pytest.mark.parametrize(("project", "count"), SIZES.items())
def test_the_tables_of_right_names_are_whole(project: str, count: int) -> None:
    assert len(PUBLISHED[project]) == count


@pytest.mark.parametrize(("project", "code", "name"), CODES)
def test_every_published_code_has_its_right_name(project: str, code: str, name: str) -> None:
    assert canonical(code) == canonical(code.upper().replace("_", "-")) == name


def test_codes_of_one_project_name_different_languages() -> None:
    for project in ("FLEURS", "MBART50", "M2M100", "TATOEBA", "FLORES_PLUS"):
        assert len(set(PUBLISHED[project].values())) == len(PUBLISHED[project])


@pytest.mark.parametrize("region", ["US", "419", "XX"])
def test_a_script_written_out_decides_whatever_the_region(region: str) -> None:
    for name in FLORES200:
        assert canonical(f"{name}_{region}") == canonical(f"{name[:3]}-{name[4:]}-{region}") == name


def test_a_region_without_a_script_of_its_own_changes_nothing() -> None:
    for code in {name[:3] for name in FLORES200}:
        try:
            bare = canonical(code)
        except CorpusError as error:
            assert "ambiguous" in str(error)
        else:
            assert canonical(f"{code}-AQ") == bare


@pytest.mark.parametrize(
    ("code", "name"),
    [
        *[("zh-TW", "zho_Hant"), ("zh-HK", "zho_Hant"), ("zh-SG", "zho_Hans"), ("zh", None)],
        *[("sr-ME", "srp_Latn"), ("pa-PK", "pan_Arab"), ("uz-AF", "uzb_Arab"), ("zh-XX", None)],
        *[
            ("az-IR", "azb_Arab"),
            ("fa-AF", "prs_Arab"),
            ("ku-IQ", "ckb_Arab"),
            ("sd-IN", "snd_Arab"),
        ],
        *[("sd-Deva-IN", "snd_Deva"), ("mn-MN", "khk_Cyrl"), ("mn-CN", "mon_Mong")],
        *[("ko-Kore-KR", "kor_Hang"), ("urd_Aran", "urd_Arab"), ("zho_Hani", None)],
        *[("ca-ES-valencia", "cat_Latn"), ("de-1996", "deu_Latn"), ("sl-rozaj", "slv_Latn")],
        *[("no-Latn", "nob_Latn"), ("qu_Latn_PE", "quy_Latn"), ("ps-Arab-AF", "pbt_Arab")],
        *[("ff-Adlm-GN", "ful_Adlm"), ("fa-Latn-AF", "fas_Latn"), ("mo", "ron_Latn")],
    ],
)
def test_a_region_or_a_script_that_matters_is_heard(code: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(CorpusError, match=r"ambiguous language .*: write zho_Hans or zho_Hant"):
            canonical(code)
    else:
        assert canonical(code) == name


@pytest.mark.parametrize("code", ["eng-notes", "fra_backup", "und_Mong", "fra_Latn_x"])
def test_what_only_looks_like_a_code_is_refused(code: str) -> None:
    with pytest.raises(CorpusError, match="unknown language"):
        canonical(code)
