"""Statistics over pairs of languages, which are not independent: pairs share languages.

Matrices in, records out: a response and predictors [language, language], NaN where unknown. Every
p-value is from permuted languages; every interval of pairs leaves languages out.
"""

from mechsteer.pairwise.correction import benjamini_hochberg, holm
from mechsteer.pairwise.importance import importance
from mechsteer.pairwise.mantel import mantel, partial_mantel
from mechsteer.pairwise.ndcg import ndcg
from mechsteer.pairwise.ranking import Ranking, rank_sources
from mechsteer.pairwise.regression import crossed, mrm
from mechsteer.pairwise.results import Correlation, Effect, Importance, Prediction, Regression
from mechsteer.pairwise.singles import Characteristic, Singles, explain_languages
from mechsteer.pairwise.validation import predict_unseen

__all__ = [
    "Characteristic",
    "Correlation",
    "Effect",
    "Importance",
    "Prediction",
    "Ranking",
    "Regression",
    "Singles",
    "benjamini_hochberg",
    "crossed",
    "explain_languages",
    "holm",
    "importance",
    "mantel",
    "mrm",
    "ndcg",
    "partial_mantel",
    "predict_unseen",
    "rank_sources",
]
