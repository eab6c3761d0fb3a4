"""What an edit costs the model itself, all in one record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mechsteer.corpus.names.languages import canonical
from mechsteer.costs.identify import language_probability
from mechsteer.costs.ngrams import distinct, repetition
from mechsteer.costs.prediction import Comparison, compare
from mechsteer.costs.sampling import sample
from mechsteer.display import Displayed, number
from mechsteer.errors import MechsteerError
from mechsteer.interventions import Edit
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.progress import progress as watched
from mechsteer.steering import Positions, steer

Interval = tuple[float, float, float]
"""A mean over seeds and its 95 % interval."""


@dataclass(frozen=True)
class Written:
    """Generations of one state of a model: means over seeds with 95 % t-intervals.

    ``language`` is the probability of the target language, ``repetition`` the share of repeated
    4-grams within a generation, ``distinct`` that of distinct 2-grams in those of a seed.
    """

    language: Interval
    repetition: Interval
    distinct: Interval


@dataclass(frozen=True, repr=False)
class Cost(Displayed):
    """A model before and after edits, on one text and in what it writes."""

    edit: str
    language: str
    predicted: Comparison
    before: Written
    after: Written
    seeds: int

    def _line(self) -> str:
        told = [
            f"{what} {number(before)} → {number(after)}"
            for what, before, after in (
                ("bits per byte", *self._bits()),
                ("language", self.before.language[0], self.after.language[0]),
                ("repetition", self.before.repetition[0], self.after.repetition[0]),
            )
        ]
        return f"{self.edit}, {self.language}: {', '.join(told)}"

    def _bits(self) -> tuple[float, float]:
        return self.predicted.before.bits_per_byte, self.predicted.after.bits_per_byte

    def _shown(self) -> pd.DataFrame:
        return self.table()

    def table(self) -> pd.DataFrame:
        """One row an observation: edit, language, metric, value, ci_low, ci_high, n.

        ``n`` counts tokens of the text, or seeds; what has no interval has NaN there.
        """
        n_tokens, nan = int(self.predicted.before.n_tokens.sum()), float("nan")
        rows: list[tuple[str, str, Interval, int]] = []
        states = (
            ("none", self.predicted.before, self.before),
            (self.edit, self.predicted.after, self.after),
        )
        for edit, text, written in states:
            rows.append((edit, "bits_per_byte", (text.bits_per_byte, nan, nan), n_tokens))
            rows.append((edit, "perplexity", (text.perplexity, nan, nan), n_tokens))
            for metric in ("language", "repetition", "distinct"):
                rows.append((edit, metric, getattr(written, metric), self.seeds))
        rows.append((self.edit, "kl", (self.predicted.kl_per_token, nan, nan), n_tokens))
        columns = ["edit", "language", "metric", "value", "ci_low", "ci_high", "n"]
        return pd.DataFrame(
            [(edit, self.language, metric, *values, n) for edit, metric, values, n in rows],
            columns=columns,
        )


def cost(
    model: ModelLike,
    *edits: Edit,
    text: str | Sequence[str],
    language: str,
    positions: Positions = "all",
    n: int = 32,
    seeds: int = 4,
    max_new_tokens: int = 40,
    temperature: float = 1.0,
    top_p: float = 0.9,
    window: int | None = None,
    stride: int | None = None,
    tokenizer: Any = None,
    prefix: str = "",
    progress: bool = True,
) -> Cost:
    """Measure what edits cost a model: prediction of a text, and what it writes of its own accord.

    Text is written from the very start, with no prompt. The same seeds serve both states.
    Sundar et al. 2025 take ``n=256, seeds=8``.

    Args:
        model: a causal one in eval mode, whatever ``mechsteer.wrap`` takes.
        edits: what ``ms.steer`` takes.
        text: what is predicted, see ``perplexity``.
        language: the target; its probability is measured, and edits that depend on a language get
            it.
        positions: where the edits act.
        n: generations a seed.
        seeds: how many, two or more: intervals are over seeds.
        max_new_tokens: of each generation.
        temperature: see ``sample``.
        top_p: see ``sample``.
        window: see ``perplexity``.
        stride: see ``perplexity``.
        tokenizer: the model's plain one by default.
        prefix: what the model reads before each text that it predicts.
        progress: show bars where a terminal watches.

    Raises:
        MechsteerError: fewer than two seeds, a language that the identifier does not know, and what
            ``perplexity``, ``sample`` and ``ms.steer`` refuse.
    """
    model = as_model(model)
    if type(seeds) is not int or seeds < 2:
        raise MechsteerError(f"expected two seeds or more for an interval, got {seeds}")
    name = canonical(language)
    language_probability([], name)  # refuses an unknown language before the long part
    where: dict[str, Any] = {"positions": positions, "languages": name, "tokenizer": tokenizer}
    compared = compare(
        model,
        *edits,
        texts=text,
        window=window,
        stride=stride,
        prefix=prefix,
        progress=progress,
        **where,
    )
    measured: list[list[tuple[float, float, float]]] = [[], []]
    runs = [(state, seed) for seed in range(seeds) for state in (0, 1)]
    for state, seed in watched(runs, "writing", "run") if progress else runs:
        with steer(model, *edits, **where) if state else nullcontext():
            written = sample(
                model,
                n,
                seed=seed,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_p=top_p,
                tokenizer=tokenizer,
            )
        known = language_probability(written.texts, name).mean().item()
        measured[state].append((known, repetition(written.tokens), distinct(written.tokens)))
    before, after = (Written(*map(_interval, zip(*found, strict=True))) for found in measured)
    return Cost(" + ".join(edit.name for edit in edits), name, compared, before, after, seeds)


def _interval(values: Sequence[float]) -> Interval:
    """Mean of shares and its 95 % interval by Student's t, within [0, 1]."""
    from scipy import stats

    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return mean, max(mean - half, 0.0), min(mean + half, 1.0)
