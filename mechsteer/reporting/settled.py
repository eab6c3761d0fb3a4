"""A report's data as the page draws them: checked, of one dose, with short names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mechsteer.cards import Cards
from mechsteer.errors import ArtifactError
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.names import briefs, cut, texts_of
from mechsteer.studies.results import COLUMNS

EXPERT_COLUMNS = ("language", "rank", "layer", "neuron", "ap", "auroc", "effect_size", "value")
REPORT_TABLES = (
    "results",
    "experts",
    "counts",
    "overlap",
    "doses",
    "projection",
    "hubness",
    "survival",
)
EVERYONE = "all languages"  # stands for a language where an edit is the same for all


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
    if not data.edits:
        raise ArtifactError("the results hold no edit: run `mechsteer study` first")
    return _settle(compacted(data if data.steered else _of_everyone(data)))


def _of_everyone(data: ReportData) -> ReportData:
    """A study whose edits are the same for all languages: ``EVERYONE`` is the steered one."""
    whole: dict[str, Any] = {}
    for name in ("results", "doses", "projection", "hubness"):
        if (table := getattr(data, name)) is not None:
            edited = table["kind"].isin(["edit", "random"])
            whole[name] = table.assign(language=table["language"].mask(edited, EVERYONE))
    chosen = data.chosen_layer.get("")
    layers = {} if chosen is None else {EVERYONE: chosen}
    return replace(data, **whole, chosen_layer=layers)


def _settle(data: ReportData) -> ReportData:
    """Fill in k and strength. Random controls run at the chosen k alone, so that they tell it."""
    rows = data.results
    controlled = rows.loc[rows["kind"] == "random", "k"]
    k = data.k if data.k is not None else int((controlled if len(controlled) else rows["k"]).max())
    moved = rows.loc[rows["kind"] == "edit", "strength"]
    strength = data.strength if data.strength is not None else float(moved.max())
    return replace(data, k=k, strength=strength)


def compacted(data: ReportData, **changed: Any) -> ReportData:
    """The data with no absurdly long names, and with some fields changed.

    A name repeats in every row of every table, so that one of 100,000 characters would fill the
    page; the manifest has it whole.
    """
    frames = {name: frame for name in REPORT_TABLES if (frame := getattr(data, name)) is not None}
    cards = data.cards.tables if data.cards else {}
    short = briefs(texts_of([*frames.values(), *cards.values()]))

    def named(numbers: Any) -> Any:
        """Numbers of edits or languages, by the names that the tables now have."""
        if not isinstance(numbers, Mapping):
            return numbers
        return {short.get(name, name): value for name, value in numbers.items()}

    whole: dict[str, Any] = {name: cut(frame, short) for name, frame in frames.items()}
    return replace(
        data,
        **changed,
        **whole,
        cards=Cards(**{name: cut(frame, short) for name, frame in cards.items()})
        if cards
        else None,
        chosen_layer=named(data.chosen_layer),
        k=named(data.k),
        strength=named(data.strength),
    )
