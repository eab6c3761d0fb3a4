"""Kernels: tensors in, tensors out.

The operations live in the top-level folder ``kernels/``, which a wheel copies beside this file.
That folder is never a package of its own (see ``setup.py``); a checkout reaches it through
``__path__``.
Importing this module needs neither a GPU, Triton nor numba: each operation loads its backend when
it first runs.
"""

from pathlib import Path as _Path

__path__ = __path__ + [
    str(folder)
    for folder in [_Path(__file__).resolve().parents[2] / "kernels"]
    if (folder / "scoring" / "operation.py").is_file()
]

from mechsteer.kernels.edits import PreparedEdit, edit_neurons
from mechsteer.kernels.labelings import LabelingScores, score_labelings
from mechsteer.kernels.neighbours import (
    TIE,
    LocalScaling,
    Neighbours,
    mean_of_nearest,
    neighbours,
)
from mechsteer.kernels.permutation import (
    PermutationPlan,
    PermutationTest,
    permutation_test,
    plan_permutations,
)
from mechsteer.kernels.pooling import POOLINGS, Pooling, pool_tokens
from mechsteer.kernels.scoring import Scores, effect_size, score
from mechsteer.kernels.streaming import (
    BinnedResult,
    BinnedScores,
    Bounds,
    KeyCounts,
    StreamingScores,
    linear_edges,
    quantile_edges,
)
from mechsteer.kernels.top_experts import TopExperts, top_experts

__all__ = [
    "POOLINGS",
    "TIE",
    "BinnedResult",
    "BinnedScores",
    "Bounds",
    "KeyCounts",
    "LabelingScores",
    "LocalScaling",
    "Neighbours",
    "PermutationPlan",
    "PermutationTest",
    "Pooling",
    "PreparedEdit",
    "Scores",
    "StreamingScores",
    "TopExperts",
    "edit_neurons",
    "effect_size",
    "linear_edges",
    "mean_of_nearest",
    "neighbours",
    "permutation_test",
    "plan_permutations",
    "pool_tokens",
    "quantile_edges",
    "score",
    "score_labelings",
    "top_experts",
]
