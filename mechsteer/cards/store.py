"""What cards hold: tidy tables that share the column ``card``, the card's number."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from mechsteer.artifacts.files import read_table, write_table
from mechsteer.display import Displayed, count
from mechsteer.equality import ByValue


@dataclass(frozen=True, eq=False, repr=False)
class Cards(Displayed, ByValue):
    """Cards of some neurons, each table one row an observation; ``cards[0]`` is one of them.

    Attributes:
        neurons: component, layer, neuron, the language a card is about, and its rank among that
            language's neurons by average precision (from 1); part, the one of the languages within
            which a concept is told apart where the neuron does that least, else empty.
        scores: language, ap, auroc, effect_size, mean, median, std, prevalence and
            script_ap (among languages of one script; missing for the only one): every language.
        histograms: low, high, positives, negatives: shares of the language and of the rest.
        curves: recall, precision, threshold; of that part, where there is one.
        sentences: place (from 1), language, sentence (its number), value (pooled), text.
        tokens: place, start, end, value: the activation on each span of the sentence's text.
        writes: direction (``promoted`` or ``suppressed``), place (from 1), token, logit.
    """

    neurons: pd.DataFrame
    scores: pd.DataFrame
    histograms: pd.DataFrame
    curves: pd.DataFrame
    sentences: pd.DataFrame
    tokens: pd.DataFrame
    writes: pd.DataFrame

    def __len__(self) -> int:
        return len(self.neurons)

    def __getitem__(self, place: int) -> Cards:
        """One card by its place; negative ones from the end.

        Raises:
            IndexError: there is none.
        """
        card = self.neurons["card"].iloc[place]
        return Cards(**{name: own[own["card"] == card] for name, own in self.tables.items()})

    def _line(self) -> str:
        languages = ", ".join(self.neurons["language"].unique()[:4])
        return f"{count(len(self), 'neuron')}: {languages}"

    def _shown(self) -> pd.DataFrame:
        return self.brief()

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def brief(self) -> pd.DataFrame:
        """One row a card: whom it is about, how well it detects, what it writes."""
        keys = ["card", "language"]
        scored = self.neurons.merge(self.scores[[*keys, "ap", "auroc"]], on=keys)
        promoted = self.writes[self.writes["direction"] == "promoted"].sort_values("place")
        words = promoted.groupby("card")["token"].apply(lambda own: " ".join(own[:6]).strip())
        table = scored.assign(promotes=scored["card"].map(words).fillna(""))
        return table[
            ["language", "rank", "component", "layer", "neuron", "ap", "auroc", "promotes"]
        ]

    def save(self, folder: Path) -> list[str]:
        """Write ``cards.TABLE.parquet`` files and return their names."""
        for name, table in self.tables.items():
            write_table(folder / f"cards.{name}.parquet", table)
        return [f"cards.{name}.parquet" for name in self.tables]

    @classmethod
    def load(cls, folder: Path) -> Cards:
        """Read what ``save`` wrote.

        Raises:
            ArtifactError: a table is missing or damaged.
        """
        return cls(**{f.name: read_table(folder / f"cards.{f.name}.parquet") for f in fields(cls)})
