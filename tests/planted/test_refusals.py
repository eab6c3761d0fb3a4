"""What cannot be measured is refused by every public name of ``mechsteer.analysis``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mechsteer import analysis
from mechsteer.errors import MechsteerError
from tests.planted.made import Space, space
from tests.planted.measures import MEASURES

SMALL = {"n": 24, "d": 8}

# what is made of embeddings: fitted, applied, or handed on to the statistics
ON_SPACES: dict[str, Callable[[Space], object]] = {
    **{name: measure.of for name, measure in MEASURES.items()},
    "retrieval": analysis.retrieval,
    "k_occurrence": lambda x: analysis.k_occurrence(*_two(x)),
    "language_means": analysis.language_means,
    "whitening": analysis.whitening,
    "map_to": lambda x: analysis.map_to(x, target="jpn_Jpan"),
    "lir_basis": lambda x: analysis.lir_basis(x, 1),
    "lsar_basis": lambda x: analysis.lsar_basis(x, 2),
    "centre": lambda x: analysis.centre(x, analysis.language_means(space(**SMALL))),
    "shift_to": lambda x: analysis.shift_to(
        x, analysis.language_means(space(**SMALL)), target="jpn_Jpan"
    ),
    "remove": lambda x: analysis.remove(x, analysis.lsar_basis(space(**SMALL), 2)),
    "largest_dimensions": analysis.largest_dimensions,
    "standardisation": analysis.standardisation,
    "without_dimensions": lambda x: analysis.without_dimensions(
        x, analysis.largest_dimensions(space(**SMALL)), 2
    ),
    "Standardisation": analysis.standardisation(space(**SMALL)),
    "choose_k": lambda x: analysis.choose_k(
        _each(x, lambda e: e[None]), analysis.largest_dimensions(space(**SMALL))[None]
    ),
    "LinearMap": lambda x: [analysis.whitening(space(**SMALL))(e) for e in x.values()],
}


def _two(x: Space) -> tuple[Tensor, Tensor]:
    first, second, *_ = x.values()
    return first, second


def _with(x: Space, change: Callable[[Tensor], Tensor], whose: str = "deu_Latn") -> Space:
    return x | {whose: change(x[whose].clone())}


def _each(x: Space, change: Callable[[Tensor], Tensor]) -> Space:
    return {language: change(e) for language, e in x.items()}


def _nan(e: Tensor) -> Tensor:
    e[3, 2] = torch.nan
    return e


def _infinite(e: Tensor) -> Tensor:
    e[3, 2] = torch.inf
    return e


def _zero(e: Tensor) -> Tensor:
    e[3] = 0
    return e


# what is done to the space, and what the refusal speaks of
HAZARDS: dict[str, tuple[Callable[[Space], Space], str]] = {
    "NaN": (lambda x: _with(x, _nan), "NaN or infinity in row 3"),
    "infinity": (lambda x: _with(x, _infinite), "NaN or infinity in row 3"),
    "zero row": (lambda x: _with(x, _zero), "row 3 is zero"),
    "one sentence": (lambda x: _each(x, lambda e: e[:1]), "expected two sentences"),
    "empty split": (lambda x: _each(x, lambda e: e[:0]), "expected two sentences"),
    "ragged languages": (lambda x: _with(x, lambda e: e[:-5]), r"parallel.*\(24, 8\)"),
    "different widths": (lambda x: _with(x, lambda e: e[:, :-1]), r"\(24, 7\)"),
    "integers": (lambda x: _each(x, Tensor.long), "expected floating-point"),
}

# ragged languages are welcome where sentences need not be parallel
SEPARATE = {
    "mean_cosine",
    "participation_ratio",
    "iso_score",
    "largest_share",
}  # of one language each
FITTED = {"language_means", "whitening", "lir_basis", "lsar_basis"}
FITTED |= {"largest_dimensions", "standardisation"}
APPLIED = {"centre", "shift_to", "remove", "LinearMap"}
APPLIED |= {"without_dimensions", "Standardisation"}
SEARCHED = {"k_occurrence", "skewness", "anti_hubs"}  # queries and candidates of any number
ALLOWED = {("ragged languages", name) for name in SEPARATE | FITTED | APPLIED | SEARCHED}
ALLOWED |= {("different widths", name) for name in SEPARATE}

NAN, NONE = torch.full((4, 4), torch.nan), torch.zeros(0, 0)
TWICE = torch.rand(2, 3)
# what takes numbers that others made
ON_NUMBERS: dict[str, list[Callable[[], object]]] = {
    "medoid": [lambda: analysis.medoid(NAN), lambda: analysis.medoid(NONE)],
    "csls": [lambda: analysis.csls(NAN, k=2), lambda: analysis.csls(NONE)],
    "ratio_margin": [lambda: analysis.ratio_margin(NAN, k=2), lambda: analysis.ratio_margin(NONE)],
    "difference_margin": [
        lambda: analysis.difference_margin(NAN, k=2),
        lambda: analysis.difference_margin(NONE),
    ],
    "skewness": [lambda: analysis.skewness(NONE.long().flatten())],
    "anti_hubs": [lambda: analysis.anti_hubs(NONE.long().flatten())],
    "reciprocal_ranks": [
        lambda: analysis.reciprocal_ranks(NONE.long()),
        lambda: analysis.reciprocal_ranks(torch.tensor([1, 0])),
        lambda: analysis.reciprocal_ranks(NAN),
    ],
    "hits_at": [lambda: analysis.hits_at(NONE.long(), 1), lambda: analysis.hits_at(NAN, 1)],
    "holm": [lambda: analysis.holm(NAN[0]), lambda: analysis.holm(NAN[0, :0])],
    "bootstrap_mean": [lambda: analysis.bootstrap_mean(NAN), lambda: analysis.bootstrap_mean(NONE)],
    "bootstrap_difference": [
        lambda: analysis.bootstrap_difference(NAN, NAN),
        lambda: analysis.bootstrap_difference(TWICE, TWICE[:1]),
    ],
    "against_seeds": [
        lambda: analysis.against_seeds(NAN, torch.rand(3, 4, 4)),
        lambda: analysis.against_seeds(TWICE, TWICE.expand(1, 2, 3)),
    ],
    "proportion_interval": [
        lambda: analysis.proportion_interval(NAN[0], 4),
        lambda: analysis.proportion_interval(torch.tensor([5]), 4),
        lambda: analysis.proportion_interval(torch.tensor([-1]), 4),
        lambda: analysis.proportion_interval(torch.tensor([0]), 0),
        lambda: analysis.proportion_interval(torch.tensor([1]), 4, confidence=1.0),
    ],
    "mcnemar": [
        lambda: analysis.mcnemar(NONE.bool(), NONE.bool()),
        lambda: analysis.mcnemar(TWICE, TWICE),
    ],
}
RECORDS = {"AgainstSeeds", "Intervals", "PairHits"}
RESHAPED = {"by_pair"}  # hands on what it gets


def test_every_public_name_has_its_refusals() -> None:
    named = {name.split()[0] for name in (*ON_SPACES, *ON_NUMBERS)}
    assert named | RECORDS | RESHAPED == set(analysis.__all__)


@pytest.mark.parametrize("name", ON_SPACES)
def test_the_small_space_itself_is_measured(name: str) -> None:
    ON_SPACES[name](space(**SMALL))


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("name", ON_SPACES)
def test_a_space_that_cannot_be_measured_is_refused(name: str, hazard: str) -> None:
    harm, words = HAZARDS[hazard]
    made = harm(space(**SMALL))
    if (hazard, name) in ALLOWED:
        ON_SPACES[name](made)
        return
    with pytest.raises(MechsteerError, match=words):
        ON_SPACES[name](made)


@pytest.mark.parametrize("name", [*sorted(FITTED), "map_to", "retrieval", "pair_distances"])
def test_no_language_at_all_is_refused(name: str) -> None:
    with pytest.raises(MechsteerError):
        ON_SPACES[name]({})


@pytest.mark.parametrize("name", ON_NUMBERS)
def test_numbers_that_are_none_are_refused(name: str) -> None:
    for call in ON_NUMBERS[name]:
        with pytest.raises(MechsteerError):
            call()
