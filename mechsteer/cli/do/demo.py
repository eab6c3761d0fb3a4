"""The main job on what ships with the package: no network, no other data, one report."""

from __future__ import annotations

from pathlib import Path

from mechsteer.cli.do.runs import (
    EMBEDDED,
    cards_command,
    report_command,
    score_command,
    study_command,
)

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
    score_command(EMBEDDED, EMBEDDED, output, split="dev", limit=SENTENCES)
    study_command(
        output,
        EMBEDDED,
        split="test",
        limit=SENTENCES,
        targets=TARGETS,
        ks=KS,
        text="dev",
        seeds=SEEDS,
    )
    cards_command(output, top=CARDS)
    return report_command(output)
