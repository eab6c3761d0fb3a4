"""How AP and AUROC of many neurons are computed elsewhere: the same results, other tools."""

from __future__ import annotations

import joblib
import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

Rows = Float[Tensor, "neuron sentence"]
Labels = Int[Tensor, "sentence"]


def scikit_learn(rows: Rows, labels: Labels, languages: int) -> NDArray[np.float64]:
    """One call for each neuron, language and score: ``[2, language, neuron]``."""
    values, found = rows.float().numpy(), labels.numpy()
    return np.array(
        [
            [[metric(found == language, row) for row in values] for language in range(languages)]
            for metric in (average_precision_score, roc_auc_score)
        ]
    )


def joblib_pool(rows: Rows, labels: Labels, languages: int, *, cores: int) -> NDArray[np.float64]:
    """The same calls spread over processes."""
    chunks = joblib.Parallel(n_jobs=cores)(
        joblib.delayed(scikit_learn)(chunk, labels, languages)
        for chunk in rows.tensor_split(4 * cores)
    )
    return np.concatenate(chunks, axis=2)


def torch_sort(rows: Rows, labels: Labels, languages: int) -> NDArray[np.float64]:
    """One sort of all neurons, then gather, cumulate and settle ties for each language."""
    n = rows.shape[1]
    ordered, order = torch.sort(rows, dim=1, descending=True)
    place = torch.arange(n)
    last = torch.ones_like(order, dtype=torch.bool)
    last[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
    end = torch.where(last, place, n).flip(1).cummin(1).values.flip(1)
    first = torch.ones_like(last)
    first[:, 1:] = last[:, :-1]
    start = torch.where(first, place, 0).cummax(1).values
    scores = torch.empty(2, languages, len(rows), dtype=torch.float64)
    for language in range(languages):
        own = (labels == language)[order]
        hits = own.cumsum(1)
        size = int(hits[0, -1])
        precision = hits.gather(1, end) / (end + 1)
        scores[0, language] = (precision * own).sum(1) / size
        below = ((2 * n - start - end - 1) * own).sum(1) - size**2
        scores[1, language] = below / (2.0 * size * (n - size))
    return scores.numpy()
