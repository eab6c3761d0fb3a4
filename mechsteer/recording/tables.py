"""Pooled activations as an array or a table: sentences in rows, neurons in columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.machine import available_memory
from mechsteer.model.sites import HookSite

SENTENCE, NEURON = ("language", "sentence"), ("component", "layer", "neuron")


def side_by_side(
    points: Sequence[HookSite], n_sentences: int, read: Callable[[HookSite], Tensor]
) -> NDArray[np.float32]:
    """Activations of hook points, float32 ``[sentence, neuron]``, read one point at a time.

    Raises:
        MechsteerError: they take more than half of the free memory.
    """
    ends = np.cumsum([0, *(point.width for point in points)])
    _require_room(4 * n_sentences * int(ends[-1]))
    found = np.empty((n_sentences, int(ends[-1])), dtype=np.float32)
    for point, start, stop in zip(points, ends[:-1], ends[1:], strict=True):
        found[:, start:stop] = read(point).float().numpy()
    return found


def named(
    values: NDArray[np.float32],
    points: Sequence[HookSite],
    languages: Sequence[str],
    labels: Int[Tensor, " sentence"],
) -> pd.DataFrame:
    """The same with names: language and number of each sentence, place of each neuron."""
    rows = pd.DataFrame({SENTENCE[0]: np.array(languages, dtype=object)[labels.numpy()]})
    rows[SENTENCE[1]] = rows.groupby(SENTENCE[0], sort=False).cumcount()
    places = [(p.component, p.layer, neuron) for p in points for neuron in range(p.width)]
    return pd.DataFrame(
        values,
        index=pd.MultiIndex.from_frame(rows),
        columns=pd.MultiIndex.from_tuples(places, names=NEURON),
    )


def _require_room(size: int) -> None:
    free = available_memory()
    if size > free // 2:
        raise MechsteerError(
            f"these activations take {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free: read "
            "one layer with recording.activations(LAYER), or record with layers=[LAYER]"
        )
