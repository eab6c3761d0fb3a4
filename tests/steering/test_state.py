"""Which edits are installed: names and hashes that tell states apart, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer.interventions import NeuronEdit
from mechsteer.model.sites import find_site
from mechsteer.steering import name_of, state_of

pytestmark = pytest.mark.filterwarnings("ignore:these edits never acted")


def test_a_state_is_told_by_its_edits_strengths_and_positions(bridge: Callable[..., Any]) -> None:
    model = bridge("gpt2")
    index = torch.arange(3)
    edit = NeuronEdit("clamp", find_site(model), index, torch.zeros(3), torch.ones(3))
    states = [state_of(model)]
    for inner, positions in ((edit, "all"), (edit * 0.5, "all"), (edit, "last")):
        with ms.steer(model, inner, positions=positions):
            states.append(state_of(model))
    with ms.steer(model, edit), ms.steer(model, edit):
        states.append(state_of(model))
    names = [state.rpartition(" ")[0] or state for state in states]
    assert names == ["none", "clamp", "clamp λ=0.5", "clamp", "clamp + clamp"]
    assert len(set(states)) == 5
    with ms.steer(model, edit):
        assert state_of(model) == states[1]
        assert name_of([edit, edit * 2.0]) == "clamp + clamp λ=2"
    with ms.steer(model, edit * 0.0):
        assert state_of(model) == "none"
    with pytest.raises(RuntimeError, match="inside"), ms.steer(model, edit):
        raise RuntimeError("inside")
    assert state_of(model) == "none"
