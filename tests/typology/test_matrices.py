"""Matrices of layers in mPLM-Sim's layout: other codes, halves, gaps, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from mechsteer.errors import CorpusError
from mechsteer.typology import read_layers

CODES = ("fra_Latn", "deu_Latn", "zho_Hans", "est_Latn")
COSINES = np.array([[1, 0.1, 0.2, 0.3], [0.1, 1, 0.4, 0.5], [0.2, 0.4, 1, 0.6], [0.3, 0.5, 0.6, 1]])
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def file(
        layer: int,
        codes: Sequence[str] = CODES,
        values: np.ndarray = COSINES,
        name: str = "sents_layer{}.tsv",
        cell: Callable[[int, int, float], str] = lambda a, b, x: "" if a == b else str(x),
    ) -> Path:
        gap = "," if name.endswith("csv") else "\t"
        rows = [
            gap.join([code, *(cell(a, b, x) for b, x in enumerate(values[a]))])
            for a, code in enumerate(codes)
        ]
        (tmp_path / name.format(layer)).write_text("\n".join([gap.join(["", *codes]), *rows]))
        return tmp_path

    return file


def test_layers_are_in_order_of_their_numbers_and_languages_of_their_names(write: Write) -> None:
    for layer in (10, 2, 0, 1, *range(3, 10), *range(12, 61)):
        write(layer, values=COSINES * layer / 60)
    found = read_layers(write(11))
    assert found.layers == tuple(range(61))
    assert found.languages == tuple(sorted(CODES))
    assert found.notes == ()
    order = [CODES.index(name) for name in found.languages]
    expected = np.where(np.eye(4), np.nan, COSINES)[np.ix_(order, order)]
    np.testing.assert_allclose(found.values[10], expected / 6)


@pytest.mark.parametrize(
    "codes", [("fr", "de", "cmn_Hani", "ekk_Latn"), ("fra", "ger", "zh-CN", "et")]
)
def test_codes_of_other_conventions_mean_the_same(write: Write, codes: Sequence[str]) -> None:
    assert read_layers(write(0, codes=codes)).languages == tuple(sorted(CODES))


def test_a_table_of_commas_with_another_name_is_read_too(write: Write) -> None:
    found = read_layers(write(7, name="mean-pool-layer-{}.csv"))
    assert found.layers == (7,)


def test_one_half_says_all(write: Write) -> None:
    found = read_layers(write(0, cell=lambda a, b, x: str(x) if a < b else "nan"))
    assert np.isfinite(found.values[0]).sum() == 12
    assert found.notes == ()


def test_two_measurements_of_a_pair_are_averaged_and_that_is_said(write: Write) -> None:
    values = COSINES.copy()
    values[1, 0] = 0.3
    found = read_layers(write(0, values=values))
    at = [found.languages.index(name) for name in ("fra_Latn", "deu_Latn")]
    assert found.values[0, at[0], at[1]] == found.values[0, at[1], at[0]] == pytest.approx(0.2)
    assert found.notes == (
        "asymmetric at 1 of 1 layers, by up to 0.2 (layer 0): both halves averaged",
    )


def test_what_was_not_measured_is_missing_and_counted(write: Write) -> None:
    found = read_layers(write(0, cell=lambda a, b, x: "" if {a, b} == {0, 1} else str(x)))
    assert np.isnan(found.values[0]).sum() == 4 + 2
    assert found.notes == ("1 of 6 pairs and layers not measured",)


def test_a_language_or_a_layer_that_is_missing_is_named(write: Write) -> None:
    write(0)
    found = read_layers(write(2, codes=CODES[:3], values=COSINES[:3, :3]))
    assert found.languages == tuple(sorted(CODES[:3]))
    assert found.notes == ("left out, not in every layer: est_Latn", "no file for layer 1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"codes": ("fra", "fr", "deu", "est")}, "fra and fr both mean fra_Latn: keep one"),
        ({"codes": ("fra", "xqq_Latn", "deu", "est")}, "unknown language"),
        ({"cell": lambda a, b, x: "high"}, "tsv:2: expected a cosine from -1 to 1, got 'high'"),
        ({"cell": lambda a, b, x: "inf"}, "got 'inf'"),
        ({"values": COSINES * 7}, "tsv:2: expected a cosine from -1 to 1, got '1.4"),
        ({"codes": CODES[:2], "values": COSINES[:2, :2]}, "three or more languages"),
        ({"values": COSINES[:, :3]}, "tsv:2: expected 4 numbers, got 3"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(write: Write, options: dict, said: str) -> None:
    with pytest.raises(CorpusError, match=said):
        read_layers(write(0, **options))


def test_two_sets_and_none_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="expected files such as sents_layer0"):
        read_layers(tmp_path)
    write(0)
    with pytest.raises(CorpusError, match="expected one set of matrices"):
        read_layers(write(0, name="words_layer{}.tsv"))
    with pytest.raises(CorpusError, match="no folder"):
        read_layers(tmp_path / "absent")


@pytest.mark.parametrize(
    ("model", "layers", "languages"),
    [("mt5-base", 13, 89), ("mGPT", 25, 53), ("infoxlm-base", 13, 80)],
)
def test_published_matrices(data_root: Path, model: str, layers: int, languages: int) -> None:
    found = read_layers(data_root / f"typology/published/mplm_sim/{model}_flores200")
    assert (len(found.layers), len(found.languages), found.notes) == (layers, languages, ())
    assert {"zho_Hans", "est_Latn"} & set(found.languages)
    assert np.isnan(found.values).sum() == layers * languages


def test_rows_and_columns_may_stand_in_different_orders_and_miss_each_other(tmp_path: Path) -> None:
    rows = ("deu_Latn", "est_Latn", "zho_Hans")
    lines = ["," + ",".join(CODES)]
    for code in rows:
        values = [COSINES[CODES.index(code), at] for at in range(4)]
        lines.append(",".join([code, *map(str, values)]))
    (tmp_path / "layer0.CSV").write_text("\r\n".join(["\ufeff" + lines[0], *lines[1:], "", " , "]))
    found = read_layers(tmp_path)
    order = [CODES.index(name) for name in found.languages]
    expected = np.where(np.eye(4), np.nan, COSINES)[np.ix_(order, order)]
    np.testing.assert_allclose(found.values[0], expected)


def test_a_header_without_a_name_for_the_codes_is_understood(write: Write, tmp_path: Path) -> None:
    write(0)
    path = tmp_path / "sents_layer0.tsv"
    path.write_text(
        "\n".join([path.read_text().split("\n")[0].lstrip("\t"), *path.read_text().split("\n")[1:]])
    )
    assert read_layers(tmp_path).languages == tuple(sorted(CODES))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a header of codes"),
        (",fr,de,et\n", "expected a header of codes"),
        (',fr,de,et\nfr,"1,2,3\nde,1,2,3\n', "cannot read"),
        (",fr,de,et\nfr,,0.1,0.2\nde,0.1,\net,0.2,0.3,\n", "csv:3: expected 3 numbers, got 2"),
        (",fr,fr_FR,et\nfr,,0.1,0.2\n", "csv:1: fr and fr_FR both mean fra_Latn"),
        (",fr,de,et\nfr,,0.1,0.2\nfra,,0.1,0.2\n", "fr and fra both mean fra_Latn"),
        (",fr,de,et\nfr,0,0.1,0.2\nde,0.1,0,0.3\net,0.2,0.3,0\n", "got distances"),
        (",fr,de,et\nfr,1,-1.5,0.2\n", "csv:2: expected a cosine from -1 to 1, got '-1.5'"),
        (",fr,de,et\nfr,1,87%,0.2\n", "got '87%'"),
    ],
)
def test_tables_of_other_kinds_are_refused_by_name(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "layer0.csv").write_text(text)
    with pytest.raises(CorpusError, match=said):
        read_layers(tmp_path)
