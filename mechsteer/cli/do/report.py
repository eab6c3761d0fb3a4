"""What ``mechsteer cards`` and ``report`` do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from mechsteer.artifacts.described import fitting
from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.runs import Run
from mechsteer.cards import Cards, make_cards
from mechsteer.cards.make import named_subject, top_subjects
from mechsteer.cli.do.asked import how_to_repeat, keep_config
from mechsteer.cli.do.models import asked_of
from mechsteer.cli.do.probe import probed
from mechsteer.cli.do.score import names_of, recorded, run_scores, told
from mechsteer.cli.requests import CardsRequest
from mechsteer.crosslingual.similarities.files import is_current, load_similarity
from mechsteer.crosslingual.transfers.files import load_transfer
from mechsteer.errors import MechsteerError
from mechsteer.experts.scores import NeuronScores
from mechsteer.studies.files import load_study


def made_cards(path: Path, request: CardsRequest) -> pd.DataFrame:
    """Make cards, and tell of them briefly; a label is called so."""
    cards, scores = cards_command(path, request)
    return told(cards.brief(), scores)


def cards_command(path: Path, request: CardsRequest) -> tuple[Cards, NeuronScores]:
    """Make the cards of the best neurons of each steered language, and of neurons asked for.

    Before a study all scored languages count. Kept for the report in ``RUN/cards.*.parquet``.
    """
    run = Run.open(path)
    scores = run_scores(run)
    chosen = load_study(run).chosen if "study" in run.manifest["stages"] else ()
    steered = dict.fromkeys(condition.language for condition in chosen)
    asked = names_of(scores, request.languages)
    languages = asked or [code for code in steered if code] or scores.languages
    subjects = [
        *(named_subject(scores, name) for name in request.neurons),
        *top_subjects(scores, languages, request.top),
    ]
    if not subjects:
        raise MechsteerError("--top 0 without --neurons asks for no card: name neurons, or --top 1")
    with locked(path):
        model, dev, recording = recorded(run)
        reading = asked_of(run).reading
        with run.timed("cards"):
            cards = make_cards(model, dev, recording, scores, subjects, reading=reading)
        run.finish("cards", files=cards.save(path), **request.as_json())
        keep_config(run)
    return cards, scores


def report_command(path: Path, output: Path | None = None) -> Path:
    """Write the page of a run, studied or scored alone; the same run gives the same bytes."""
    from mechsteer.reporting import report, scored_report

    run = Run.open(path)
    page = output or path / "report.html"
    stages = run.manifest["stages"]
    with locked(path), fitting(path):
        same: dict[str, Any] = {
            "command": how_to_repeat(run), "manifest": run.manifest, "cards": _cards(run),
            "survival": probed(run),
        }  # fmt: skip
        if "study" not in stages:
            return scored_report(run_scores(run), page, **same)
        return report(
            load_study(run),
            page,
            similarity=load_similarity(run) if is_current(run) else None,
            transfer=load_transfer(run) if "transfer" in stages else None,
            tables=path,
            **same,
        )


def summary_command(path: Path) -> tuple[list[str], pd.DataFrame | None]:
    """The verdict of a studied run, and its effects over all pairs; of a scored one, its best."""
    from mechsteer.reporting import summary
    from mechsteer.reporting.scored import said

    run = Run.open(path)
    with fitting(path):
        if "study" not in run.manifest["stages"]:
            return [f"{said(run_scores(run))}."], None
        return summary(load_study(run))


def _cards(run: Run) -> Cards | None:
    if "cards" not in run.manifest["stages"]:
        return None
    run.stage("cards")
    return Cards.load(run.path)
