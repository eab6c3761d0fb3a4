"""Branches above a language, from a tree that is written here."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mechsteer.errors import CorpusError
from mechsteer.typology import lineages

CSV = """Glottocode,Name,Level,ISO639P3code,Family_ID,Latitude,Longitude
indo1319,Indo-European,family,,,,
germ1287,Germanic,family,,indo1319,,
stan1295,German,language,deu,indo1319,48.6,12.4
stan1293,English,language,eng,indo1319,53.0,-1.0
basq1248,Basque,language,eus,,43.2,-1.6
arti1236,Artificial,family,,,,
espe1235,Esperanto,language,epo,arti1236,,
"""


def folder(root: Path, trees: str) -> Path:
    (root / "glottolog").mkdir(parents=True)
    with gzip.open(root / "glottolog" / "languages.csv.gz", "wt") as file:
        file.write(CSV)
    with gzip.open(root / "glottolog" / "classification.nex.gz", "wt") as file:
        file.write(f"#NEXUS\nBEGIN TREES;\n{trees}END;\n")
    return root


GOOD = """    tree indo1319 = [&R] ((stan1293:1,stan1295:1)germ1287:1,xxxx9999:1)indo1319:1;
    tree arti1236 = [&R] (espe1235:1)arti1236:1;
"""


def test_branches_are_named_from_the_family_down(tmp_path: Path) -> None:
    found = lineages(["de", "eng_Latn", "eus", "epo", "fra"], data=folder(tmp_path, GOOD))
    assert list(found) == ["deu_Latn", "eng_Latn", "eus_Latn", "epo_Latn", "fra_Latn"]
    assert found["deu_Latn"] == found["eng_Latn"] == ("Indo-European", "Germanic")
    assert found["eus_Latn"] == found["epo_Latn"] == found["fra_Latn"] == ()


def test_a_damaged_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"damaged file .*classification"):
        lineages(["de"], data=folder(tmp_path / "a", GOOD.replace("((", "(")))
    place = folder(tmp_path / "b", GOOD)
    (place / "glottolog" / "classification.nex.gz").write_bytes(b"no gzip")
    with pytest.raises(CorpusError, match="damaged file"):
        lineages(["de"], data=place)
    (place / "glottolog" / "classification.nex.gz").unlink()
    with pytest.raises(CorpusError, match="no glottolog/classification"):
        lineages(["de"], data=place)
