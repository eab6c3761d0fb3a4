"""How sentences are read: the one place where these options and their checks stand."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from typing_extensions import TypedDict

from mechsteer.errors import MechsteerError
from mechsteer.options import Options, option
from mechsteer.options.rules import UNICODE, YES_OR_NO, Rule, whole

USUAL_TOKENS = 1024
"""Tokens of a batch by default: more are no faster on a processor, and pad more."""
_WHOLE = whole(1)
_TOKENS = Rule(f"'auto' or {_WHOLE.expected}", lambda x: x == "auto" or _WHOLE.holds(x))


def _read_tokens(text: str) -> int | str:
    return text if text == "auto" else int(text)


class ReadingOptions(TypedDict, total=False):
    """The fields of a ``Reading`` as keywords of ``record``, ``score``, ``embed`` and others."""

    batch_tokens: int | Literal["auto"]
    truncate: bool
    skip_first: bool
    prefix: str


@dataclass(frozen=True)
class Reading(Options):
    """How sentences become batches of tokens, the same for scoring and for all of a study.

    Attributes:
        batch_tokens: tokens of a batch, padding included; a longer sentence runs alone. "auto"
            finds a number that fits the memory, see ``mechsteer.recording.batch_size``.
        truncate: cut sentences longer than the context, and count them, instead of refusing them.
        skip_first: the first real token of a sentence counts as not real (it is the attention sink
            of models without a beginning-of-sequence token).
        prefix: what the model reads before each sentence, such as ``"query: "`` for E5; its tokens
            are not real (see ``mechsteer.recording.tokens.tokenize``).

    Raises:
        MechsteerError: a value of another type, a batch without a token, or a prefix that is not
            Unicode.
    """

    batch_tokens: int | Literal["auto"] = option(
        USUAL_TOKENS, "Tokens in a batch, padding included; 'auto' fits them to the memory.",
        _TOKENS, flag="--batch-tokens", read=_read_tokens,
    )  # fmt: skip
    truncate: bool = option(
        False, "Cut sentences longer than the context.", YES_OR_NO, flag="--truncate"
    )
    skip_first: bool = option(
        False, "Drop the first token (attention sink).", YES_OR_NO, flag="--skip-first"
    )
    prefix: str = option("", "Read before each text, 'query: ' say.", UNICODE, flag="--prefix")

    @property
    def number(self) -> int:
        """``batch_tokens``; 1,024 where that is "auto" and no memory was asked."""
        return USUAL_TOKENS if self.batch_tokens == "auto" else self.batch_tokens

    def settled(self, number: int) -> Reading:
        """This reading, with the number that was found for "auto" in its place.

        >>> Reading(batch_tokens="auto").settled(512) == Reading(512).settled(64)
        True
        """
        return replace(self, batch_tokens=number) if self.batch_tokens == "auto" else self

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


DEFAULT_READING = Reading()
