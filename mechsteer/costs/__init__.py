"""What an edit costs the model itself: prediction, language, repetition."""

from mechsteer.costs.identify import language_probability
from mechsteer.costs.prediction import Comparison, Perplexity, compare, divergence, perplexity
from mechsteer.costs.repetition import distinct, repetition
from mechsteer.costs.sampling import Generations, sample
from mechsteer.costs.total import Cost, cost

__all__ = [
    "Comparison",
    "Cost",
    "Generations",
    "Perplexity",
    "compare",
    "cost",
    "distinct",
    "divergence",
    "language_probability",
    "perplexity",
    "repetition",
    "sample",
]
