"""What ranks the neurons of a language: the options of everything that selects experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mechsteer.options.records import Options, option
from mechsteer.options.rules import one_of

Criterion = Literal["ap", "auroc"]
Within = Literal["all", "script"]


@dataclass(frozen=True, kw_only=True)
class Ranking(Options):
    """By which score, and whom a language is told from.

    Raises:
        MechsteerError: another word for either.
    """

    by: Literal["ap", "auroc"] = option(
        "ap", "What ranks experts: average precision or AUROC.", one_of("ap", "auroc"),
        flag="--by",
    )  # fmt: skip
    within: Literal["all", "script"] = option(
        "all", "Tell a language from all others, or from those in its own script.",
        one_of("all", "script"), flag="--within",
    )  # fmt: skip


DEFAULT_RANKING = Ranking()
