"""What a study found: its tables and its choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from mechsteer.display import Displayed, count
from mechsteer.equality import ByValue
from mechsteer.studies.conditions import Condition
from mechsteer.studies.places import Place, places


@dataclass(frozen=True, eq=False, repr=False)
class Study(Displayed, ByValue):
    """What a study found.

    Attributes:
        results: the tidy table, see ``mechsteer.studies.results``.
        experts: one row an expert of each steered language and edit of experts, at the k that was
            chosen; ``value`` is where its edit moves an activation of 0, ``prevalence`` the chance
            level of AP.
        counts: experts of each scored language in each layer, and how well the layer detects it.
        overlap: experts that each two languages share.
        doses: retrieval on dev at every k and strength, at each of the places; without choices of
            dose the base alone.
        projection: sentences on the base's first two principal components at the best layer:
            untouched, centred, and under every chosen edit.
        hubness: how often sentences are among the 10 nearest of a query, at the best layer.
        best_layer: row of the base model's best layer for retrieval on dev: neither the embedding
            nor the final norm.
        chosen: the conditions at the k and strength with the best retrieval on dev, one an edit and
            language.
        n_layers: blocks of the model; rows go from 0 (embedding) to ``n_layers + 1``, which is
            transformers' ``hidden_states[-1]``.
        final_norm: that last row; None where the model has no final norm, so that the row repeats
            the last block's.
        n_sentences: parallel sentences of the test corpus.
        provenance: names and fingerprints of the model and the two corpora.
    """

    results: pd.DataFrame
    experts: pd.DataFrame
    counts: pd.DataFrame
    overlap: pd.DataFrame
    doses: pd.DataFrame
    projection: pd.DataFrame
    hubness: pd.DataFrame
    best_layer: int
    chosen: tuple[Condition, ...]
    n_layers: int
    final_norm: int | None
    n_sentences: int
    provenance: Mapping[str, Any]

    @property
    def places(self) -> dict[Place, int]:
        """Rows that results are read at, by name, see ``mechsteer.studies.places``."""
        return places(self.best_layer, self.n_layers, self.final_norm)

    def headline(self) -> pd.DataFrame:
        """Means over all ordered pairs at each of the places, one row a condition."""
        rows = self.results
        rows = rows[(rows["source"] == "*") & (rows["target"] == "*")]
        rows = rows[rows["layer"].isin(self.places.values())]
        rows = rows[rows["metric"].isin(["retrieval_top1", "mexa"])]
        named = ["kind", "edit", "language", "k", "seed"]
        return rows[[*named, "layer", "metric", "value", "ci_low", "ci_high"]]

    @property
    def at_chosen(self) -> pd.DataFrame:
        """Results without a dose, and those of each edit and its controls at the chosen one."""
        return self.chosen_rows(self.results)

    def chosen_rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """Rows without a dose, and those at the chosen one, of a table whose rows name it."""
        doses = {(c.edit, c.language or "", c.k or 0, c.strength) for c in self.chosen}
        told = table[["edit", "language", "k", "strength"]]
        doses_told = told.itertuples(index=False, name=None)
        chosen = np.array([dose in doses for dose in doses_told], dtype=bool)
        return table[~table["kind"].isin(["edit", "random"]) | chosen]

    def _line(self) -> str:
        model = self.provenance.get("model", {}).get("name", "unnamed")
        chosen = ", ".join(condition.label for condition in self.chosen) or "no edit of a dose"
        sentences = count(self.n_sentences, "parallel sentence")
        return f"{model}: {sentences}, best layer {self.best_layer}; {chosen}"

    def _shown(self) -> pd.DataFrame:
        """Top-1 over all ordered pairs at each of the places."""
        rows = self.headline()
        return rows[rows["metric"] == "retrieval_top1"]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by its name."""
        return {name: getattr(self, name) for name in table_names()}


def table_names() -> list[str]:
    """Names of the tables that a study has."""
    return [field.name for field in fields(Study) if field.type == "pd.DataFrame"]
