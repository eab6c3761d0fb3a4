"""The main job on what ships with the package: no network, no other data, one report."""

from __future__ import annotations

from pathlib import Path

from mechsteer.pipeline import EMBEDDED, report_command, score_command, study_command

TARGETS = ("fra_Latn", "jpn_Jpan", "rus_Cyrl")
KS = (50, 200)
SEEDS = 3


def run_demo(output: Path) -> Path:
    """Score, steer to three languages beside three random controls each, and write the report.

    Experts and every choice come from the embedded dev sentences, all reported numbers from the
    test sentences. An interrupted demo is taken up where it stopped.
    """
    score_command(EMBEDDED, EMBEDDED, output, split="dev")
    study_command(output, EMBEDDED, split="test", targets=TARGETS, ks=KS, seeds=SEEDS)
    return report_command(output)
