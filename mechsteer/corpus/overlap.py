"""Sentences of a test corpus that stand in the corpus on which everything was chosen.

Experts, means, layers and doses are chosen on dev. A test sentence that stands in dev too has been
seen by all of them, and flatters what was fitted most.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from mechsteer.errors import CorpusError, CorpusWarning


@runtime_checkable
class Sentences(Protocol):
    """A corpus, as far as its sentences go."""

    @property
    def sentences(self) -> Mapping[str, Sequence[str]]:
        """Sentences by canonical language."""
        ...


def overlap(dev: Sentences, test: Sentences) -> dict[str, int]:
    """How many sentences of ``test`` stand in ``dev``, by language of both.

    Compared by what is read: white space and how an accent is encoded do not tell sentences apart.

    >>> from mechsteer.corpus import ParallelCorpus
    >>> dev, test = ParallelCorpus({"fr": ["Oui.", "Non."]}), ParallelCorpus({"fr": [" Oui."]})
    >>> overlap(dev, test)
    {'fra_Latn': 1}
    """
    return {
        language: _shared(dev.sentences[language], texts)
        for language, texts in test.sentences.items()
        if language in dev.sentences
    }


def require_held_out(dev: Sentences, test: Sentences, *, allow: bool = False) -> None:
    """Check that not most of ``test`` stands in ``dev``, unless that is allowed.

    Raises:
        CorpusError: More than half of the sentences of a language stand in ``dev``.
    """
    counts, share = _worst(dev, test)
    if share > 0.5 and not allow:
        raise CorpusError(
            f"dev and test are the same sentences for the most part ({counts}): experts would be "
            "judged by the text they were chosen on; take other rows (--rows 0:500 of one corpus "
            "and 500:1000), or allow_overlap=True (--allow-overlap)"
        )


def warn_of_overlap(dev: Sentences, test: Sentences) -> None:
    """Say how many sentences of ``test`` stand in ``dev``, if any do.

    Warns:
        CorpusWarning: Some do, with how many of how many in which language.
    """
    counts, share = _worst(dev, test)
    if share:
        warnings.warn(
            f"sentences of test stand in dev too: {counts}; they flatter what was fitted on dev",
            CorpusWarning,
            stacklevel=2,
        )


def _worst(dev: Sentences, test: Sentences) -> tuple[str, float]:
    """The counts in words, and the largest share of a language's test sentences."""
    found = {language: count for language, count in overlap(dev, test).items() if count}
    shares = {language: count / len(test.sentences[language]) for language, count in found.items()}
    ordered = sorted(shares, key=lambda language: -shares[language])
    shown = [f"{found[name]} of {len(test.sentences[name])} in {name}" for name in ordered[:3]]
    more = f" and {len(ordered) - 3} more languages" if len(ordered) > 3 else ""
    return ", ".join(shown) + more, max(shares.values(), default=0.0)


def _shared(dev: Sequence[str], test: Sequence[str]) -> int:
    seen = {_plain(sentence) for sentence in dev}
    return sum(_plain(sentence) in seen for sentence in test)


def _plain(sentence: str) -> str:
    return " ".join(unicodedata.normalize("NFC", sentence).split())
