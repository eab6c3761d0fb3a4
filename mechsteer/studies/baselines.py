"""The baselines of a study: what is done to the untouched model's embeddings, fitted on dev."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Int
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings, centre, language_means
from mechsteer.analysis.dimensions import (
    choose_k,
    largest_dimensions,
    standardisation,
    without_dimensions,
)
from mechsteer.analysis.held import mapped
from mechsteer.studies.conditions import CENTRING, DIMENSIONS, STANDARDISATION, Condition
from mechsteer.studies.doses import spread

Apply = Callable[[LayerEmbeddings], LayerEmbeddings]
CHOSEN_ON = 200  # sentences of dev at most: k is one of few, and each costs a retrieval a layer
REMOVED = "dimensions_removed"  # a metric of the results: how many, in each layer


@dataclass(frozen=True)
class Baselines:
    """Centring, the largest dimensions removed, and standardisation; none where none is fitted.

    Attributes:
        apply: what each does to embeddings of a text.
        removed: how many dimensions go in each layer.
    """

    apply: Mapping[Condition, Apply] = field(default_factory=dict)
    removed: Int[Tensor, " layer"] | None = None

    @classmethod
    def fit(cls, dev: LayerEmbeddings) -> Baselines:
        """Fit means, deviations and the order of the dimensions on all of dev.

        How many dimensions go is chosen in each layer by retrieval on up to 200 of its sentences,
        evenly spread.

        Raises:
            MechsteerError: what ``mechsteer.analysis`` refuses.
        """
        order, n = largest_dimensions(dev), next(iter(dev.values())).shape[-2]
        rows = spread(n, min(n, CHOSEN_ON))
        removed = choose_k(mapped(dev, lambda _, x: x[:, rows]), order)
        apply: dict[Condition, Apply] = {
            CENTRING: partial(centre, means=language_means(dev)),
            DIMENSIONS: partial(without_dimensions, order=order, k=removed),
            STANDARDISATION: standardisation(dev),
        }
        return cls(apply, removed)

    def joined(self, results: pd.DataFrame) -> pd.DataFrame:
        """The results with rows that say how many dimensions were removed in each layer."""
        if self.removed is None:
            return results
        values = {"layer": range(len(self.removed)), "value": self.removed.double().numpy()}
        same = {"source": "*", "target": "*", "metric": REMOVED, "n": results["n"].iloc[0]}
        ends = {"ci_low": np.nan, "ci_high": np.nan}
        rows = pd.DataFrame(values).assign(**same, **ends, **DIMENSIONS.columns())
        return pd.concat([results, rows[list(results.columns)]], ignore_index=True)
