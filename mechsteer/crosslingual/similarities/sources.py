"""Which source to train in: sources ranked by the model's own alignment, and by distances alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from mechsteer.crosslingual.similarities.responses import MEASURES, Response
from mechsteer.errors import MechsteerError
from mechsteer.pairwise import rank_sources

COLUMNS = (
    "state", "metric", "layer", "place", "ranking", "ndcg", "low", "high", "lead", "lead_low",
    "lead_high", "k", "n_targets",
)  # fmt: skip


def is_transfer(response: Response) -> bool:
    """Whether a response is something that a source language gives to a target."""
    return response.state == "given" or response.metric.startswith("transfer_")


def rankings(
    responses: Sequence[Response],
    predictors: Mapping[str, Float[np.ndarray, "language language"]],
    languages: Sequence[str],
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """NDCG@3 of every ranking of sources for what is transferred; and notes.

    Beside the distances: the study's own alignment of source and target without an edit, at the
    same layer where it was measured there, else at every layer that it was. See
    ``mechsteer.pairwise.rank_sources``.
    """
    rows, notes = [], []
    for response in filter(is_transfer, responses):
        try:
            found = rank_sources(
                response.values,
                nearer=predictors,
                higher=_alignment(responses, response.layer),
                languages=languages,
            )
        except MechsteerError as error:
            notes.append(f"No ranking of sources by {response.name}: {error}.")
            continue
        told = {name: getattr(response, name) for name in COLUMNS[:4]}
        rows.append(found.table().assign(**told)[list(COLUMNS)])
        if found.left_out:
            notes.append(f"Targets not ranked in {response.name}: {', '.join(found.left_out)}.")
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(COLUMNS))
    return table, tuple(notes)


def _alignment(
    responses: Sequence[Response], layer: int
) -> dict[str, Float[np.ndarray, "language language"]]:
    own = [r for r in responses if r.state == "none" and r.metric in MEASURES]
    here = [r for r in own if r.layer == layer]
    if here:
        return {response.metric: response.values for response in here}
    return {f"{r.metric} at {r.place or f'layer {r.layer}'}": r.values for r in own}
