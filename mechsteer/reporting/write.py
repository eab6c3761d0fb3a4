"""From a study to its page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mechsteer.artifacts.files import write_table
from mechsteer.artifacts.runs import versions
from mechsteer.cards import Cards
from mechsteer.crosslingual import Similarity, Transfer
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.effects import effects
from mechsteer.reporting.numbers import numbers
from mechsteer.reporting.page import write_report
from mechsteer.reporting.settled import checked
from mechsteer.reporting.verdict import sentences
from mechsteer.studies.findings import Study


def report(
    study: Study,
    path: str | Path,
    *,
    command: str = "ms.report(study, path)",
    manifest: Mapping[str, Any] | None = None,
    cards: Cards | None = None,
    survival: pd.DataFrame | None = None,
    similarity: Similarity | None = None,
    transfer: Transfer | None = None,
    tables: Path | None = None,
) -> Path:
    """Write the report of a study: one HTML file that opens from disk and loads nothing.

    The full tables lie beside the page as Parquet, ``PAGE.TABLE.parquet``, and the page links them.

    Args:
        study: what ``ms.study`` or a run folder gave.
        path: the file to write; replaced in one step.
        command: what to type to get the same numbers again.
        manifest: provenance to show whole; the study's own by default.
        cards: of some neurons, see ``mechsteer.cards``.
        survival: the table of ``ms.experts.survival``.
        similarity: of the same study, see ``ms.similarity``.
        transfer: of the same model, see ``ms.transfer``.
        tables: a run folder that holds the tables already; if the page goes there, it links those.
    """
    path = Path(path)
    frames = dict(study.tables)
    frames |= {f"cards.{name}": frame for name, frame in (cards.tables if cards else {}).items()}
    if similarity is not None:
        frames |= {f"similarity.{name}": frame for name, frame in similarity.tables.items()}
    if transfer is not None:
        frames |= {"transfer": transfer.results}
    links = _beside(path, frames, tables)
    data = report_data(
        study, command=command, manifest=manifest, cards=cards, survival=survival,
        similarity=similarity, transfer=transfer, tables=links,
    )  # fmt: skip
    return write_report(data, path)


def report_data(
    study: Study,
    *,
    command: str = "",
    manifest: Mapping[str, Any] | None = None,
    cards: Cards | None = None,
    survival: pd.DataFrame | None = None,
    similarity: Similarity | None = None,
    transfer: Transfer | None = None,
    tables: Mapping[str, str] | None = None,
) -> ReportData:
    """What the page of a study is made from."""
    provenance = dict(manifest or {"versions": versions(), **study.provenance})
    names = {key: study.provenance[key]["name"] for key in ("model", "dev", "test")}
    return ReportData(
        manifest={"model": names["model"], "corpus": names["test"]} | provenance,
        results=study.results,
        experts=study.experts,
        counts=study.counts,
        overlap=study.overlap,
        doses=study.doses[study.doses["layer"] == study.best_layer],
        projection=study.projection,
        hubness=study.hubness,
        chosen_layer={c.language or "": study.best_layer for c in study.chosen},
        n_layers=study.n_layers,
        final_norm=study.final_norm,
        n_sentences=study.n_sentences,
        command=command,
        k={str(c.edit): c.k or 0 for c in study.chosen},
        strength={str(c.edit): c.columns()["strength"] for c in study.chosen},
        cards=cards,
        survival=survival,
        similarity=similarity,
        transfer=transfer,
        tables=tables or {},
    )


def summary(study: Study) -> tuple[list[str], pd.DataFrame]:
    """The page's verdict and its table of effects over all pairs, for a terminal."""
    data = checked(report_data(study))
    table = numbers(data)
    short = table[table["pairs"] == "all pairs"].drop(columns=["pairs"])
    return sentences(data, effects(data)), short.replace({"retrieval_top1": "top-1"})


def _beside(path: Path, frames: Mapping[str, pd.DataFrame], folder: Path | None) -> dict[str, str]:
    """Relative addresses of the full tables, written beside the page where they are not there."""
    if folder is not None and path.parent.resolve() == folder.resolve():
        return {name: f"{name}.parquet" for name in frames}
    links = {name: f"{path.stem}.{name}.parquet" for name in frames}
    for name, frame in frames.items():
        write_table(path.parent / links[name], frame)
    return links
