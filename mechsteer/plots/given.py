"""What a figure may be asked of: its table, or the object that holds it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mechsteer.errors import MechsteerError
from mechsteer.experts import Experts, NeuronScores
from mechsteer.studies import Study
from mechsteer.studies.detail_tables import counts_of_experts, experts_per_layer


def table_of(given: Any, name: str) -> pd.DataFrame:
    """A table as it is, or the one of that name of a study; results at the chosen doses.

    Raises:
        MechsteerError: it is neither.
    """
    if isinstance(given, Study):
        found: pd.DataFrame = given.at_chosen if name == "results" else given.tables[name]
        return found
    if isinstance(given, pd.DataFrame):
        return given
    raise MechsteerError(
        f"expected a Study or its table of {name} (study.{name}), got {type(given).__name__}"
    )


def counts_of(given: Any) -> pd.DataFrame:
    """Experts by layer, of experts themselves too, or of the best 100 neurons of some scores.

    Raises:
        MechsteerError: it is none of these.
    """
    if isinstance(given, Experts):
        return counts_of_experts(given)
    if isinstance(given, NeuronScores):
        return experts_per_layer(given, min(100, given.site.n_neurons))
    return table_of(given, "counts")
