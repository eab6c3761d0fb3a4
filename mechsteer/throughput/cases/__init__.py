"""What is timed: inputs as a model makes them, and each operation on them with its reference.

Methods of one operation share a signature, so that ours and everyone else's run on the same data
and are judged by the same reference.
"""

from mechsteer.throughput.cases.embeddings import nearest, neighbours_case
from mechsteer.throughput.cases.scoring import (
    ScoringInput,
    ScoringMethod,
    activations,
    labelings_case,
    labelling,
    ours,
    scikit_learn,
    scoring_case,
)
from mechsteer.throughput.cases.tokens import (
    EditMethod,
    edits_case,
    pool_max,
    pooling_case,
    prepared,
    token_batch,
)

__all__ = [
    "EditMethod",
    "ScoringInput",
    "ScoringMethod",
    "activations",
    "edits_case",
    "labelings_case",
    "labelling",
    "nearest",
    "neighbours_case",
    "ours",
    "pool_max",
    "pooling_case",
    "prepared",
    "scikit_learn",
    "scoring_case",
    "token_batch",
]
