"""How sentences are read: the one place where these options and their checks stand."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from typing_extensions import TypedDict

from mechsteer.errors import MechsteerError


class ReadingOptions(TypedDict, total=False):
    """The fields of a ``Reading`` as keywords of ``record``, ``score``, ``embed`` and others."""

    batch_tokens: int
    truncate: bool
    skip_first: bool
    prefix: str


@dataclass(frozen=True)
class Reading:
    """How sentences become batches of tokens, the same for scoring and for every state of a study.

    Attributes:
        batch_tokens: tokens of a batch, padding included; a longer sentence runs alone.
        truncate: cut sentences longer than the context, and count them, instead of refusing them.
        skip_first: the first real token of a sentence counts as not real (it is the attention sink
            of models without a beginning-of-sequence token).
        prefix: what the model reads before each sentence, such as ``"query: "`` for E5; its tokens
            are not real (see ``mechsteer.recording.tokens.tokenize``).

    Raises:
        MechsteerError: a value of another type, a batch without a token, or a prefix that is not
            Unicode.
    """

    batch_tokens: int = 4096
    truncate: bool = False
    skip_first: bool = False
    prefix: str = ""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if type(self.batch_tokens) is not int or self.batch_tokens < 1:
            raise MechsteerError(
                f"expected batch_tokens of at least 1, a whole number, got {self.batch_tokens!r}"
            )
        for name in ("truncate", "skip_first"):
            if type(getattr(self, name)) is not bool:
                raise MechsteerError(f"expected {name} True or False, got {getattr(self, name)!r}")
        if not isinstance(self.prefix, str) or not _is_unicode(self.prefix):
            raise MechsteerError(f"expected a prefix of Unicode text, got {self.prefix!r}")

    def changed(self, options: ReadingOptions) -> Reading:
        """This reading with some options of one's own.

        Raises:
            MechsteerError: an option there is not.

        >>> Reading().changed({"truncate": True}).truncate
        True
        """
        known = [field.name for field in fields(self)]
        if unknown := sorted(set(options) - set(known)):
            raise MechsteerError(f"unknown option {unknown[0]!r}, expected {', '.join(known)}")
        values: dict[str, Any] = {**options}
        return replace(self, **values)


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold it: a lone surrogate is no character."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


DEFAULT_READING = Reading()
