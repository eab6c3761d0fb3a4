"""How languages resemble each other in a corpus of one's own, and what a tokenizer makes of them.

Nothing here knows a model: a tokenizer is any function from a sentence to its tokens, and the
likelihoods behind bits per byte are numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from mechsteer.corpus import LabelledCorpus
from mechsteer.errors import CorpusError, shown
from mechsteer.typology.pairs import PairMeasures

Tokenize = Callable[[str], Sequence[Hashable]]
NGRAM = 3


def overlaps(
    sentences: LabelledCorpus, tokenize: Tokenize | None = None, *, n: int = NGRAM
) -> PairMeasures:
    """What the texts of two languages share: character n-grams, and subwords with a tokenizer.

    ``characters`` and ``subwords`` are similarities from 0 to 1, the multiset Jaccard coefficient
    of relative frequencies: ``sum min(p, q) / sum max(p, q)``. A text without any n-gram shares
    nothing that is known: NaN, with coverage 0.

    Raises:
        CorpusError: Fewer than two languages, or ``n`` below 1.
    """
    if n < 1:
        raise CorpusError(f"expected n-grams of 1 or more characters, got n={shown(n)}")
    if len(sentences.languages) < 2:
        raise CorpusError(f"expected texts of two or more languages, got {sentences.languages[0]}")
    texts = sentences.sentences.values()
    values = {"characters": shared([_ngrams(lines, n) for lines in texts])}
    if tokenize is not None:
        values["subwords"] = shared([Counter(_tokens(lines, tokenize)) for lines in texts])
    coverage = {name: np.isfinite(matrix).astype(float) for name, matrix in values.items()}
    return PairMeasures(sentences.languages, values, coverage)


def shared(
    counts: Sequence[Mapping[Hashable, int]],
) -> Float[np.ndarray, "language language"]:
    """``sum min(p, q) / sum max(p, q)`` of relative frequencies; NaN where nothing was counted.

    >>> shared([{"a": 1, "b": 1}, {"b": 2, "c": 2}]).round(3).tolist()
    [[1.0, 0.333], [0.333, 1.0]]
    """
    totals = [sum(one.values()) for one in counts]
    values = np.full((len(counts), len(counts)), np.nan)
    for a, first in enumerate(counts):
        for b in range(a, len(counts)):
            if totals[a] and totals[b]:
                second = counts[b]
                both = first.keys() & second.keys()
                least = sum(min(first[x] / totals[a], second[x] / totals[b]) for x in both)
                values[a, b] = values[b, a] = least / (2 - least)  # max = p + q - min
    return values


def fertility(sentences: LabelledCorpus, tokenize: Tokenize) -> pd.DataFrame:
    """What a tokenizer makes of each language, one row each.

    ``tokens_per_sentence`` is comparable over languages where their sentences are translations,
    ``tokens_per_character`` everywhere.
    """
    rows = []
    for language, lines in sentences.sentences.items():
        tokens = sum(len(tokenize(line)) for line in lines)
        rows.append((language, len(lines), tokens / len(lines), tokens / sum(map(len, lines))))
    columns = ["language", "sentences", "tokens_per_sentence", "tokens_per_character"]
    return pd.DataFrame(rows, columns=columns)


def bits_per_byte(
    sentences: LabelledCorpus, nats: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """Bits that a model needs for a byte (UTF-8) of each language, from its likelihoods.

    ``nats`` has, by language, the negative log likelihood of each whole sentence:
    ``sum nats / (ln 2 * sum bytes)``. Languages without numbers have no value.

    Raises:
        CorpusError: A language has not one finite number a sentence.
    """
    found = {}
    for language, lines in sentences.sentences.items():
        if language not in nats:
            continue
        given = np.asarray(nats[language], dtype=float)
        if given.shape != (len(lines),) or not np.isfinite(given).all():
            raise CorpusError(
                f"{language}: expected a finite number for each of {len(lines)} sentences, "
                f"got {shown(nats[language])}"
            )
        size = sum(len(line.encode("utf-8")) for line in lines)
        found[language] = float(given.sum() / np.log(2) / size)
    return found


def _ngrams(lines: Iterable[str], n: int) -> Counter[Hashable]:
    return Counter(line[at : at + n] for line in lines for at in range(len(line) - n + 1))


def _tokens(lines: Iterable[str], tokenize: Tokenize) -> Iterable[Hashable]:
    return (token for line in lines for token in tokenize(line))
