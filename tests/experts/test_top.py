"""The best neurons of a recording, as the table of all scores ranks them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch

from mechsteer.errors import MechsteerError
from mechsteer.experts import Experts, score_recording, top_of_recording
from mechsteer.experts.significance import significance_of
from mechsteer.recording import Recording
from tests.made import LANGUAGES, SITE, Tables, made_recording


def recording(kind: str, dtype: torch.dtype) -> Recording:
    made = made_recording(3, counts=(40, 25, 30), poolings=("max",))
    tables = {}
    for point in SITE.points:
        z = made.activations(point, pooling="max") + (made.labels == 1).double()[:, None]
        if kind == "ties":
            z = z.round()
        if kind == "saturated":  # many neurons tell French apart: effect sizes and numbers decide
            z = z.round() + 20 * (made.labels == 1).double()[:, None] * (
                torch.arange(z.shape[1]) % 2
            )
        if kind == "constant":
            z = torch.zeros_like(z)
        tables[point, "max"] = z.to(dtype)
    return replace(made, _store=Tables(tables))


def assert_same(found: Experts, expected: Experts) -> None:
    for field in fields(Experts):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, field.name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["spread", "ties", "saturated", "constant"])
def test_the_experts_are_those_of_the_whole_table(kind: str, dtype: torch.dtype) -> None:
    made = recording(kind, dtype)
    scores = score_recording(made)
    for language in LANGUAGES:
        for k in (0, 1, 4, 12, 13, 14, 17, 25, 0.2, SITE.n_neurons):
            assert_same(top_of_recording(made, language, k), scores.top(language, k))


def test_what_was_not_recorded_is_refused() -> None:
    made = recording("spread", torch.float32)
    with pytest.raises(MechsteerError, match="expected a language of the recording"):
        top_of_recording(made, "fin_Latn", 3)
    with pytest.raises(MechsteerError, match="'last' was not recorded"):
        top_of_recording(made, "fra_Latn", 3, pooling="last")
    with pytest.raises(MechsteerError, match=f"0 to {SITE.n_neurons}"):
        top_of_recording(made, "fra_Latn", 31)
    alone = replace(made, languages=("fra_Latn",), labels=torch.zeros_like(made.labels))
    with pytest.raises(MechsteerError, match="at least two languages"):
        top_of_recording(alone, "fra_Latn", 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "choose",
    [
        score_recording,
        lambda made: top_of_recording(made, "fra_Latn", 3),
        lambda made: significance_of(made, "fra_Latn", draws=99, parallel=False),
    ],
    ids=["score", "top", "significance"],
)
def test_an_activation_that_is_no_number_is_refused_naming_its_layer(
    choose: Callable[[Recording], object], value: float
) -> None:
    made = recording("spread", torch.float32)
    bad = {SITE.points[1]: made.activations(1, pooling="max").clone()}
    bad[SITE.points[1]][3, 5] = value
    tables = {(p, "max"): bad.get(p, made.activations(p, pooling="max")) for p in SITE.points}
    with pytest.raises(MechsteerError, match=r"layer 1, post: .*column 5"):
        choose(replace(made, _store=Tables(tables)))
