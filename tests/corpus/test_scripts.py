"""The script of a text, by Unicode's property of its letters, and the name it gives."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from mechsteer.corpus import LabelledCorpus, read
from mechsteer.corpus.names.naming import named
from mechsteer.corpus.names.scripts import letters_of
from mechsteer.errors import CorpusError, CorpusWarning
from tests.corpus.written import write

TEXTS = {
    "Latn": "Déjà vu",
    "Cyrl": "Добар дан",
    "Grek": "Καλημέρα",
    "Arab": "السلام",
    "Hebr": "שלום",
    "Deva": "नमस्ते",
    "Beng": "নমস্কার",
    "Thai": "สวัสดี",
    "Ethi": "ሰላም",
    "Geor": "გამარჯობა",
    "Armn": "Բարեւ",
    "Hang": "안녕하세요",
    "Jpan": "東京へ行きます",
    "Tfng": "ⴰⵣⵓⵍ",
    "Olck": "ᱡᱚᱦᱟᱨ",
    "Hans": "这个国家的历史",
    "Hant": "這個國家的歷史",
    "Mtei": "ꯍꯦꯂꯣ",
    "Nkoo": "ߌ ߣߌ",
    "Adlm": "𞤀𞤣𞤢𞤥",
}


@pytest.mark.parametrize(("script", "text"), TEXTS.items())
def test_the_script_of_a_text_is_that_of_its_letters(script: str, text: str) -> None:
    letters = letters_of([f"12% {text} — !"])
    assert letters.script == script
    assert letters.share(script) == 1.0


def test_digits_marks_and_common_letters_are_of_no_script() -> None:
    assert letters_of(["123 «…» 👍 ー ª"]).by_script.keys() <= {"Latn"}
    assert letters_of(["1 2 3"]).script is None
    assert letters_of([]).share("Latn") == 0.0


def test_shares_count_letters() -> None:
    letters = letters_of(["abc", "где!", "12"])
    assert (letters.total, letters.share("Latn"), letters.share("Cyrl")) == (6, 0.5, 0.5)
    assert letters.share("Grek") == 0.0


@pytest.mark.parametrize(
    ("code", "text", "name"),
    [
        *[("srp", TEXTS["Latn"], "srp_Latn"), ("sr", TEXTS["Cyrl"], "srp_Cyrl")],
        *[("sr-RS", TEXTS["Latn"], "srp_Latn"), ("uz", TEXTS["Cyrl"], "uzb_Cyrl")],
        *[("zh", TEXTS["Hans"], "zho_Hans"), ("zho", TEXTS["Hant"], "zho_Hant")],
        *[("cmn", TEXTS["Hant"], "zho_Hant"), ("cmn_Hani", TEXTS["Hans"], "zho_Hans")],
        *[("yue", TEXTS["Hant"], "yue_Hant"), ("yue_Hani", TEXTS["Hans"], "yue_Hans")],
        *[("ks", TEXTS["Deva"], "kas_Deva"), ("kas", TEXTS["Arab"], "kas_Arab")],
        *[("ar", TEXTS["Latn"], "arb_Latn"), ("hi", TEXTS["Latn"], "hin_Latn")],
        *[("mni", TEXTS["Beng"], "mni_Beng"), ("sd_in", TEXTS["Deva"], "snd_Deva")],
        *[("sd_in", TEXTS["Arab"], "snd_Arab"), ("az", TEXTS["Arab"], "azb_Arab")],
        *[("fuc", TEXTS["Latn"], "fuc_Latn"), ("mey", TEXTS["Arab"], "mey_Arab")],
        *[("ff", TEXTS["Adlm"], "ful_Adlm"), ("ja", TEXTS["Jpan"], "jpn_Jpan")],
        *[("ko", TEXTS["Hang"], "kor_Hang"), ("ru", "123", "rus_Cyrl")],
    ],
)
@pytest.mark.filterwarnings("ignore::mechsteer.errors.CorpusWarning")
def test_the_text_chooses_the_script_that_the_code_leaves_open(
    code: str, text: str, name: str
) -> None:
    assert named(code, [text], "file") == name


@pytest.mark.parametrize("code", ["zh", "ks", "zho_Hani", "taq", "cjy"])
def test_text_that_tells_no_script_of_the_language_leaves_the_code_in_doubt(code: str) -> None:
    with pytest.raises(CorpusError, match=r"ambiguous language|no usual script"):
        named(code, ["Καλημέρα" if code != "cjy" else "12"], "file")


@pytest.mark.parametrize(
    ("code", "name"), [("rus_Cyrl", "rus_Cyrl"), ("ell", "ell_Grek"), ("zh-TW", "zho_Hant")]
)
def test_a_label_wrong_for_its_text_is_warned_about_with_the_count(code: str, name: str) -> None:
    sentences = ["Dobar dan.", "Zbogom.", "12", TEXTS["Cyrl"] + TEXTS["Grek"] + TEXTS["Hant"]]
    message = f"f.txt: 2 of 4 sentences have most letters outside {name[4:]}.*most are Latn"
    with pytest.warns(CorpusWarning, match=message.replace("2 of 4", "[23] of 4")):
        assert named(code, sentences, "f.txt") == name


@pytest.mark.parametrize(
    ("code", "script"), [("srp_Cyrl", "Cyrl"), ("eng", "Latn"), ("tlh_Piqd", "Latn")]
)
def test_a_label_right_for_most_letters_is_not_warned_about(code: str, script: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named(code, [TEXTS[script], TEXTS[script], "日本"], "f.txt")


def test_tatoeba_names_serbian_by_its_letters(tmp_path: Path) -> None:
    serbian = "Dobar dan.\n" * 698 + "Добар дан.\n" * 302
    pair = {"tatoeba.srp-eng.srp": serbian, "tatoeba.srp-eng.eng": "Hello.\n" * 1000}
    with pytest.warns(CorpusWarning, match=r"698 of 1000 sentences .* read as srp_Latn"):
        assert read(write(tmp_path, pair), languages="srp").languages == ("srp_Latn", "eng_Latn")
    with pytest.warns(CorpusWarning):
        assert read(tmp_path, languages="eng,srp_Latn").languages == ("eng_Latn", "srp_Latn")


def test_asking_for_the_other_script_says_which_the_text_is_in(tmp_path: Path) -> None:
    write(tmp_path, {"srp.txt": "Dobar dan.\n", "eng.txt": "Hello.\n"})
    with (
        pytest.warns(CorpusWarning, match="read as srp_Latn"),
        pytest.raises(CorpusError, match=r"no srp_Cyrl .*\(closest: srp_Latn\)"),
    ):
        read(tmp_path, languages="srp_Cyrl")


def test_a_code_of_several_languages_says_so_where_no_text_decides(tmp_path: Path) -> None:
    write(tmp_path, {"zho_Hans.txt": "汉语\n", "zho_Hant.txt": "漢語\n"})
    with pytest.raises(CorpusError, match="ambiguous language 'zh': write zho_Hans or zho_Hant"):
        read(tmp_path, languages="zh")
    (tmp_path / "zho_Hans.txt").rename(tmp_path / "zh.txt")
    assert read(tmp_path, languages="zh").languages == ("zho_Hans",)


@pytest.mark.filterwarnings("ignore::mechsteer.errors.CorpusWarning")
def test_sentences_in_memory_and_columns_are_named_alike(tmp_path: Path) -> None:
    texts = {"srp": ["Dobar dan.", "Zbogom."], "de": ["Guten Tag.", "Tschüss."]}
    write(tmp_path, {"t.csv": "srp,de\nDobar dan.,Guten Tag.\nZbogom.,Tschüss.\n"})
    corpus = LabelledCorpus(texts, sources={"srp": "s.txt"})
    assert corpus.languages == read(tmp_path / "t.csv").languages == ("srp_Latn", "deu_Latn")
    assert corpus.where("srp_Latn", 1) == "s.txt:2"


def test_a_label_in_memory_is_looked_at_too() -> None:
    with pytest.warns(CorpusWarning, match=r"rus_Cyrl: 2 of 2 sentences"):
        LabelledCorpus({"rus_Cyrl": ["Dobar dan.", "Zbogom."], "deu_Latn": ["Guten Tag."]})


def test_every_text_of_flores_is_in_the_script_of_its_name(data_root: Path) -> None:
    for file in sorted((data_root / "flores200" / "dev").iterdir()):
        sentences = file.read_text(encoding="utf-8").split("\n")[::9]
        letters = letters_of(sentences)
        assert letters.share(file.stem[4:]) > 0.9
        assert letters.script == {"kor_Hang": "Hang"}.get(file.stem, file.stem[4:])


def test_text_that_is_no_list_of_sentences_is_refused() -> None:
    with pytest.raises(CorpusError, match="fra: expected a list of sentences, got one text"):
        LabelledCorpus({"fra": "Oui."})
    with pytest.raises(CorpusError, match="fra_Latn:2: int, not text"):
        LabelledCorpus({"fra": ["Oui.", 3]})  # type: ignore[list-item]
