"""Runs side by side on one page: their effects, and what differs between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.errors import MechsteerError
from mechsteer.reporting.beside import curve_figures, dose_figures, effect_figures, forest
from mechsteer.reporting.data import HEADLINE
from mechsteer.reporting.effects import effects
from mechsteer.reporting.headline import headline, named, points
from mechsteer.reporting.page import assemble, fill
from mechsteer.reporting.runs import Compared, facts_of, notes_of
from mechsteer.reporting.tables import table
from mechsteer.studies.beside import differences
from mechsteer.studies.conditions import Arm, names
from mechsteer.studies.places import ordered


def write_comparison(
    runs: Sequence[Compared],
    path: str | Path,
    *,
    command: str = "",
    found: pd.DataFrame | None = None,
) -> Path:
    """Write the page that puts runs beside each other; an existing file is replaced in one step.

    Args:
        runs: two or more, each under a name of its own.
        path: the file.
        command: what to type to get the page again.
        found: ``compared(runs)``, where it is at hand.

    Raises:
        MechsteerError: fewer than two runs, or two of one name.
        ArtifactError: what was kept of a run is damaged.
    """
    path = Path(path)
    write_bytes(path, render_comparison(runs, command=command, found=found).encode())
    return path


def render_comparison(
    runs: Sequence[Compared], *, command: str = "", found: pd.DataFrame | None = None
) -> str:
    """The page as HTML text; equal runs give equal bytes."""
    called = [run.name for run in runs]
    if len(runs) < 2 or len(set(called)) < len(called):
        raise MechsteerError(f"expected two or more runs of different names, got {called}")
    found = compared(runs) if found is None else found
    parts: dict[str, tuple[str, str, Mapping[str, object]]] = {
        "beside": ("Side by side", "What each run found", _beside(runs)),
        "differences": ("Differences", "What differs, and how surely", _differences(runs, found)),
        "curves": (
            "Layers",
            "Layer by layer",
            {"figures": [*curve_figures(runs), *dose_figures(runs)]},
        ),
        "runs": ("Runs", "What was run", {"runs": runs, "facts": facts_of(runs)}),
        "again": ("Reproduce", "Reproduce", {"command": command}),
    }
    return assemble(
        title=" · ".join(called),
        headline=spoken_difference(runs, found),
        measure="Top-1 retrieval at each run's best layer, mean over the ordered pairs of "
        "languages that the runs share. Higher or lower is said where the 95% interval leaves out "
        "zero.",
        n_layers=0,
        sections=[
            ({"key": key, "name": name, "heading": heading}, fill(f"compare/{key}.html", **made))
            for key, (name, heading, made) in parts.items()
        ],
    )


def compared(runs: Sequence[Compared]) -> pd.DataFrame:
    """Differences of every two runs, with the columns run and against before them."""
    parts = [
        differences(first.side, second.side).assign(run=second.name, against=first.name)
        for first, second in combinations(runs, 2)
    ]
    whole = pd.concat(parts, ignore_index=True)
    return whole[["run", "against", *whole.columns[:-2]]]


def spoken_difference(runs: Sequence[Compared], found: pd.DataFrame) -> str:
    """The headline: whether the first common edit came out differently in two runs."""
    if len(runs) > 2:
        return f"{len(runs)} runs side by side"
    first, second = (run.name for run in runs)
    rows = found[(found["metric"] == HEADLINE) & (found["kind"] == "edit")]
    if rows.empty:
        return f"{first} and {second} have no edit that can be compared"
    rows = rows[
        (rows["place"] == ordered(rows["place"])[0]) & (rows["edit"] == rows["edit"].iat[0])
    ]
    what = named(str(rows["edit"].iat[0]))
    for word, surely in (("higher", rows["low"] > 0), ("lower", rows["high"] < 0)):
        if surely.all():
            size = points(rows["difference"])
            return f"{what} came out {size} {word} in {second} than in {first}"
    up, down = int((rows["low"] > 0).sum()), int((rows["high"] < 0).sum())
    said = [f"{word} for {n}" for word, n in (("higher", up), ("lower", down)) if n]
    if said:
        return f"{what} came out {' and '.join(said)} of {len(rows)} in {second}, against {first}"
    return f"No difference of {what.lower()} between {first} and {second} was found"


def _beside(runs: Sequence[Compared]) -> dict[str, object]:
    """Each run's headline, and its effects."""
    tables = {run.name: effects(run.data) for run in runs}
    lines = [(run.name, headline(run.data.edits, tables[run.name])) for run in runs]
    return {"lines": lines, "figures": [*effect_figures(tables)]}


def _differences(runs: Sequence[Compared], found: pd.DataFrame) -> dict[str, object]:
    """What may be compared, and the differences as a picture and in numbers."""
    shares = ["first", "second", "difference", "low", "high"]
    shown = found.assign(
        edit=_called(found),
        dose=_doses(runs, found),
        place=found["place"].str.replace("_", " "),
        language=found["language"].replace("", "all"),
        paired=found["paired"].map({True: "paired", False: "unpaired"}),
        **{name: (100 * found[name].astype(float)).round(2) for name in shares},
    )
    columns = [name for name in found.columns if name != "kind"]
    columns.insert(columns.index("edit") + 1, "dose")
    heads = {"first": "against, %", "second": "run, %", "low": "from", "high": "to"}
    return {
        "notes": [notes_of(*both) for both in combinations(runs, 2)],
        "figure": forest(found),
        "numbers": table(shown[columns].rename(columns=heads), caption="Differences"),
    }


def _called(rows: pd.DataFrame) -> list[str]:
    pairs = [Arm(*pair) for pair in zip(rows["kind"], rows["edit"], strict=True)]
    called = names(pairs)
    return [called[pair] for pair in pairs]


def _doses(runs: Sequence[Compared], rows: pd.DataFrame) -> list[str]:
    """The dose of each row's edit: one, or that of the run taken away and of the other."""
    dose = {
        (run.name, *c.arm, c.language or ""): c.dose for run in runs for c in run.side.study.chosen
    }
    keys = ["against", "run", "kind", "edit", "language"]
    both = (
        [dose.get((name, *edit), "") for name in (against, run)]
        for against, run, *edit in rows[keys].itertuples(index=False, name=None)
    )
    return [" → ".join(dict.fromkeys(each)) for each in both]
