"""By which distances pairs of languages are explained, and how surely: one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mechsteer.options.records import Options, option
from mechsteer.options.rules import finite, whole, word

KINDS = ("genetic", "geographic", "syntactic", "phonological", "inventory", "lexical", "script")


@dataclass(frozen=True, kw_only=True)
class Permuting(Options):
    """How languages are permuted."""

    permutations: int = option(
        999, "Of languages, for every p-value.", whole(19), flag="--permutations", read=int
    )
    seed: int = option(0, "Seed; of the permutations.", whole(0), flag="--seed", read=int)


@dataclass(frozen=True, kw_only=True)
class Explaining(Permuting):
    """By which distances, and how surely."""

    kinds: Sequence[str] = option(
        KINDS,
        "Distances between languages; all by default.",
        word("a distance between languages"),
        flag="--kinds",
        many="list",
    )
    least_coverage: float = option(
        0.0, "Distances that stand on a smaller share of features count as unknown.",
        finite("a share from 0 to 1", lambda x: 0 <= x <= 1), flag="--least-coverage",
        read=float, show=repr,
    )  # fmt: skip
