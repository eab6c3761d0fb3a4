"""What a study says of each pair of languages, as matrices: base, edits and their gain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from mechsteer.crosslingual.transfers.findings import Transfer
from mechsteer.errors import MechsteerError
from mechsteer.studies import Study
from mechsteer.studies.conditions import BASE
from mechsteer.studies.places import Place

MEASURES = ("retrieval_top1", "retrieval_margin", "mexa")
_STATE = ["kind", "edit", "language", "layer", "metric"]


@dataclass(frozen=True)
class Response:
    """One number of every ordered pair of languages.

    Attributes:
        state: What was done to the model: ``none``, the edit, or a control, and to which language.
        metric: Of ``MEASURES``; with ``.delta`` the gain over no edit.
        layer: Row of the residual stream.
        place: Its name where it has one: ``best_layer``, ``last_block``, ``final_norm``.
        values: [query language, language searched]; NaN where the study kept no single pair.
    """

    state: str
    metric: str
    layer: int
    place: str
    values: Float[np.ndarray, "language language"]

    @property
    def name(self) -> str:
        """All of it in one line."""
        where = self.place or f"layer {self.layer}"
        return f"{self.state}: {self.metric} at {where}"


def languages_of(study: Study) -> tuple[str, ...]:
    """Languages that the study has single pairs of, in its order.

    Raises:
        MechsteerError: it has none.
    """
    rows = _pairs(study)
    if rows.empty:
        raise MechsteerError(
            "the study keeps no single pairs of languages: run `mechsteer study` on three or more"
        )
    return tuple(dict.fromkeys([*rows["source"], *rows["target"]]))


def responses_of(study: Study) -> list[Response]:
    """The base, and the gain under each state at its chosen dose; seeds are averaged."""
    languages, rows = languages_of(study), _pairs(study)
    return list(_responses(rows, languages, {row: name for name, row in study.places.items()}))


def responses_of_transfer(
    found: Transfer, languages: tuple[str, ...], places: Mapping[Place, int]
) -> list[Response]:
    """Accuracy of a probe of one language in another, and its gain; ``transfer_accuracy``.

    At the study's places that were probed, else at the best layer within languages.
    """
    rows = found.results
    single = (rows["source"] != "*") & (rows["target"] != "*") & (rows["source"] != rows["target"])
    base = rows["kind"] == BASE.kind
    told = rows["metric"] == "accuracy"
    layers = [row for row in places.values() if row in found.layers] or [found.best_layer]
    kept = rows[single & rows["layer"].isin(layers) & (base & told | _is_gain(rows, base))]
    named = {row: name for name, row in places.items()}
    renamed = kept.assign(metric="transfer_" + kept["metric"].astype(str))
    return list(_responses(renamed, languages, named))


def _is_gain(rows: pd.DataFrame, base: pd.Series[bool]) -> pd.Series[bool]:
    return ~base & (rows["metric"] == "accuracy.delta")


def _responses(
    rows: pd.DataFrame, languages: tuple[str, ...], places: Mapping[int, str]
) -> Iterator[Response]:
    for key, group in rows.groupby(_STATE, sort=False, observed=True):
        kind, edit, language, layer_name, metric = map(str, key)
        layer = int(float(layer_name))
        cells = group.groupby(["source", "target"], observed=True)["value"].mean().unstack()
        values = cells.reindex(index=list(languages), columns=list(languages))
        state = (
            "none" if kind == "base" else " ".join(filter(None, [_called(kind, edit), language]))
        )
        yield Response(
            state=state,
            metric=metric,
            layer=layer,
            place=places.get(layer, ""),
            values=values.to_numpy(dtype=np.float64),
        )


def _called(kind: str, edit: str) -> str:
    return {"edit": edit, "random": f"{edit} on random neurons"}.get(kind, kind)


def _pairs(study: Study) -> pd.DataFrame:
    """Rows of single pairs: measures of the base, gains of everything else."""
    rows = study.at_chosen
    rows = rows[(rows["source"] != "*") & (rows["target"] != "*")]
    base = rows["kind"] == "base"
    gains = [f"{name}.delta" for name in MEASURES]
    return rows[(base & rows["metric"].isin(MEASURES)) | (~base & rows["metric"].isin(gains))]
