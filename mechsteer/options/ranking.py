"""What ranks the neurons of a language: the options of everything that selects experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mechsteer.options.records import Options, option
from mechsteer.options.rules import K, finite, one_of, read_k, whole

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


@dataclass(frozen=True, kw_only=True)
class Probing(Ranking):
    """What is asked of the experts of a language when copies stand for its sentences."""

    k: int | float = option(
        100, "Experts: a number, or a fraction of all neurons.", K,
        flag="--k", read=read_k, show=repr,
    )  # fmt: skip
    copies: Sequence[Literal["romanised", "shuffled"]] = option(
        ("romanised", "shuffled"), "Copies of the sentences: romanised, shuffled or both.",
        one_of("romanised", "shuffled"), flag="--copies", many="list",
    )  # fmt: skip
    least: float | None = option(
        None, "The score that an expert has to keep; that of the last expert by default.",
        finite("a score from 0 to 1", lambda x: 0 <= x <= 1), flag="--least", read=float, show=repr,
    )  # fmt: skip
    seed: int = option(
        0, "Seed; of the shuffling, the random neurons and the bootstrap.", whole(0),
        flag="--seed", read=int,
    )  # fmt: skip
    resamples: int = option(
        400, "Of the bootstrap over sentences.", whole(40), flag="--resamples", read=int
    )
