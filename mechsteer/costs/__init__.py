"""What an edit costs the model itself: prediction, language, repetition."""

from mechsteer.costs.cost import Cost, cost
from mechsteer.costs.identify import language_probability
from mechsteer.costs.perplexity import Perplexity, Shift, divergence, perplexity, shift
from mechsteer.costs.repetition import distinct, repetition
from mechsteer.costs.sampling import Generations, sample

__all__ = [
    "Cost",
    "Generations",
    "Perplexity",
    "Shift",
    "cost",
    "distinct",
    "divergence",
    "language_probability",
    "perplexity",
    "repetition",
    "sample",
    "shift",
]
