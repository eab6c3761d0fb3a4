"""What an edit costs the model itself: prediction, language, repetition."""

from mechsteer.costs.cost import Cost, cost
from mechsteer.costs.identify import language_probability
from mechsteer.costs.perplexity import Comparison, Perplexity, compare, divergence, perplexity
from mechsteer.costs.repetition import distinct, repetition
from mechsteer.costs.sampling import Generations, sample

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
