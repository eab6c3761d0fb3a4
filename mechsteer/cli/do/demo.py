"""The main job on what ships with the package: no network, no other data, one report."""

from __future__ import annotations

from pathlib import Path

from mechsteer.cli.do.models import EMBEDDED
from mechsteer.cli.do.report import cards_command, report_command
from mechsteer.cli.do.score import score_command
from mechsteer.cli.do.study import study_command
from mechsteer.cli.requests import CardsRequest, ScoreRequest, StudyRequest

TARGETS = ("fra_Latn", "jpn_Jpan", "rus_Cyrl")
KS = (50, 200)
CARDS = 2  # of each language
SEEDS = 3
SENTENCES = 64  # of 256 in each language and split: two cores finish within three minutes


def run_demo(output: Path) -> Path:
    """Score, steer to three languages beside three random controls each, and write the report.

    Experts, the layer and the dose come from the embedded dev sentences, all reported numbers from
    the test sentences. An interrupted demo is taken up where it stopped.
    """
    score_command(EMBEDDED, output, ScoreRequest(corpus=EMBEDDED, split="dev", limit=SENTENCES))
    wanted = StudyRequest(
        test=EMBEDDED,
        split="test",
        limit=SENTENCES,
        targets=TARGETS,
        ks=KS,
        cost_corpus="dev",
        seeds=tuple(range(SEEDS)),
    )
    study_command(output, wanted)
    cards_command(output, CardsRequest(top=CARDS))
    return report_command(output)
