"""From a study to its page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mechsteer.reporting.data import ReportData
from mechsteer.reporting.page import write_report
from mechsteer.runs import versions
from mechsteer.studies.protocol import Study


def report(
    study: Study,
    path: str | Path,
    *,
    command: str = "ms.report(study, path)",
    manifest: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report of a study: one HTML file that opens from disk and loads nothing.

    Args:
        study: what ``ms.study`` or a run folder gave.
        path: the file to write; replaced in one step.
        command: what to type to get the same numbers again.
        manifest: provenance to show whole; the study's own by default.
    """
    best = study.chosen[0]
    provenance = dict(manifest or {"versions": versions(), **study.provenance})
    names = {key: study.provenance[key]["name"] for key in ("model", "dev", "test")}
    data = ReportData(
        manifest={"model": names["model"], "corpus": names["test"]} | provenance,
        results=study.results,
        experts=study.experts,
        counts=study.counts,
        chosen_layer={state.language: study.best_layer for state in study.chosen},
        n_layers=study.n_layers,
        n_sentences=study.n_sentences,
        command=command,
        k=best.k,
        strength=best.strength,
    )
    return write_report(data, path)
