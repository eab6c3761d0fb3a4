"""The options of scoring and of a study: each stands here, once, with its type, help and range.

``study`` takes them as keywords, the command line as flags; a run's manifest keeps them, and the
command that makes the run again is written from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from mechsteer.options import option
from mechsteer.options.memory import memory_option
from mechsteer.options.ranking import Ranking
from mechsteer.options.rules import YES_OR_NO, K, finite, one_of, read_k, whole, word
from mechsteer.recording.reading import Reading

CODES = word("language codes such as fra_Latn")


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(Reading):
    """How neurons are read and scored, beside how sentences are read."""

    site: str = option(
        "post", "Where neurons are read.", word("a site, post or linear, say"), flag="--site"
    )
    pooling: Literal["max", "mean", "last"] = option(
        "max", "Over a sentence's real tokens.", one_of("max", "mean", "last"),
        flag="--pooling",
    )  # fmt: skip
    also_pooling: Sequence[Literal["max", "mean", "last"]] = option(
        ("mean",),
        "Recorded in the same pass, so that edits can hold experts at values of it too; the "
        "--pooling itself records no other.",
        one_of("max", "mean", "last"),
        flag="--also-pooling", many="list", least=0,
    )  # fmt: skip
    negative_only: Sequence[str] = option(
        (), "Languages that count as negatives and get no score.", CODES,
        flag="--negative-only", many="list", least=0,
    )  # fmt: skip
    memory: int | str = memory_option()

    @property
    def reading(self) -> Reading:
        """How sentences are read."""
        return Reading(**{field.name: getattr(self, field.name) for field in fields(Reading)})


@dataclass(frozen=True, kw_only=True)
class StudyOptions(Ranking):
    """What a study tries, chooses and measures, beside what ranks experts."""

    targets: Sequence[str] = option(
        (), "Languages steered to; all that were scored by default.", CODES,
        flag="--targets", many="list", least=0,
    )  # fmt: skip
    ks: Sequence[int | float] = option(
        (100,), "Experts: a number, or a fraction of all neurons; several are each tried.", K,
        flag="--k", many="list", read=read_k, show=repr,
    )  # fmt: skip
    strengths: Sequence[int | float] = option(
        (1.0,), "λ of the edits; several are each tried.", finite("a finite strength"),
        flag="--strength", many="list", read=float, show=repr,
    )  # fmt: skip
    controls: bool = option(True, "Whether to run random neurons and baselines.", YES_OR_NO)
    seeds: Sequence[int] = option(
        (0, 1, 2, 3, 4), "How many seeds; random controls of each language and edit.", whole(0),
        flag="--seeds", many="count", least=0,
    )  # fmt: skip
    grow: bool = option(
        False, "Try doses beyond the edge of a grid until the best stands inside.", YES_OR_NO,
        flag="--grow",
    )  # fmt: skip
    tune: int | None = option(
        None, "Try doses on N sentences of dev only, evenly spread.", whole(2),
        flag="--tune", read=int,
    )  # fmt: skip
    choose_at: Literal["best_layer", "last_block", "final_norm"] = option(
        "best_layer", "The row at which the best dose is chosen on dev.",
        one_of("best_layer", "last_block", "final_norm"), flag="--choose-at",
    )  # fmt: skip
    only_chosen: bool = option(
        False, "Measure only the chosen doses on the test text.", YES_OR_NO, flag="--only-chosen"
    )
    allow_overlap: bool = option(
        False, "Study though most test sentences stand in dev.", YES_OR_NO, flag="--allow-overlap"
    )
    quality: bool = option(
        False, "Measure the space too: CKA, probes, hubs, isotropy.", YES_OR_NO, flag="--quality"
    )
