"""Statistics over pairs of languages, which are not independent: pairs share languages.

Matrices in, records out: a response and predictors [language, language], NaN where unknown. Every
p-value is from permuted languages; every interval leaves languages out.
"""

from mechsteer.pairwise.correction import benjamini_hochberg, holm
from mechsteer.pairwise.importance import importance
from mechsteer.pairwise.mantel import mantel, partial_mantel
from mechsteer.pairwise.regression import crossed, mrm
from mechsteer.pairwise.results import Correlation, Effect, Importance, Prediction, Regression
from mechsteer.pairwise.validation import predict_unseen

__all__ = [
    "Correlation",
    "Effect",
    "Importance",
    "Prediction",
    "Regression",
    "benjamini_hochberg",
    "crossed",
    "holm",
    "importance",
    "mantel",
    "mrm",
    "partial_mantel",
    "predict_unseen",
]
