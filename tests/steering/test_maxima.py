"""A clamp at maxima warns, once, before a model writes under it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import mechsteer as ms
from mechsteer.costs import sample
from mechsteer.interventions import compose
from mechsteer.steering.maxima import of_maxima
from tests.made import made_scores

MADE = made_scores().top("fra_Latn", 6)


@pytest.fixture(scope="module")
def model() -> Any:
    return ms.load_model(device="cpu")


@pytest.fixture(scope="module")
def french(model: Any) -> ms.Experts:
    dev = ms.ParallelCorpus.embedded("dev", languages=["fra_Latn", "jpn_Jpan"])
    return ms.score(model, dev.head(6)).top("fra_Latn", 9)


@pytest.mark.parametrize("value", ["mean", "median"])
def test_only_clamps_at_maxima_are_told(value: str) -> None:
    maxima = ms.clamp(MADE, value=value, pooling="max")
    assert of_maxima([maxima.scaled(0.5)]).startswith("6 neurons are held at maxima")
    assert 'clamp(experts, pooling="mean")' in of_maxima([maxima])
    others = [ms.clamp(MADE), ms.clamp(MADE, value=2.0), ms.damp(MADE), ms.aura(MADE)]
    assert of_maxima(others) == of_maxima([]) == ""
    assert of_maxima(compose(ms.damp(MADE), maxima)).startswith("6 neurons")


def test_it_is_said_once_a_scope_and_only_where_something_is_written(
    model: Any, french: ms.Experts
) -> None:
    def said(*edits: Any, write: Callable[[], object]) -> int:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with ms.steer(model, *edits):
                write()
                write()
        return sum("held at maxima" in str(one.message) for one in told)

    def writes() -> object:
        return sample(model, max_new_tokens=2)

    def generates() -> object:
        return model.generate("The", max_new_tokens=2, verbose=False)

    maxima = ms.clamp(french, pooling="max")
    assert said(maxima, write=writes) == said(maxima, write=generates) == 1
    assert said(ms.clamp(french), write=writes) == said(maxima.scaled(0), write=writes) == 0
    assert said(maxima, write=lambda: model(model.to_tokens("The"))) == 0
    assert said(write=writes) == 0  # nothing is left of scopes that wrote nothing
