"""Peers of scoring on a device that nothing here needs: each is timed where it is installed.

``missing`` says of every other one why it is left out. They are judged by our own scores of all
their neurons, which scikit-learn's judge; those that know no average precision give AUROC alone.

- ``cuda.compute.segmented_sort`` sorts the packed integers of ``peers.torch_sort_packed``
  (``pip install 'cuda-cccl[minimal-cu13]'``).
- torcheval's AUROC takes all neurons at once, a call for each language (``torcheval``).
- cuML's AUROC takes one neuron and one language (``cuml-cu13``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module

import torch
from torch import Tensor

from benchmarks import peers
from mechsteer.throughput.cases import ScoringInput, ScoringMethod, ours, scoring_case
from mechsteer.throughput.measure import Case


@dataclass(frozen=True)
class Peer:
    """One tool: what is imported of it and what installs that, on how many neurons it is timed."""

    method: str
    module: str
    package: str
    run: ScoringMethod
    neurons: int = 4096
    auroc_only: bool = True
    packs: bool = False
    on_cpu: bool = False

    def missing(self, given: ScoringInput) -> str | None:
        """Why this peer cannot score a recording, or None."""
        if self.packs and given.rows.element_size() != 2:
            return "it packs activations of 16 bits only"
        if not (self.on_cpu or given.rows.is_cuda):
            return "it needs a CUDA device"
        try:
            import_module(self.module)
        except ModuleNotFoundError as error:
            return f"{error}: pip install '{self.package}'"
        except Exception as error:  # no CUDA library, another Python: whatever it is, it is told
            return f"importing {self.module} fails: {type(error).__name__}: {error}"
        return None

    def case(self, given: ScoringInput) -> Case:
        """Score the first neurons, to be compared with our scores of the same."""
        few = given.first(self.neurons)
        expected = ours(few.rows, few.labels, few.languages).double().cpu()
        if self.auroc_only:
            expected = expected[1:]
        return scoring_case(self.method, self.run, replace(few, expected=expected))


def cuda_segmented_sort(rows: Tensor, labels: Tensor, languages: int) -> Tensor:
    """CUB's sort of every neuron's packed keys, its segments, then as the other sorts go on."""
    keys = peers.packed(rows)
    ordered, n = torch.empty_like(keys), rows.shape[1]
    edges = torch.arange(len(rows) + 1, device=rows.device) * n
    _segmented_sort()(keys, ordered, edges)
    return peers.of_packed(ordered, labels, languages)


def _segmented_sort() -> Callable[[Tensor, Tensor, Tensor], None]:
    from cuda.compute import SortOrder, segmented_sort

    def run(keys: Tensor, ordered: Tensor, edges: Tensor) -> None:
        segmented_sort(
            d_in_keys=keys.view(-1),
            d_out_keys=ordered.view(-1),
            num_items=keys.numel(),
            num_segments=len(keys),
            start_offsets_in=edges[:-1],
            end_offsets_in=edges[1:],
            order=SortOrder.DESCENDING,
        )

    return run


def torcheval_auroc(rows: Tensor, labels: Tensor, languages: int) -> Tensor:
    """Several neurons are as many tasks; float32 counts pairs exactly for up to 5,792 sentences."""
    from torcheval.metrics.functional import binary_auroc

    members = [(labels == language).float().to(rows.device) for language in range(languages)]
    scores = [binary_auroc(rows, own.expand(len(rows), -1), num_tasks=len(rows)) for own in members]
    return torch.stack(scores)[None]


def cuml_auroc(rows: Tensor, labels: Tensor, languages: int) -> Tensor:
    """A call for each neuron and language; cupy, beneath it, knows no bfloat16."""
    # cuML has a package for each CUDA, none of which can be a requirement of all machines.
    roc_auc_score = import_module("cuml.metrics").roc_auc_score
    values = rows.float()
    members = [(labels == language).int().to(rows.device) for language in range(languages)]
    return torch.tensor([[[float(roc_auc_score(own, row)) for row in values] for own in members]])


PEERS = (
    Peer(
        *("cuda.compute.segmented_sort, packed", "cuda.compute", "cuda-cccl[minimal-cu13]"),
        cuda_segmented_sort,
        auroc_only=False,
        packs=True,
    ),
    Peer(
        *("torcheval, AUROC", "torcheval.metrics.functional", "torcheval"),
        torcheval_auroc,
        on_cpu=True,
    ),
    Peer("cuML loop, AUROC", "cuml.metrics", "cuml-cu13", cuml_auroc, neurons=32),
)


def optional(given: ScoringInput) -> Iterator[Case]:
    """The cases of all peers that are here; the others are named with the reason."""
    for peer in PEERS:
        reason = peer.missing(given)
        if reason is None:
            yield peer.case(given)
        else:
            print(f"{peer.method} is not timed: {reason}", flush=True)
