"""Kernels: tensors in, tensors out.

The operations live in the top-level folder ``kernels/``, which a wheel copies beside this file.
That folder is never a package of its own (see ``setup.py``); a checkout reaches it through
``__path__``.
Importing this module needs neither a GPU, Triton nor numba: each operation loads its backend when
it first runs.
"""

from pathlib import Path as _Path

_checkout = _Path(__file__).resolve().parents[2] / "kernels"
if (_checkout / "scoring.py").is_file():
    __path__.append(str(_checkout))

from mechsteer.kernels.binned import BinnedResult, BinnedScores, Bounds  # noqa: E402
from mechsteer.kernels.bins import linear_edges, quantile_edges  # noqa: E402
from mechsteer.kernels.edits import PreparedEdit, edit_neurons  # noqa: E402
from mechsteer.kernels.effect import effect_size  # noqa: E402
from mechsteer.kernels.key_counts import KeyCounts  # noqa: E402
from mechsteer.kernels.labelings import LabelingScores, score_labelings  # noqa: E402
from mechsteer.kernels.neighbours import Neighbours, neighbours  # noqa: E402
from mechsteer.kernels.permutation import PermutationTest, permutation_test  # noqa: E402
from mechsteer.kernels.permutation_plan import (  # noqa: E402
    PermutationPlan,
    plan_permutations,
)
from mechsteer.kernels.pooling import POOLINGS, Pooling, pool_tokens  # noqa: E402
from mechsteer.kernels.scoring import Scores, score  # noqa: E402
from mechsteer.kernels.streaming import StreamingScores  # noqa: E402
from mechsteer.kernels.top_experts import TopExperts, top_experts  # noqa: E402

__all__ = [
    "POOLINGS",
    "BinnedResult",
    "BinnedScores",
    "Bounds",
    "KeyCounts",
    "LabelingScores",
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
    "neighbours",
    "permutation_test",
    "plan_permutations",
    "pool_tokens",
    "quantile_edges",
    "score",
    "score_labelings",
    "top_experts",
]
