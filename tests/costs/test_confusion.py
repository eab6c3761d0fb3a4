"""Language confusion: rates of answers whose lines and words are known, counted by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

import mechsteer as ms
from mechsteer.costs import Answer, Prompt, confusion, pass_rates, read_answers, read_words
from mechsteer.costs.confusion import counted_lines
from mechsteer.costs.identify import in_language
from mechsteer.errors import CorpusError, MechsteerError

FRENCH = "Le train part tôt de la gare."
ENGLISH = "The children are playing in the garden today."
RUSSIAN = "Поезд рано уходит с вокзала, и мы на него не успели."
MIXED = f"{RUSSIAN} {RUSSIAN} Он стоит на platform номер два."
CHINESE = "今天早上火车很早就离开了车站,我们都没有赶上。"


def test_every_language_is_told_by_its_own_sentences() -> None:
    corpus = ms.ParallelCorpus.embedded("test").head(4)
    for language, texts in corpus.sentences.items():
        if language == "zho_Hant":
            continue
        others = [each[0] for name, each in corpus.sentences.items() if name[:3] != language[:3]]
        assert in_language(texts, language).float().mean() >= 0.75, language
        assert not in_language(others, language).any(), language


@pytest.mark.parametrize("texts", [[""], ["  \n "], ["1234 5678"], ["?!"]])
def test_a_text_without_letters_is_in_no_language(texts: list[str]) -> None:
    assert in_language(texts, "sr").tolist() == [False]
    assert not in_language([FRENCH], "fr", at_least=1.0).any()


def test_two_labels_of_one_language_are_one() -> None:
    norwegian = ["Toget går tidlig fra stasjonen i dag, og vi rakk det ikke."]
    assert in_language(norwegian, "nob").tolist() == in_language(norwegian, "no").tolist() == [True]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("One two three four five", ["One two three four five"]),
        ("One two three four", []),
        ("One, two. Three - four! five?\n\nshort\n", ["One two Three  four five"]),
        ("a b c d e\nQ: what do you mean by that?", ["a b c d e"]),
        ("a—b c d e", ["a b c d e"]),
        ("日本語の文章です。", []),
        ("日本語の文章はとても長い。", ["日本語の文章はとても長い。"]),
        ("# Title of the page", []),
        ("A — b c d.", []),
    ],
)
def test_lines_of_five_words_count_without_punctuation(text: str, lines: list[str]) -> None:
    assert counted_lines(text) == lines


@pytest.mark.parametrize(
    ("texts", "language", "counts"),
    [
        ([FRENCH, f"{FRENCH}\n{FRENCH}", f"{FRENCH}\n{ENGLISH}", "Oui."], "fr", (3, 1, None)),
        ([FRENCH, f"{FRENCH}\nYes."], "fr", (2, 0, None)),  # short lines do not count
        ([RUSSIAN, MIXED, ENGLISH, f"{MIXED}\n{ENGLISH}", ""], "ru", (4, 2, 1)),
        ([CHINESE, f"{CHINESE}我们在platform等", ENGLISH], "zh", (3, 1, 1)),
        ([RUSSIAN.replace("Поезд", "IBM")], "ru", (1, 0, 0)),  # capitals are names
        ([RUSSIAN.replace("Поезд", "car")], "ru", (1, 0, 0)),  # three letters are too few
        (["", "Oui."], "fr", (0, 0, None)),
    ],
)
def test_answers_are_counted(
    texts: Sequence[str], language: str, counts: tuple[int, int, int | None]
) -> None:
    found = pass_rates(texts, language)
    assert (found.n, found.line_errors, found.word_errors) == counts
    n, lines, words = counts
    assert found.line == (pytest.approx(1 - lines / n) if n else None)
    assert found.word == (None if words is None else pytest.approx(1 - words / (n - lines)))


def test_a_list_of_words_says_what_is_english(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("Platform\nplatform\ncar\n", encoding="utf-8")
    words = read_words(tmp_path / "words")
    foreign = MIXED.replace("platform", "maison")
    assert pass_rates([MIXED, foreign], "ru", words=words).word == 0.5
    assert pass_rates([MIXED, foreign], "ru").word == 0.0
    assert pass_rates([RUSSIAN.replace("Поезд", "car")], "ru", words=words).word == 1.0
    (tmp_path / "words").write_text("Car\ncar\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="no word of more than three small letters"):
        read_words(tmp_path / "words")


def test_a_table_of_rates_is_their_means_written_out() -> None:
    """Rates of random mixtures, averaged by loops over languages and sources."""
    draw = random.Random(5)
    kinds = {"fra_Latn": (FRENCH, ENGLISH), "rus_Cyrl": (RUSSIAN, MIXED, ENGLISH)}
    cells = [("okapi", "fra_Latn"), ("okapi", "rus_Cyrl"), ("aya", "rus_Cyrl")]
    answers, expected = [], {}
    for source, language in cells:
        own = [draw.choice(kinds[language]) for _ in range(draw.randint(5, 9))] + [FRENCH, RUSSIAN]
        prompts = [Prompt("?", language, "eng_Latn", source, i) for i in range(len(own))]
        answers += [Answer(prompt, text) for prompt, text in zip(prompts, own, strict=True)]
        good = [t for t in own if t in kinds[language][: 1 if language[0] == "f" else 2]]
        line = len(good) / len(own)
        word = good.count(RUSSIAN) / len(good) if language == "rus_Cyrl" else None
        expected[source, language] = (line, word, len(own), len(good))
    table = confusion(answers)
    assert set(table["setting"]) == {"crosslingual"}

    def value(source: str, language: str, metric: str) -> float:
        place = (table["source"] == source) & (table["language"] == language)
        (found,) = table[place & (table["metric"] == metric)]["value"]
        return float(found)

    for (source, language), (line, word, n, good) in expected.items():
        assert value(source, language, "line") == pytest.approx(line)
        row = table[(table["source"] == source) & (table["language"] == language)].iloc[0]
        ends = stats.binomtest(good, n).proportion_ci(method="exact")
        assert (row["ci_low"], row["ci_high"], row["n"]) == pytest.approx((ends.low, ends.high, n))
        if word is None:
            assert value(source, language, "both") == pytest.approx(line)
        else:
            assert value(source, language, "word") == pytest.approx(word)
            assert value(source, language, "both") == pytest.approx(stats.hmean([line, word]))
    lines = {place: each[0] for place, each in expected.items()}
    russian = (lines["okapi", "rus_Cyrl"] + lines["aya", "rus_Cyrl"]) / 2
    assert value("okapi", "all", "line") == pytest.approx(
        (lines["okapi", "fra_Latn"] + lines["okapi", "rus_Cyrl"]) / 2
    )
    assert value("all", "rus_Cyrl", "line") == pytest.approx(russian)
    assert value("all", "all", "line") == pytest.approx((russian + lines["okapi", "fra_Latn"]) / 2)


def test_completions_of_another_engine_are_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({
        "completion": [FRENCH, ENGLISH, None], "model": ["a", "b", "b"], "id": [1, 2, 3],
        "source": ["okapi"] * 3, "language": ["fr", "fr", "de"], "prompt": ["Dis\nmoi", "?", "!"],
    })  # fmt: skip
    frame.to_csv(tmp_path / "out.csv", index=False)
    answers = read_answers(tmp_path / "out.csv")
    assert [(each.edit, each.text, each.prompt.language) for each in answers] == [
        ("a", FRENCH, "fra_Latn"), ("b", ENGLISH, "fra_Latn"), ("b", "", "deu_Latn")
    ]  # fmt: skip
    table = confusion(answers)
    lines = table[(table["metric"] == "line") & (table["language"] == "fra_Latn")]
    assert set(zip(lines["edit"], lines["value"], strict=True)) == {("a", 1.0), ("b", 0.0)}
    frame.drop(columns="language").to_csv(tmp_path / "out.csv", index=False)
    with pytest.raises(CorpusError, match="expected columns language and completion"):
        read_answers(tmp_path / "out.csv")


def test_what_cannot_be_rated_is_refused() -> None:
    with pytest.raises(MechsteerError, match="expected answers, got none"):
        confusion([])
    with pytest.raises(MechsteerError, match="identifier does not know shn_Mymr"):
        confusion([Answer(Prompt("?", "shn_Mymr", "eng_Latn"), "x")])
