"""Runs that are put beside each other: what each is, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from mechsteer.plots.panels import row_name
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.words import isolated, joined, plural
from mechsteer.studies.beside import Side, are_paired, common_arms, common_languages
from mechsteer.studies.conditions import Condition

SHORT = 12  # characters of a fingerprint that are shown
MATTERS = (  # properties in which runs are said to differ, beside their text and doses
    *("Model", "Weights", "Number format", "Site", "Pooling", "Prefix", "Dev corpus"),
    *("Experts by", "mechsteer"),
)


@dataclass(frozen=True)
class Compared:
    """A run beside others.

    Attributes:
        side: its study, its name, and what was measured sentence by sentence.
        source: its folder, as it was named.
        manifest: of the run.
        data: what its own report is made from.
    """

    side: Side
    source: str
    manifest: Mapping[str, Any]
    data: ReportData

    @property
    def name(self) -> str:
        """What it is called."""
        return self.side.name


@dataclass(frozen=True)
class Fact:
    """One property of every run, in their order."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs are not all alike in it."""
        return len(set(self.values)) > 1


def facts_of(runs: Sequence[Compared]) -> list[Fact]:
    """What each run is, property by property."""
    each = [_facts(run) for run in runs]
    return [Fact(name, tuple(facts[name] for facts in each)) for name in each[0]]


def _facts(run: Compared) -> dict[str, str]:
    study, inputs = run.side.study, run.manifest.get("inputs", {})
    model, dev, test = (study.provenance[part] for part in ("model", "dev", "test"))
    asked = run.manifest.get("stages", {}).get("study", {}).get("arguments", {})
    seeds = sorted({int(s) for s in study.results["seed"] if s >= 0})
    return {
        "Folder": run.source,
        "Model": str(model["name"]),
        "Weights": _digest(model.get("weights_hash")),
        "Number format": str(model.get("dtype", "–")),
        "Layers": str(study.n_layers),
        "Site": str(inputs.get("site", "–")),
        "Pooling": str(inputs.get("pooling", "–")),
        "Prefix": str(inputs.get("prefix") or "none"),
        "Dev corpus": f"{dev['name']}, {_digest(dev.get('fingerprint'))}",
        "Test corpus": f"{test['name']}, {_digest(test.get('fingerprint'))}",
        "Test sentences": str(study.n_sentences),
        "Experts by": f"{asked.get('by', '–')}, {asked.get('within', '–')}",
        "Languages": ", ".join(run.side.languages),
        "Edits and doses": "; ".join(c.label for c in study.chosen) or "none",
        "Random seeds": ", ".join(map(str, seeds)) or "none",
        "Best layer on dev": row_name(study.best_layer, study.n_layers),
        "mechsteer": str(inputs.get("versions", {}).get("mechsteer", "–")),
    }


def notes(runs: Sequence[Compared]) -> list[str]:
    """What may be compared with what, and how: a sentence or more for every two runs."""
    return [note for first, second in combinations(runs, 2) for note in notes_of(first, second)]


def notes_of(first: Compared, second: Compared) -> list[str]:
    """The sentences of two runs: first whether they are paired."""
    a, b = isolated(first.name), isolated(second.name)
    said = [f"{a} and {b}: {_pairing(first.side, second.side)}."]
    both = common_arms(first.side, second.side)
    said += [
        f"Doses differ: {own.label} in {a}, {other.label} in {b}."
        for own, other in both
        if own.columns() != other.columns()
    ]
    said += [
        f"{isolated(str(own.edit))} has no experts and is matched by its name alone."
        for own, _ in both
        if own.edit and own.k is None
    ]
    said += _alone(first, second) + _alone(second, first)
    facts = {fact.name: fact.differs for fact in facts_of((first, second))}
    if asked := [name.lower() for name in MATTERS if facts[name]]:
        said.append(f"{a} and {b} differ in {joined(asked)}.")
    return said


def _alone(run: Compared, other: Compared) -> list[str]:
    """What only one of two runs has."""
    name, said = isolated(run.name), list[str]()
    kept = {(c.arm, c.language) for c, _ in common_arms(run.side, other.side)}
    if alone := [c.label for c in run.side.study.chosen if (c.arm, c.language) not in kept]:
        said.append(f"Only in {name}: {joined(alone)}; not compared.")
    if unkept := _unkept(run.side):
        said.append(f"{name} kept no sentences of {unkept}: no differences of it.")
    if more := sorted(_metrics(run) - _metrics(other)):
        said.append(f"Measured only in {name}: {joined(more)}; not compared.")
    return said


def _pairing(first: Side, second: Side) -> str:
    """Whether differences of two runs are paired, and over what."""
    common = common_languages(first, second)
    if len(common) < 2:
        return "fewer than two languages in common, so nothing is compared"
    over = f"over the {plural(len(common), 'language')} that both have"
    if are_paired(first, second):
        return (
            f"the same {first.study.n_sentences} test sentences; differences are paired by "
            f"sentence, {over}"
        )
    counts = f"{first.study.n_sentences} and {second.study.n_sentences}"
    return (
        f"other test sentences ({counts}), so nothing is paired: intervals are those of "
        f"independent samples, {over}"
    )


def _metrics(run: Compared) -> set[str]:
    return {str(name).partition(".")[0] for name in run.side.study.results["metric"].unique()}


def _unkept(side: Side) -> str:
    """Conditions of which no sentences lie in the run, in words."""
    folder = side.states
    conditions = [Condition(), *side.study.chosen]
    gone = [
        c for c in conditions
        if folder is None or not (folder / f"{c.file_name}.safetensors").is_file()
    ]  # fmt: skip
    return joined([c.label for c in gone]) if gone else ""


def _digest(found: object) -> str:
    """The first characters of a hash, after its kind."""
    return str(found or "–").rpartition(":")[2][:SHORT]
