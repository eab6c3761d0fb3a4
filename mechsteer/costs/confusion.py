"""Language confusion: in which share of its answers a model keeps to the language asked for.

Of the lines of an answer, without punctuation, those of five words or more count; an answer without
such a line does not. The *line pass rate* is the share of answers all of whose lines are identified
as the language. The *word pass rate*, for languages of other scripts than Latin, is the share of
those answers without an English word. *Both* is their harmonic mean.

Source: Marchisio et al. 2024, "Understanding and Mitigating Language Confusion in LLMs"
(arXiv 2406.20052), section 4, and the benchmark's own evaluation. It identifies lines with
fastText and cuts Chinese and Japanese into words with jieba and fugashi; here lines are identified
offline by py3langid (above 0.3, as there), and where words are not parted by spaces two letters
count as a word.
"""

from __future__ import annotations

import string
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import regex
import torch

from mechsteer.analysis.proportions import proportion_interval
from mechsteer.corpus.copies import SPACELESS
from mechsteer.corpus.formats.text import read_lines
from mechsteer.corpus.names.languages import likely, script_of
from mechsteer.costs.answers import Answer
from mechsteer.costs.identify import in_language, require_identified
from mechsteer.errors import CorpusError, MechsteerError

_LEAST_WORDS, _LEAST_PROBABILITY = 5, 0.3
_GONE = str.maketrans({**dict.fromkeys(string.punctuation, ""), "\u2014": " ", "\u060c": ""})
_SPACELESS = regex.compile(SPACELESS)
_LETTER = regex.compile(r"\w")
_LATIN = regex.compile(r"(?<!\p{Latin})[a-z]{4,}(?!\p{Latin})")


@dataclass(frozen=True)
class PassRates:
    """Counts of answers.

    ``n`` are all that have a line of five words, ``line_errors`` those with a line in another
    language, ``word_errors`` those without such a line but with an English word (None where the
    script is Latin).
    """

    n: int
    line_errors: int
    word_errors: int | None

    @property
    def line(self) -> float | None:
        """Line pass rate; None without an answer to count."""
        return 1 - self.line_errors / self.n if self.n else None

    @property
    def word(self) -> float | None:
        """Word pass rate; None where the script is Latin, or no answer passes by lines."""
        if self.word_errors is None or self.n == self.line_errors:
            return None
        return 1 - self.word_errors / (self.n - self.line_errors)

    @property
    def both(self) -> float | None:
        """Harmonic mean of the two; the line pass rate where the script is Latin.

        >>> PassRates(4, 2, 1).both
        0.5
        """
        if self.word_errors is None or not self.line:
            return self.line
        return 2 * self.line * (self.word or 0.0) / (self.line + (self.word or 0.0))


def pass_rates(
    texts: Sequence[str], language: str, *, words: Collection[str] | None = None
) -> PassRates:
    """The rates of texts that should be in one language.

    Args:
        texts: what a model wrote.
        language: code that ``ms.costs.language_probability`` knows.
        words: English words (``read_words``); those of more than three small letters count. Without
            them any word of more than three small unaccented Latin letters is taken for English,
            which no list can miss.

    Raises:
        MechsteerError: the identifier does not know the language.

    >>> pass_rates(["Il fait très beau ce matin à Paris.", "The sun is out today."], "fra")
    PassRates(n=2, line_errors=1, word_errors=None)
    """
    require_identified([language])
    latin = script_of(likely(language)) == "Latn"
    known = None if words is None else {word for word in words if word.islower() and len(word) > 3}
    n = line_errors = word_errors = 0
    for text in texts:
        if not (lines := counted_lines(text)):
            continue
        n += 1
        if not bool(in_language(lines, language, at_least=_LEAST_PROBABILITY).all()):
            line_errors += 1
        elif not latin and any(_is_english(line, known) for line in lines):
            word_errors += 1
    return PassRates(n, line_errors, None if latin else word_errors)


def confusion(answers: Sequence[Answer], words: Collection[str] | None = None) -> pd.DataFrame:
    """The rates of answers, one row an observation.

    Columns are ``edit``, ``setting``, ``source``, ``language``, ``metric`` (``line``, ``word``,
    ``both``), ``value``, ``ci_low``, ``ci_high`` and ``n``. Rows with the language ``all`` are
    means over the languages of a source, with the source ``all`` over the sources of a language;
    with both, the mean over languages of the latter. Means have no interval (NaN), single rates
    the exact one of a proportion. A rate that has no answer to count is left out.

    Raises:
        MechsteerError: no answer, or a language that the identifier does not know.
    """
    if not answers:
        raise MechsteerError("expected answers, got none")
    require_identified({each.prompt.language for each in answers})
    texts: defaultdict[tuple[str, str], defaultdict[tuple[str, str], list[str]]]
    texts = defaultdict(lambda: defaultdict(list))
    for each in answers:
        place = (each.prompt.source, each.prompt.language)
        texts[each.edit, each.prompt.setting][place].append(each.text)
    rows = []
    for (edit, setting), cells in texts.items():
        rates = {place: pass_rates(own, place[1], words=words) for place, own in cells.items()}
        rows += [(edit, setting, *row) for row in _rows(rates)]
    columns = ["edit", "setting", "source", "language", "metric", "value", "ci_low", "ci_high", "n"]
    return pd.DataFrame(rows, columns=columns)


def read_words(path: str | Path) -> frozenset[str]:
    """A list of English words, one a line, as ``/usr/share/dict/words``.

    Raises:
        CorpusError: it cannot be read, or none of its words has more than three small letters.
    """
    words = frozenset(line.strip() for line in read_lines(Path(path)))
    if not any(word.islower() and len(word) > 3 for word in words):
        raise CorpusError(f"{path} holds no word of more than three small letters: one a line")
    return words


def counted_lines(text: str) -> list[str]:
    r"""The lines of a text that count, without punctuation; what a model asks itself is cut off.

    >>> counted_lines("One, two, three: four-five six!\nToo short.")
    ['One two three fourfive six']
    """
    clean = text.partition("\nQ:")[0].strip().translate(_GONE)
    return [line for line in clean.split("\n") if _n_words(line) >= _LEAST_WORDS]


def _n_words(line: str) -> float:
    """Words between spaces, and half the letters of scripts that write none."""
    others = [token for token in _SPACELESS.sub(" ", line).split() if _LETTER.search(token)]
    return len(others) + len(_SPACELESS.findall(line)) / 2


def _is_english(line: str, words: Collection[str] | None) -> bool:
    """Whether a line in another script holds an English word."""
    tokens = _SPACELESS.sub(" ", line).split()
    if words is None:
        return any(_LATIN.fullmatch(token) for token in tokens)
    return any(token in words for token in tokens)


def _rows(rates: dict[tuple[str, str], PassRates]) -> list[tuple[object, ...]]:
    nan = float("nan")
    rows: list[tuple[object, ...]] = []
    for metric in ("line", "word", "both"):
        values = {place: getattr(each, metric) for place, each in rates.items()}
        known = {place: value for place, value in values.items() if value is not None}
        for (source, language), value in known.items():
            ends, n = _interval(rates[source, language], metric)
            rows.append((source, language, metric, value, *ends, n))
        counts = {place: rates[place].n for place in known}
        by_source, by_language = _means(known, 0), _means(known, 1)
        for source, value in by_source.items():
            n = sum(counts[place] for place in known if place[0] == source)
            rows.append((source, "all", metric, value, nan, nan, n))
        for language, value in by_language.items():
            n = sum(counts[place] for place in known if place[1] == language)
            rows.append(("all", language, metric, value, nan, nan, n))
        if by_language:
            mean = sum(by_language.values()) / len(by_language)
            rows.append(("all", "all", metric, mean, nan, nan, sum(counts.values())))
    return rows


def _means(values: dict[tuple[str, str], float], axis: int) -> dict[str, float]:
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for place, value in values.items():
        groups[place[axis]].append(value)
    return {name: sum(own) / len(own) for name, own in groups.items()}


def _interval(rates: PassRates, metric: str) -> tuple[tuple[float, float], int]:
    """The exact interval of a proportion, and of how many answers it is one."""
    passed = rates.n - rates.line_errors
    if metric == "both":
        return (float("nan"), float("nan")), rates.n
    hits, n = (passed, rates.n) if metric == "line" else (passed - (rates.word_errors or 0), passed)
    low, high = proportion_interval(torch.tensor(hits), n)
    return (float(low), float(high)), n
