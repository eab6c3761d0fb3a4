"""What a report is made from: plain values and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from mechsteer.cards import Cards
from mechsteer.crosslingual import Similarity, Transfer
from mechsteer.studies.conditions import BASELINES, Arm, names
from mechsteer.studies.places import Place, places
from mechsteer.studies.results import arms_of

ROWS_DRAWN = 180  # layers times panels of a figure that keep the page well below two megabytes
HEADLINE = "retrieval_top1"  # what the verdict and the matrices are about


@dataclass(frozen=True)
class ReportData:
    """Everything the page says; it computes its words and pictures from these alone.

    Attributes:
        manifest: the run's manifest, shown whole as provenance. ``model`` and ``corpus`` name what
            was run: each text, or a mapping with ``name`` or ``id``.
        results: the tidy results table.
        experts: columns language, rank, layer, neuron, ap, auroc, effect_size, value, and
            optionally prevalence: the chance level of AP.
        counts: columns language, layer (of the MLP, from 0), count, and optionally stack, random,
            ap_max and prevalence.
        chosen_layer: row of the residual stream chosen on dev for each steered language; for ""
            where an edit is the same for all.
        n_layers: blocks of the model.
        n_sentences: parallel sentences of the test corpus, which set the chance levels.
        command: what to type to get this run again.
        k: experts moved in the figures, one number or one for each edit; by default the largest
            that ran with every control.
        strength: strength of the edits in the figures, likewise; the largest by default.
        confidence: level of the confidence intervals in the results.
        overlap: experts that languages share; this and the following tables as in ``ms.Study``,
            each left out of the page where it is None.
        doses: what every k and strength gave on dev.
        projection: sentences on one plane.
        hubness: who is everybody's neighbour.
        cards: of some neurons.
        survival: experts that still tell copies of the sentences, see ``ms.experts.survival``.
        similarity: what the pairs follow, see ``ms.similarity``.
        transfer: what a probe of one language knows of others, see ``ms.transfer``.
        tables: name and relative address of the full tables beside the page.
        final_norm: row of the final norm in the results; None where the model has none.
        label: what the column of languages holds where these are labels of another kind.
    """

    manifest: Mapping[str, Any]
    results: pd.DataFrame
    experts: pd.DataFrame
    counts: pd.DataFrame
    chosen_layer: Mapping[str, int]
    n_layers: int
    n_sentences: int
    command: str
    k: int | Mapping[str, int] | None = None
    strength: float | Mapping[str, float] | None = None
    confidence: float = 0.95
    overlap: pd.DataFrame | None = None
    doses: pd.DataFrame | None = None
    projection: pd.DataFrame | None = None
    hubness: pd.DataFrame | None = None
    cards: Cards | None = None
    survival: pd.DataFrame | None = None
    similarity: Similarity | None = None
    transfer: Transfer | None = None
    tables: Mapping[str, str] = field(default_factory=dict)
    final_norm: int | None = None
    label: str = ""

    @property
    def kind(self) -> str:
        """What a row of the tables is about: a language, or a label of another kind."""
        return "label" if self.label else "language"

    @property
    def kinds(self) -> str:
        """Several of them."""
        return f"{self.kind}s"

    def told(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table whose column of languages is called what it holds."""
        return table.rename(columns={"language": self.kind})

    @cached_property
    def steered(self) -> list[str]:
        """Steered languages in the order of the results; once checked, one at least."""
        return [code for code in self.results["language"].unique() if code]

    @cached_property
    def drawn(self) -> list[str]:
        """Steered languages that get a panel of their own; the verdict and its figure have all."""
        return self.steered[: max(1, ROWS_DRAWN // (self.n_layers + 2))]

    @property
    def undrawn(self) -> str:
        """What a caption says when languages are left out."""
        if len(self.drawn) == len(self.steered):
            return ""
        return (
            f" Drawn: the first {len(self.drawn)} of {len(self.steered)} steered languages; "
            "the table of results has all."
        )

    @cached_property
    def languages(self) -> list[str]:
        """Languages that were scored or embedded, in the order of the tables."""
        sources = [code for code in self.results["source"].unique() if code != "*"]
        return list(dict.fromkeys([*self.counts["language"], *sources]))

    @cached_property
    def arms(self) -> dict[Arm, str]:
        """What the results compare, in order, and what each is called on the page."""
        return names(arms_of(self.results))

    @cached_property
    def edits(self) -> list[str]:
        """Edits of the results, by name."""
        return [arm.edit for arm in self.arms if arm.kind == "edit"]

    def called(self, edit: str) -> str:
        """What an edit is called on the page: its name, told apart from controls."""
        return self.arms[Arm("edit", edit)]

    def k_of(self, edit: str) -> int:
        """Experts that an edit moved in the figures."""
        if isinstance(self.k, Mapping):
            return self.k[edit]
        return self.k or 0

    def strength_of(self, edit: str) -> float:
        """Strength of an edit in the figures."""
        if isinstance(self.strength, Mapping):
            return self.strength[edit]
        return 1.0 if self.strength is None else self.strength

    def places(self, language: str) -> dict[Place, int]:
        """Rows of the residual stream that the effects are read at, by name."""
        return places(self.chosen_layer.get(language), self.n_layers, self.final_norm)

    @cached_property
    def shown(self) -> pd.DataFrame:
        """Results that figures draw: one k and strength of each edit, and pairs where chosen."""
        rows = self.results
        drawn = self.at_dose(rows)
        pairs = (
            (rows["source"] != "*")
            & (rows["target"] != "*")
            & (rows["metric"] != "distance_target")
        )
        wanted = rows["metric"].isin([HEADLINE, f"{HEADLINE}.p"])
        wanted &= rows["layer"].isin(self.chosen_layer.values())
        return rows[drawn & (~pairs | wanted)]

    def at_dose(self, rows: pd.DataFrame) -> pd.Series[bool]:
        """Rows of states without a dose, and of edits and their controls at the one shown."""
        undosed = ["base", *(known.kind for known in BASELINES)]
        there = rows["kind"].isin(undosed)
        for edit in self.edits:
            right_k, right_strength = self.k_of(edit), self.strength_of(edit)
            dosed = (rows["k"] == right_k) & (rows["strength"] == right_strength)
            there |= (rows["edit"] == edit) & dosed & ~rows["kind"].isin(undosed)
        return there
