"""What an edit costs the model itself: prediction, language, repetition."""

from mechsteer.costs.identify import language_probability
from mechsteer.costs.likelihood import divergence
from mechsteer.costs.measure import Cost, cost
from mechsteer.costs.ngrams import distinct, repetition
from mechsteer.costs.prediction import Comparison, Perplexity, compare, perplexity
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
