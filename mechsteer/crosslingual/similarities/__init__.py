"""Which languages profit: pairs of a study beside the distances of their languages."""

from mechsteer.crosslingual.similarities.explain import similarity
from mechsteer.crosslingual.similarities.found import Similarity
from mechsteer.crosslingual.similarities.matrices import read_matrix
from mechsteer.crosslingual.similarities.responses import languages_of, responses_of
from mechsteer.crosslingual.similarities.singles import read_characteristics
from mechsteer.options.likeness import KINDS

__all__ = [
    "KINDS", "Similarity", "languages_of", "read_characteristics", "read_matrix", "responses_of",
    "similarity",
]  # fmt: skip
