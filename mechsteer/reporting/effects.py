"""Changes at the rows that the report speaks of: against no edit, and against baselines."""

from __future__ import annotations

import pandas as pd

from mechsteer.reporting.data import HEADLINE, ReportData
from mechsteer.studies.changes import at_places, changes
from mechsteer.studies.conditions import Arm, Kind


def effects(data: ReportData, *, metric: str = HEADLINE, pairs: str = "all") -> pd.DataFrame:
    """``mechsteer.studies.changes.changes`` of a report, at the k and strength shown."""
    return changes(data.shown, data.steered, data.places, metric=metric, pairs=pairs)


def against(data: ReportData, edit: str, baseline: Kind = "centring") -> pd.DataFrame:
    """What an edit gains over a baseline, paired by sentence: columns as of `effects`.

    No rows where the results hold no such comparison.
    """
    metric, arm = f"{HEADLINE}.vs_{baseline}", Arm("edit", edit)
    return at_places(data.shown, data.steered, data.places, arm=arm, metric=metric)
