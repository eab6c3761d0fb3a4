"""How sentences are read: one record for scoring, embedding and every condition of a study."""

from __future__ import annotations

from dataclasses import dataclass

from mechsteer.options import Options, option
from mechsteer.rules import YES_OR_NO, whole


@dataclass(frozen=True, kw_only=True)
class Reading(Options):
    """How sentences are read, the same for scoring and for every condition of a study.

    Attributes:
        batch_tokens: tokens of a batch, padding included.
        truncate: cut sentences longer than the context instead of refusing them.
        skip_first: leave out the first real token, the attention sink of models without BOS.
    """

    batch_tokens: int = option(
        4096, "Tokens in a batch, padding included.", whole(1), flag="--batch-tokens", read=int
    )
    truncate: bool = option(
        False, "Cut sentences longer than the context.", YES_OR_NO, flag="--truncate"
    )
    skip_first: bool = option(
        False, "Drop the first token (attention sink).", YES_OR_NO, flag="--skip-first"
    )


DEFAULT_READING = Reading()
