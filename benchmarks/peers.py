"""How AP and AUROC of many neurons are computed elsewhere: the same results, other tools.

Each takes rows ``[neuron, sentence]``, labels and the languages to score, and returns
``[score, language, neuron]`` of AP and AUROC. scikit-learn's loop is the reference itself and lives
with the cases.
"""

from __future__ import annotations

from importlib.util import find_spec

import joblib
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechsteer.throughput.cases import scikit_learn

Rows = Float[Tensor, "neuron sentence"]
Labels = Int[Tensor, "sentence"]


def missing(*packages: str) -> list[str]:
    """Peers that are not installed; ``pip install 'mechsteer[bench]'`` brings them."""
    return [package for package in packages if find_spec(package) is None]


def joblib_pool(rows: Rows, labels: Labels, languages: int, *, cores: int) -> Tensor:
    """scikit-learn's calls spread over processes."""
    chunks = joblib.Parallel(n_jobs=cores)(
        joblib.delayed(scikit_learn)(chunk.clone(), labels, languages)
        for chunk in rows.tensor_split(4 * cores)
    )
    return torch.cat(chunks, 2)


def torch_metrics(rows: Rows, labels: Labels, languages: int) -> Tensor:
    """Torchmetrics' exact curves, a call per neuron, language and score.

    It passes scores outside [0, 1] through a float32 sigmoid, which ties what is not tied: rows are
    stretched to [0, 1] in float64 first, which keeps their order and their ties.
    """
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    low, high = rows.double().aminmax(dim=1, keepdim=True)
    unit = (rows.double() - low) / (high - low)
    members = [(labels == language).long() for language in range(languages)]
    return torch.stack(
        [
            torch.stack([torch.stack([metric(row, own) for row in unit]) for own in members])
            for metric in (binary_average_precision, binary_auroc)
        ]
    )


def torch_sort(rows: Rows, labels: Labels, languages: int) -> Tensor:
    """One sort of all neurons, then gather, cumulate and settle ties for each language."""
    ordered, order = torch.sort(rows, dim=1, descending=True)
    return _by_language(ordered, labels.to(rows.device)[order], languages)


def torch_sort_packed(rows: Rows, labels: Labels, languages: int) -> Tensor:
    """Sort integers that hold a 16-bit float's order and the sentence: no order to gather by."""
    ordered = torch.sort(packed(rows), dim=1, descending=True).values
    return of_packed(ordered, labels, languages)


def packed(rows: Rows) -> Int[Tensor, "neuron sentence"]:
    """A 16-bit float's order in the upper half of an int32, the sentence in the lower."""
    bits = (rows + 0.0).view(torch.int16).int()  # -0.0 becomes +0.0
    key = bits ^ ((bits >> 15) & 0x7FFF)
    return key << 16 | torch.arange(rows.shape[1], dtype=torch.int32, device=rows.device)


def of_packed(ordered: Int[Tensor, "neuron rank"], labels: Labels, languages: int) -> Tensor:
    """Scores from packed integers in descending order."""
    return _by_language(ordered >> 16, labels.to(ordered.device)[ordered & 0xFFFF], languages)


def _by_language(ordered: Tensor, labels: Int[Tensor, "neuron rank"], languages: int) -> Tensor:
    start, end = _runs(ordered)
    return torch.stack(
        [_one_language(labels == language, start, end) for language in range(languages)], 1
    )


def _runs(ordered: Tensor) -> tuple[Tensor, Tensor]:
    """First and last place of the run of ties around each place."""
    n = ordered.shape[1]
    place = torch.arange(n, device=ordered.device)
    differs = ordered[:, 1:] != ordered[:, :-1]
    edge = torch.ones_like(differs[:, :1])
    first, last = torch.cat([edge, differs], 1), torch.cat([differs, edge], 1)
    end = torch.where(last, place, n).flip(1).cummin(1).values.flip(1)
    return torch.where(first, place, 0).cummax(1).values, end


def _one_language(own: Bool[Tensor, "neuron rank"], start: Tensor, end: Tensor) -> Tensor:
    n = own.shape[1]
    hits = own.cumsum(1)
    size = hits[:, -1]
    precision = hits.gather(1, end).double() / (end + 1)
    below = ((2 * n - start - end - 1) * own).sum(1) - size**2
    return torch.stack([(precision * own).sum(1) / size, below / (2.0 * size * (n - size))])


_compiled = torch.compile(_one_language, dynamic=False)


def torch_compiled(rows: Rows, labels: Labels, languages: int) -> Tensor:
    """The same as ``torch_sort`` with what follows the sort fused by ``torch.compile``."""
    ordered, order = torch.sort(rows, dim=1, descending=True)
    start, end = _runs(ordered)
    found = labels.to(rows.device)[order]
    return torch.stack(
        [_compiled(found == language, start, end) for language in range(languages)], 1
    )
