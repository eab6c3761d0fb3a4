"""AP and AUROC of every neuron for every language, beside what others do.

Loops over neurons run on fewer of them: compare ns per element.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import torch

from benchmarks import device_peers, peers
from mechsteer.throughput.cases import ScoringInput, ours, scikit_learn, scoring_case
from mechsteer.throughput.measure import Case

SENTENCES = 3000
LANGUAGES = (1, 10, 100)
MOMENTS = partial(ours, moments=True)


def cpu() -> Iterator[list[Case]]:
    """Peers and backends on bfloat16; then our own path by type and layout."""
    for languages in LANGUAGES:
        recording = ScoringInput.make(SENTENCES, 4000, languages)
        yield [*loops(recording), *sorts(recording.first(100)), *own(recording)]
    for dtype in (torch.float16, torch.float32):
        yield own(ScoringInput.make(SENTENCES, 4000, 10, dtype))


def loops(recording: ScoringInput) -> list[Case]:
    """A call for each neuron and language."""
    cores, few = os.cpu_count() or 1, max(2, 40 // recording.languages)
    pool = partial(peers.joblib_pool, cores=cores)
    many = recording.first(2 * cores * few)
    made = [
        scoring_case("scikit-learn loop", scikit_learn, recording.first(few)),
        scoring_case("joblib pool", pool, many, threads=cores, processes=True),
    ]
    if not peers.missing("torchmetrics"):
        made.append(scoring_case("torchmetrics loop", peers.torch_metrics, recording.first(few)))
    return made


def sorts(recording: ScoringInput) -> list[Case]:
    """One sort for all languages, then vectorised work for each."""
    return [
        scoring_case("torch.sort", peers.torch_sort, recording),
        scoring_case("torch.sort, packed", peers.torch_sort_packed, recording),
        scoring_case("torch.sort, compiled", peers.torch_compiled, recording),
    ]


def own(recording: ScoringInput) -> list[Case]:
    """Our backends, and both layouts."""
    turned = recording.sentence_major()
    return [
        scoring_case("mechsteer numpy", partial(ours, backend="numpy"), recording.first(1000)),
        scoring_case("mechsteer", ours, recording),
        scoring_case("mechsteer with moments", MOMENTS, recording),
        scoring_case("mechsteer", ours, turned),
        scoring_case("mechsteer with moments", MOMENTS, turned),
    ]


def cuda() -> Iterator[list[Case]]:
    """Triton at the size of a layer, beside tie-exact sorts and whatever else is installed."""
    for languages in (1, 12):
        for dtype in (torch.bfloat16, torch.float32):
            recording = ScoringInput.make(4096, 16_384, languages, dtype, "cuda")
            made = [
                scoring_case("mechsteer triton", ours, recording),
                scoring_case("mechsteer triton with moments", MOMENTS, recording),
                scoring_case("torch.sort", peers.torch_sort, recording.first(4096)),
                scoring_case("torch.sort, compiled", peers.torch_compiled, recording.first(4096)),
            ]
            if dtype == torch.bfloat16:
                packed = peers.torch_sort_packed
                made.append(scoring_case("torch.sort, packed", packed, recording.first(4096)))
            yield [*made, *device_peers.optional(recording)]
