"""What mechsteer raises when it refuses an input.

Every message says what was expected, what was got and what to type instead. All are ``ValueError``
so that callers who know nothing of mechsteer still catch them. A message is one line, and what
could move a terminal's cursor in it (in the name of a file, say) is written as an escape.
"""

from __future__ import annotations

import unicodedata

_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, lone surrogates, line separators
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    r"""Text with control characters, lone surrogates and bidirectional controls escaped.

    >>> printable("a\x1b[2J.txt")
    'a\\x1b[2J.txt'
    """
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if unicodedata.category(character) in _UNPRINTABLE or character in _REORDERING:
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character


def shown(value: object, limit: int = 60) -> str:
    """A value for a message: its representation, cut after ``limit`` characters.

    >>> shown("x" * 9, 5)
    "'xxxx…"
    """
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= limit else f"{text[:limit]}…"


def _shortened(message: str, head: int = 1500, tail: int = 400) -> str:
    """A message without its middle, if that is long: what to do stands at the end."""
    return message if len(message) <= head + tail else f"{message[:head]} … {message[-tail:]}"


def presentable(message: object) -> str:
    """A message of any length as it may be printed."""
    return printable(_shortened(str(message)))


class MechsteerError(ValueError):
    """Base of every refusal."""

    def __init__(self, message: object = "") -> None:
        super().__init__(presentable(message))


class CorpusError(MechsteerError):
    """Text that cannot be used: wrong encoding, ragged files, unknown language, blank sentence."""


class CorpusWarning(UserWarning):
    """Text that can be used and looks odd: blank, repeated or untranslated sentences, say."""

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))


class ModelError(MechsteerError):
    """A model that cannot be loaded, or that is in a state whose numbers would mislead."""


class SiteError(MechsteerError):
    """A hook point that is missing or does not hold neurons."""


class ArtifactError(MechsteerError):
    """A file that is damaged, of an unknown version, or made with another model or corpus."""
