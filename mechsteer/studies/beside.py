"""Two studies beside each other: what differs between them, paired by sentence where it can be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.statistics import bootstrap_mean
from mechsteer.artifacts.places import impossible
from mechsteer.errors import ArtifactError
from mechsteer.studies.conditions import BASE, BASELINES, Condition
from mechsteer.studies.findings import Study
from mechsteer.studies.measurements import Measurements
from mechsteer.studies.results import rows_of

METRICS = {"retrieval_top1": "top1", "mexa": "mexa"}
COLUMNS = (
    *("place", "metric", "of", "kind", "edit", "language"),
    *("first", "second", "difference", "low", "high", "paired", "pairs"),
)


@dataclass(frozen=True)
class Side:
    """One of the studies compared.

    Attributes:
        name: what it is called beside others.
        study: what was found.
        states: folder of what was measured on test, sentence by sentence; None without one.
    """

    name: str
    study: Study
    states: Path | None = None

    @property
    def languages(self) -> list[str]:
        """Languages of the test sentences, in the order of the measurements."""
        rows = self.study.results
        each = (rows["kind"] == "base") & (rows["source"] != "*") & (rows["target"] == "*")
        return list(rows.loc[each & (rows["metric"] == "retrieval_top1"), "source"].unique())

    def test(self, languages: Sequence[str]) -> list[str]:
        """Fingerprints of the test sentences of some languages; none where a study kept none."""
        each = self.study.provenance["test"].get("languages", {})
        return [each[code] for code in languages] if each else []

    def by_sentence(
        self, condition: Condition, languages: Sequence[str]
    ) -> dict[str, Float[Tensor, "sentence layer"]] | None:
        """Share of the ordered pairs of some languages that each sentence hits, by metric.

        None where nothing was kept.

        Raises:
            ArtifactError: what was kept is damaged, or is not what the results were made from.
        """
        path = self.states and self.states / f"{condition.file_name}.safetensors"
        if path is None or impossible(path) or not path.is_file():
            return None
        kept = Measurements.read(path)
        own = self.languages
        at = torch.tensor([own.index(code) for code in languages])
        found = {}
        for metric, name in METRICS.items():
            hits = getattr(kept, name)
            told = self.means(condition, metric)
            if hits.shape[1] != len(own) or not _agree(_shares(hits), told):
                raise ArtifactError(
                    f"{path} is not what the results of {self.name} were made from: study again"
                )
            found[metric] = _shares(hits[:, at][:, :, at])
        return found

    def means(self, condition: Condition, metric: str) -> np.ndarray:
        """Means over all ordered pairs of its languages, layer by layer, from the results."""
        named = condition.columns()
        rows = rows_of(self.study.results, condition.arm, language=named["language"], metric=metric)
        rows = rows[(rows["source"] == "*") & (rows["target"] == "*")]
        rows = rows[(rows["k"] == named["k"]) & (rows["strength"] == named["strength"])]
        values: np.ndarray = rows.sort_values("layer")["value"].to_numpy(dtype=float)
        return values


def common_languages(first: Side, second: Side) -> list[str]:
    """Languages of both, in the order of the first."""
    return [code for code in first.languages if code in second.languages]


def are_paired(first: Side, second: Side) -> bool:
    """Whether both read the same test sentences, in the languages that both have."""
    wholes = [side.study.provenance["test"].get("fingerprint") for side in (first, second)]
    if wholes[0] and wholes[0] == wholes[1]:
        return True
    languages = common_languages(first, second)
    sides = [side.test(languages) for side in (first, second)]
    return bool(sides[0]) and sides[0] == sides[1]


def common_arms(first: Side, second: Side) -> list[tuple[Condition, Condition]]:
    """Conditions of both: the base, edits of one name and language, baselines."""
    named = {(c.arm, c.language): c for c in second.study.chosen}
    edits = [
        (c, named[c.arm, c.language]) for c in first.study.chosen if (c.arm, c.language) in named
    ]
    kinds = [set(side.study.results["kind"]) for side in (first, second)]
    fixed = [(known, known) for known in BASELINES if all(known.kind in there for there in kinds)]
    return [(BASE, BASE), *edits, *fixed]


def differences(first: Side, second: Side, *, resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Second minus first, at each place that both have, over the languages that both have.

    ``of`` is ``level`` for the model without an edit, ``change`` for what an edit or a baseline
    changed against it. Where the test sentences are the same, one draw of sentence ids serves both
    (``paired``); else the interval is Welch's, of independent samples. Conditions of which a side
    kept no sentences have no rows.

    Args:
        first: what is taken away.
        second: what it is taken from.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Columns place, metric, of, kind, edit, language, first, second, difference, low, high (95 %
        ends), paired, pairs (how many ordered pairs of languages the means are over).

    Raises:
        ArtifactError: what was kept of a run is damaged or belongs to other results.
    """
    languages, sides = common_languages(first, second), (first, second)
    pairs = len(languages) * (len(languages) - 1)
    paired = are_paired(first, second)
    bases = [side.by_sentence(BASE, languages) if pairs else None for side in sides]
    rows: list[tuple[object, ...]] = []
    for both in common_arms(first, second) if all(bases) else ():
        states = (
            bases
            if both[0] == BASE
            else [
                side.by_sentence(condition, languages)
                for side, condition in zip(sides, both, strict=True)
            ]
        )
        if not all(states):
            continue
        named = ("level" if both[0] == BASE else "change", *both[0].arm, both[0].language or "")
        for place, metric, x, y in _values(sides, states, bases):
            found = _between(x, y, paired=paired, draws=(resamples, seed))
            rows.append((place, metric, *named, *found, paired, pairs))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _values(
    sides: Sequence[Side], states: Sequence[Any], bases: Sequence[Any]
) -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """By place and metric: what each sentence gives on either side, less the base's of an edit."""
    first, second = (side.study.places for side in sides)
    for place in (name for name in first if name in second):
        for metric in METRICS:
            x, y = (
                state[metric][:, at] - (0 if state is base else base[metric][:, at])
                for state, base, at in zip(
                    states, bases, (first[place], second[place]), strict=True
                )
            )
            yield place, metric, x, y


def _between(
    x: Float[Tensor, " sentence"],
    y: Float[Tensor, " other"],
    *,
    paired: bool,
    draws: tuple[int, int],
) -> tuple[float, float, float, float, float]:
    """Both means, their difference and its interval."""
    means = (float(x.mean()), float(y.mean()))
    if paired:
        found = bootstrap_mean((y - x)[:, None], resamples=draws[0], seed=draws[1])
        return (*means, found.mean, found.mean_low, found.mean_high)
    difference = means[1] - means[0]
    half = _welch(x, y)
    return (*means, difference, difference - half, difference + half)


def _welch(x: Float[Tensor, " sentence"], y: Float[Tensor, " other"]) -> float:
    """Half of the 95 % interval of a difference of means of independent samples (Welch 1947)."""
    from scipy.stats import t

    parts = [float(z.var()) / len(z) for z in (x, y)]
    whole = sum(parts)
    if not whole:
        return 0.0
    freedom = whole**2 / sum(part**2 / (len(z) - 1) for part, z in zip(parts, (x, y), strict=True))
    return float(t.ppf(0.975, freedom)) * math.sqrt(whole)


def _shares(hits: Tensor) -> Float[Tensor, "sentence layer"]:
    """Of hits [layer, source, target, sentence]: share of ordered pairs that a sentence hits."""
    different = ~torch.eye(hits.shape[1], dtype=torch.bool)
    counts = (hits & different[:, :, None]).sum((1, 2)).double()
    return (counts / int(different.sum())).T


def _agree(found: Float[Tensor, "sentence layer"], told: np.ndarray) -> bool:
    """Whether the means over sentences are those of the results."""
    same = len(told) == found.shape[1]
    return same and np.allclose(found.mean(0).numpy(), told, rtol=0, atol=1e-9)
