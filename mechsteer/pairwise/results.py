"""What tests over pairs answer: small records, each with its table."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from mechsteer.pairwise.correction import benjamini_hochberg, holm


@dataclass(frozen=True)
class Correlation:
    """Of a response and a predictor over pairs, perhaps beside controls.

    Attributes:
        r: The correlation; partial where there are controls.
        p: Two-sided, from permuted languages.
        n_pairs: Pairs with all values known.
        n_languages: Languages that these have.
        symmetric: Whether each unordered pair counts once.
        permutations: How many; p is never below ``1 / (1 + permutations)``.
        method: ``pearson`` or ``spearman``.
        controls: What is held.
    """

    r: float
    p: float
    n_pairs: int
    n_languages: int
    symmetric: bool
    permutations: int
    method: str
    controls: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """One row."""
        return pd.DataFrame([asdict(self) | {"controls": " ".join(self.controls)}])


@dataclass(frozen=True)
class Effect:
    """One predictor in a regression over pairs.

    Attributes:
        predictor: Its name.
        coefficient: Change of the response a unit of the predictor, the others held.
        low: Of its 95 % interval by leaving out languages; ``high`` likewise.
        high: See there.
        standardised: The coefficient in standard deviations of both.
        t: The coefficient over its error in the fit.
        p: Two-sided, from permuted languages.
    """

    predictor: str
    coefficient: float
    low: float
    high: float
    standardised: float
    t: float
    p: float


@dataclass(frozen=True)
class Regression:
    """A response over pairs, by all predictors at once.

    Attributes:
        response: Its name.
        effects: One of each predictor.
        r2: Share of the variance over pairs that the predictors explain.
        p: Of all predictors together, from permuted languages.
        n_pairs: Pairs with all values known.
        n_languages: Languages that these have.
        symmetric: Whether each unordered pair counts once.
        permutations: How many; p is never below ``1 / (1 + permutations)``.
        shares: Of the variance that the predictors leave: that of languages (of symmetric pairs
            both together, else sources and targets) and of the pairs' own; empty where the fit
            knows no effects of languages.
    """

    response: str
    effects: tuple[Effect, ...]
    r2: float
    p: float
    n_pairs: int
    n_languages: int
    symmetric: bool
    permutations: int
    shares: tuple[tuple[str, float], ...] = ()

    def table(self) -> pd.DataFrame:
        """One row a predictor, p also corrected over predictors by Holm and by BH."""
        rows = pd.DataFrame([asdict(effect) for effect in self.effects])
        p = rows["p"].to_numpy(dtype=np.float64)
        rows = rows.assign(p_holm=holm(p), p_bh=benjamini_hochberg(p))
        rows.insert(0, "response", self.response)
        return rows.assign(n_pairs=self.n_pairs, n_languages=self.n_languages)


@dataclass(frozen=True)
class Importance:
    """How the explained variance divides among predictors.

    Attributes:
        response: Its name.
        predictors: Their names; the following have one value each.
        share: Mean gain in R2 over all orders of entering (LMG, general dominance); sums to r2.
        low: Of the 95 % interval by leaving out languages; ``high`` likewise. Never below 0.
        high: See there.
        alone: R2 of the predictor by itself.
        last: What it adds to all others.
        r2: Of all predictors.
        n_pairs: Pairs with all values known.
        n_languages: Languages that these have.
    """

    response: str
    predictors: tuple[str, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    alone: tuple[float, ...]
    last: tuple[float, ...]
    r2: float
    n_pairs: int
    n_languages: int

    def table(self) -> pd.DataFrame:
        """One row a predictor."""
        columns = ("share", "low", "high", "alone", "last")
        values = {name: getattr(self, name) for name in columns}
        rows = pd.DataFrame({"predictor": self.predictors, **values})
        rows.insert(0, "response", self.response)
        return rows.assign(r2=self.r2, n_pairs=self.n_pairs, n_languages=self.n_languages)


@dataclass(frozen=True)
class Prediction:
    """How well pairs of unseen languages are predicted.

    Attributes:
        response: Its name.
        r2: ``1 - sum (y - y^)^2 / sum (y - mean)^2``, prediction and mean both from pairs that have
            neither language of the pair; negative where the mean predicts better.
        r2_seen: R2 of the fit to all pairs, which knows what it predicts.
        n_pairs: Pairs predicted.
        n_languages: Languages that these have.
    """

    response: str
    r2: float
    r2_seen: float
    n_pairs: int
    n_languages: int

    def table(self) -> pd.DataFrame:
        """One row."""
        return pd.DataFrame([asdict(self)])
