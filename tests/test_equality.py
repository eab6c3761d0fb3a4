"""What == says of records with tensors and tables in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.cards import Cards
from mechsteer.costs.prediction import Comparison, Perplexity
from mechsteer.crosslingual.similarities.found import Similarity
from mechsteer.crosslingual.transfers.findings import Transfer
from mechsteer.display import Displayed
from mechsteer.equality import ByValue
from mechsteer.model.sites import HookSite

HELD = (Cards, Comparison, Perplexity, Similarity, Transfer, ms.Experts, ms.NeuronEdit)
HELD += (ms.NeuronScores, ms.ResidualEdit, ms.Study)


@dataclass(frozen=True, eq=False)
class Record(ByValue):
    """One field of each kind."""

    name: str
    x: Tensor
    table: pd.DataFrame
    parts: Mapping[str, Tensor]
    note: str = field(default="", compare=False)

    def __repr__(self) -> str:
        return f"Record({self.name})"


def record(**change: Any) -> Record:
    made = Record("a", torch.tensor([1.0, 2.0]), pd.DataFrame({"n": [1]}), {"p": torch.zeros(2)})
    return replace(made, **change)


def test_records_of_the_same_values_are_equal() -> None:
    assert record() == record(note="another way") and hash(record()) == hash(record())
    assert len({record(), record()}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": "b"},
        {"x": torch.tensor([1.0, 3.0])},
        {"x": torch.tensor([1.0])},
        {"x": torch.tensor([1, 2])},
        {"table": pd.DataFrame({"n": [2]})},
        {"table": None},
        {"parts": {"p": torch.ones(2)}},
        {"parts": {}},
        {"parts": {"q": torch.zeros(2)}},
    ],
)
def test_another_value_makes_another_record(change: dict[str, Any]) -> None:
    assert record() != record(**change) and record(**change) != record()


def test_what_is_no_number_is_equal_to_itself_alone() -> None:
    nothing = torch.tensor([float("nan"), 1.0])
    assert record(x=nothing) == record(x=nothing.clone())
    assert record(x=nothing) != record(x=torch.tensor([0.0, 1.0]))
    assert record(x=nothing) != record(x=nothing.flip(0))
    assert record(parts={"p": float("nan")}) == record(parts={"p": float("nan")})


def test_a_record_is_no_other_thing() -> None:
    assert record() != "Record(a)" and (record() == 1) is False


def test_edits_and_experts_can_be_compared() -> None:
    point = HookSite("residual", 1, "blocks.0.hook_resid_post", 2)
    edit = ms.ResidualEdit("v", (point,), torch.ones(1, 1, 2))
    assert edit == replace(edit, provenance={"how": "by hand"}) and edit != edit.scaled(2)
    assert edit in [edit.scaled(2), edit]


@pytest.mark.parametrize("kind", HELD, ids=lambda kind: kind.__name__)
def test_what_holds_tensors_or_tables_compares_by_value(kind: type) -> None:
    assert kind.__eq__ is ByValue.__eq__ and kind.__hash__ is ByValue.__hash__


def test_no_shown_record_asks_a_tensor_for_one_answer() -> None:
    shown = [kind for kind in _below(Displayed) if is_dataclass(kind)]
    assert len(shown) > len(HELD)
    for kind in shown:
        arrays = [f.name for f in fields(kind) if "Tensor" in str(f.type) or "Frame" in str(f.type)]
        assert not arrays or kind in HELD or kind is ms.Recording, kind


def _below(kind: type) -> list[type]:
    return [each for own in kind.__subclasses__() for each in (own, *_below(own))]
