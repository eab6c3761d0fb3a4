"""Which language a text is in, offline: the identifier py3langid under this project's names.

A language that it does not know is told by its script where that is the language's own, as far as
CLDR expects no other of it: Tibetan, Santali in Ol Chiki, Dhivehi, Cherokee. Others that the script
has (Dzongkha) are then not told from it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mechsteer.corpus.names.languages import alpha3, canonical, closest, likely, scripts_own
from mechsteer.corpus.names.scripts import letters_of
from mechsteer.errors import CorpusError, MechsteerError


def language_probability(texts: Sequence[str], language: str) -> Float[Tensor, " text"]:
    """Probability that each text is in a language, float64 ``[text]``.

    Among the 140 languages of py3langid, normalised by it for the length of the text. A text
    without a letter it knows (an empty one, say) is equally likely to be in any. It tells languages
    and not scripts: Chinese in simplified and traditional characters is one. Of a language that is
    told by its script it is the share of the letters that are in this.

    Raises:
        MechsteerError: the identifier does not know the language, or is not installed.

    Source: langid.py (Lui and Baldwin 2012), which Sundar et al. 2025 used, in its maintained fork.
    """
    name = canonical(language)
    if _label(name) is None:
        return torch.tensor(_shares(texts, name[4:]), dtype=torch.float64)
    label = _label(name)
    ranked = [dict(_identifier().rank(text)) for text in texts]
    return torch.tensor([ranks[label] for ranks in ranked], dtype=torch.float64)


def in_language(
    texts: Sequence[str], language: str, *, at_least: float = 0.0
) -> Bool[Tensor, " text"]:
    """Whether each text is identified as a language: the likeliest, with a probability above.

    Written alike and called by one name are one: Norwegian of no kind is Bokmål. A text without a
    letter that the identifier knows is in none. Of a language that is told by its script, more than
    half of the letters must be in this.

    Args:
        texts: of any length.
        language: see ``language_probability``.
        at_least: probability that the language must exceed.

    Raises:
        MechsteerError: the identifier does not know the language, or is not installed.

    >>> in_language(["Il fait beau ce matin.", "It is a fine morning."], "fra").tolist()
    [True, False]
    """
    name = likely(language)
    if (label := _label(name)) is None:
        shares = _shares(texts, name[4:])
        return torch.tensor([share > max(at_least, 0.5) for share in shares], dtype=torch.bool)
    own = _called(label)
    found = []
    for text in texts:
        (first, most), (_, second) = _identifier().rank(text)[:2]
        same = _called(first) == own
        found.append(same and most > max(at_least, second))
    return torch.tensor(found, dtype=torch.bool)


def require_identified(languages: Iterable[str]) -> None:
    """Check that the identifier knows languages, before something long is begun.

    Raises:
        MechsteerError: it does not know one, or is not installed.
    """
    for language in languages:
        _label(likely(language))


def _shares(texts: Sequence[str], script: str) -> list[float]:
    return [letters_of([text]).share(script) for text in texts]


def _label(name: str) -> str | None:
    """The identifier's label of a language; None for one that is told by its script."""
    labels = _labels()
    label = labels.get(name) or labels.get(name[:3])
    if label is None and name not in scripts_own():
        near = ", ".join(closest(name, labels)) or "a language it knows"
        raise MechsteerError(
            f"the language identifier does not know {name}, so no probability of it can be had, "
            f"and its script is not its own; closest: {near}"
        )
    return label


@functools.cache
def _called(label: str) -> str:
    """What a label's language is called, by which two labels may be one."""
    return _name(label) or alpha3(label) or label


@functools.cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MechsteerError(
            "language identification needs py3langid: pip install 'mechsteer[language]'"
        ) from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@functools.cache
def _labels() -> dict[str, str]:
    """The identifier's labels by canonical name, and by three letters where the script is open."""
    found: dict[str, str] = {}
    for label in _identifier().labels:
        if (letters := alpha3(label)) is not None:
            found[_name(label) or letters] = label
            found.setdefault(letters, label)
    return found


def _name(label: str) -> str | None:
    try:
        return canonical(label)
    except CorpusError:
        return None
