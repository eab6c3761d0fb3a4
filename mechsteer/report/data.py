"""What a report is made from: plain values and tables, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from mechsteer.errors import ArtifactError
from mechsteer.results import COLUMNS, edits_of

EXPERT_COLUMNS = ("language", "rank", "layer", "neuron", "ap", "auroc", "effect_size", "value")
CONTROLS = ("random", "centring")


@dataclass(frozen=True)
class ReportData:
    """Everything the page says; it computes its words and pictures from these alone.

    Attributes:
        manifest: the run's manifest, shown whole as provenance. ``model`` and ``corpus`` name what
            was run: each text, or a mapping with ``name`` or ``id``.
        results: the tidy results table.
        experts: columns language, rank, layer, neuron, ap, auroc, effect_size, value, and
            optionally prevalence: the chance level of AP.
        counts: columns language, layer (of the MLP, from 0), count, and optionally random.
        chosen_layer: row of the residual stream chosen on dev for each steered language.
        n_layers: layers of the model; row n_layers + 1 of the results is the final norm.
        n_sentences: parallel sentences of the test corpus, which set the chance levels.
        command: what to type to get this run again.
        k: experts clamped in the figures; the largest k of the results by default.
        strength: likewise.
        confidence: level of the confidence intervals in the results.
    """

    manifest: Mapping[str, Any]
    results: pd.DataFrame
    experts: pd.DataFrame
    counts: pd.DataFrame
    chosen_layer: Mapping[str, int]
    n_layers: int
    n_sentences: int
    command: str
    k: int | None = None
    strength: float | None = None
    confidence: float = 0.95

    @property
    def steered(self) -> list[str]:
        """Steered languages in the order of the results."""
        return [code for code in self.results["language"].unique() if code]

    @property
    def languages(self) -> list[str]:
        """Languages whose sentences were embedded or scored, in the order of the counts."""
        rows = self.results.loc[self.results["source"] != "*", "source"]
        return list(dict.fromkeys([*self.counts["language"], *rows]))

    @property
    def edits(self) -> list[str]:
        """Edits of the results that are neither the base nor a control."""
        return [edit for edit in edits_of(self.results) if edit not in ("none", *CONTROLS)]

    def places(self, language: str) -> dict[str, int]:
        """Rows of the residual stream that the effects are read at: chosen on dev, and last."""
        chosen = self.chosen_layer.get(language)
        return ({} if chosen is None else {"chosen": chosen}) | {"last": self.n_layers}

    @property
    def shown(self) -> pd.DataFrame:
        """Results at the one k and strength that figures draw, with everything that has no k."""
        rows = self.results
        return rows[
            (rows["k"] == 0) | ((rows["k"] == self.k) & (rows["strength"] == self.strength))
        ]


def checked(data: ReportData) -> ReportData:
    """The data with k and strength settled and long names cut, or a refusal.

    Raises:
        ArtifactError: when a table lacks a column or there is nothing to report.
    """
    for name, table, needed in (
        ("results", data.results, COLUMNS),
        ("experts", data.experts, EXPERT_COLUMNS),
        ("counts", data.counts, ("language", "layer", "count")),
    ):
        if missing := [column for column in needed if column not in table]:
            raise ArtifactError(
                f"the table of {name} has no column {', '.join(missing)}: "
                f"expected {', '.join(needed)}; write it again with `mechsteer study`"
            )
    if data.results.empty:
        raise ArtifactError("the results are empty: run `mechsteer study` first")
    return _settle(_with_short_names(data))


def _settle(data: ReportData) -> ReportData:
    """Fill in k and strength: the largest that were run."""
    k = data.k if data.k is not None else int(data.results["k"].max())
    of_k = data.results.loc[data.results["k"] == k, "strength"]
    return replace(data, k=k, strength=data.strength or float(of_k.max()))


def _with_short_names(data: ReportData) -> ReportData:
    """Cut absurdly long language names everywhere: they repeat in every row of every table."""
    columns = ("language", "source", "target")

    def cut(table: pd.DataFrame) -> pd.DataFrame:
        here = [column for column in columns if column in table]
        return table.assign(**{column: table[column].map(brief) for column in here})

    return replace(
        data,
        results=cut(data.results),
        experts=cut(data.experts),
        counts=cut(data.counts),
        chosen_layer={brief(code): layer for code, layer in data.chosen_layer.items()},
    )


def brief(text: object, *, width: int = 48) -> str:
    """Text of at most ``width`` characters, cut in its middle; text that fits is untouched.

    >>> brief("fra_Latn"), brief("abcdefghij", width=7)
    ('fra_Latn', 'abcd…ij')
    """
    whole = str(text)
    if len(whole) <= width:
        return whole
    tail = (width - 1) // 3
    return f"{whole[: width - 1 - tail]}…{whole[len(whole) - tail :]}"
