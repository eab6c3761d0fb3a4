"""What is asked of transfer: which layers, how the probe learns, beside which controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mechsteer.options import option
from mechsteer.options.ranking import Ranking
from mechsteer.options.rules import YES_OR_NO, K, finite, read_k, whole, word

_CODE = word("the code of a language")


@dataclass(frozen=True, kw_only=True)
class TransferOptions(Ranking):
    """How a probe is trained and tested, and on which states of the model.

    Raises:
        MechsteerError: a value out of range.
    """

    layers: Sequence[int] = option(
        (), "Rows of the residual stream, 0 the embedding; all by default.", whole(0),
        flag="--layers", many="list", least=0, read=int,
    )  # fmt: skip
    held_out: float = option(
        0.3, "Share of the sentences tested on, where no test data are given.",
        finite("a share above 0 and below 1", lambda x: 0 < x < 1), flag="--held-out", read=float,
        show=repr,
    )  # fmt: skip
    inverse_penalty: float = option(
        1.0, "C of the logistic regression: the inverse of its L2 penalty.",
        finite("a number above 0", lambda x: x > 0), flag="--c", read=float, show=repr,
    )  # fmt: skip
    choose_penalty: bool = option(
        False, "Choose C from 0.001 to 10 by 5-fold cross-validation in the source language.",
        YES_OR_NO, flag="--choose-c",
    )  # fmt: skip
    targets: Sequence[str] = option(
        (), "Languages steered to; those that a study chose by default.", _CODE,
        flag="--targets", many="list", least=0,
    )  # fmt: skip
    k: int | float = option(
        100, "Experts: a number, or a fraction of all neurons; with --targets.", K,
        flag="--k", read=read_k, show=repr,
    )  # fmt: skip
    strength: int | float = option(
        1.0, "λ of the edits; with --targets.", finite("a finite strength"), flag="--strength",
        read=float, show=repr,
    )  # fmt: skip
    seeds: Sequence[int] = option(
        (0,), "How many seeds; sets of random neurons beside each edit.", whole(0),
        flag="--seeds", many="count", least=0,
    )  # fmt: skip
    centring: bool = option(True, "Also test embeddings without their languages' means.", YES_OR_NO)
    resamples: int = option(
        400, "Of the bootstrap over sentences.", whole(40), flag="--resamples", read=int
    )
    seed: int = option(
        0, "Seed; of the division into training and test, the folds and the bootstrap.", whole(0),
        flag="--seed", read=int,
    )  # fmt: skip
