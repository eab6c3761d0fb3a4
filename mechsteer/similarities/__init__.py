"""Which languages profit: pairs of a study beside the distances of their languages."""

from mechsteer.options.likeness import KINDS
from mechsteer.similarities.explain import similarity
from mechsteer.similarities.found import Similarity
from mechsteer.similarities.matrices import read_matrix
from mechsteer.similarities.responses import languages_of, responses_of

__all__ = ["KINDS", "Similarity", "languages_of", "read_matrix", "responses_of", "similarity"]
