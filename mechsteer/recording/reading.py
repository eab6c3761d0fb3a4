"""How sentences are read: the one place where these options and their checks stand."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from typing_extensions import TypedDict

from mechsteer.errors import MechsteerError
from mechsteer.options import Options, option
from mechsteer.options.rules import UNICODE, YES_OR_NO, whole


class ReadingOptions(TypedDict, total=False):
    """The fields of a ``Reading`` as keywords of ``record``, ``score``, ``embed`` and others."""

    batch_tokens: int
    truncate: bool
    skip_first: bool
    prefix: str


@dataclass(frozen=True)
class Reading(Options):
    """How sentences become batches of tokens, the same for scoring and for all of a study.

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

    batch_tokens: int = option(
        1024, "Tokens in a batch, padding included.", whole(1), flag="--batch-tokens", read=int
    )
    truncate: bool = option(
        False, "Cut sentences longer than the context.", YES_OR_NO, flag="--truncate"
    )
    skip_first: bool = option(
        False, "Drop the first token (attention sink).", YES_OR_NO, flag="--skip-first"
    )
    prefix: str = option(
        "", "Read before each sentence, for example 'query: '.", UNICODE, flag="--prefix"
    )

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
