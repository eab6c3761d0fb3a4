"""What transfer found: how well a probe of each language does in every other, per condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mechsteer.display import Displayed, count
from mechsteer.equality import ByValue
from mechsteer.errors import MechsteerError
from mechsteer.studies import conditions
from mechsteer.studies.conditions import BASE, Condition


@dataclass(frozen=True, eq=False, repr=False)
class Transfer(Displayed, ByValue):
    """Accuracy and macro-F1 of probes trained in one language and tested in all.

    Attributes:
        results: the tidy table, see ``mechsteer.crosslingual.transfers.tables.tabulate``; its
            columns are those of a study's results.
        languages: sources and targets, in order.
        classes: the labels, sorted.
        layers: rows of the residual stream that were probed.
        n_train: training sentences of each language.
        n_test: test sentences of each language, translations of each other.
        majority: accuracy of always naming the commonest class of training.
        provenance: names and fingerprints of the model and the labelled data.
    """

    results: pd.DataFrame
    languages: tuple[str, ...]
    classes: tuple[str, ...]
    layers: tuple[int, ...]
    n_train: int
    n_test: int
    majority: float
    provenance: Mapping[str, Any]

    @property
    def chance(self) -> float:
        """Accuracy of guessing each class equally often."""
        return 1 / len(self.classes)

    @property
    def best_layer(self) -> int:
        """The layer whose probes do best within their own language, untouched; the first of equals.

        Chosen on the test sentences, so its accuracy is a little too good; paired changes are not.
        """
        rows = self._of(BASE).sort_values("layer", kind="stable")
        rows = rows[(rows["metric"] == "accuracy.within") & (rows["source"] == "*")]
        return int(rows["layer"].iloc[int(rows["value"].to_numpy().argmax())])

    def table(self, metric: str = "accuracy") -> pd.DataFrame:
        """Means over pairs of different languages and within languages, per condition and layer.

        Chance and majority stand beside accuracy, and the paired difference to the base with its
        interval (0 for the base itself).

        Raises:
            MechsteerError: another metric than ``accuracy`` or ``macro_f1``.
        """
        rows = self.results[(self.results["source"] == "*") & (self.results["target"] == "*")]
        key = [*conditions.COLUMNS, "layer"]
        over = _named(rows, metric)[[*key, "value", "ci_low", "ci_high"]]
        within = _named(rows, f"{metric}.within")[[*key, "value"]]
        delta = rows[rows["metric"] == f"{metric}.delta"]
        delta = delta[[*key, "value", "ci_low", "ci_high"]]
        found = over.merge(within.rename(columns={"value": "within"}), on=key)
        found = found.merge(delta, on=key, how="left", suffixes=("", "_delta"))
        found = found.rename(
            columns={
                "value_delta": "delta", "ci_low_delta": "delta_low", "ci_high_delta": "delta_high"
            }
        ).fillna({"delta": 0.0, "delta_low": 0.0, "delta_high": 0.0})  # fmt: skip
        if metric != "accuracy":
            return found
        return found.assign(chance=self.chance, majority=self.majority)

    def matrix(
        self,
        layer: int | None = None,
        *,
        condition: Condition = BASE,
        metric: str = "accuracy",
    ) -> pd.DataFrame:
        """One number for every source (row) and target (column).

        Args:
            layer: of the residual stream; the only one by default.
            condition: the model as it is by default.
            metric: ``accuracy``, ``macro_f1``, or either with ``.delta``.

        Raises:
            MechsteerError: no such layer, condition or metric, or several layers and none named.
        """
        rows = self._of(condition)
        rows = _named(rows[rows["layer"] == self._layer(layer)], metric)
        rows = rows[(rows["source"] != "*") & (rows["target"] != "*")]
        table = rows.pivot(index="source", columns="target", values="value")
        return table.loc[list(self.languages), list(self.languages)]

    def measure(
        self,
        layer: int | None = None,
        *,
        condition: Condition = BASE,
        metric: str = "accuracy",
    ) -> pd.DataFrame:
        """``matrix`` as a long table of different languages: source, target, value.

        What studies of language pairs take as a measure.
        """
        table = self.matrix(layer, condition=condition, metric=metric)
        long = table.reset_index().melt(id_vars="source", var_name="target", value_name="value")
        return long[long["source"] != long["target"]].reset_index(drop=True)

    @property
    def conditions(self) -> pd.DataFrame:
        """The conditions that were probed, one a row, as the tidy table names them."""
        return self.results[list(conditions.COLUMNS)].drop_duplicates().reset_index(drop=True)

    def _of(self, condition: Condition) -> pd.DataFrame:
        rows = self.results
        for name, cell in condition.columns().items():
            rows = rows[rows[name] == cell]
        if rows.empty:
            raise MechsteerError(f"{condition.label} was not probed: see the table `conditions`")
        return rows

    def _layer(self, layer: int | None) -> int:
        if layer is None and len(self.layers) == 1:
            return self.layers[0]
        if layer not in self.layers:
            raise MechsteerError(f"expected a layer of {list(self.layers)}, got {layer}")
        return layer

    def _line(self) -> str:
        return (
            f"{count(len(self.languages), 'language')}, {len(self.classes)} classes, "
            f"{self.n_train} training and {count(self.n_test, 'test sentence')} each, "
            f"{count(len(self.conditions), 'condition')}"
        )


def _named(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    own = rows[rows["metric"] == metric]
    if own.empty:
        known = ", ".join(dict.fromkeys(rows["metric"]))
        raise MechsteerError(f"expected a metric of {known}, got {metric!r}")
    return own
