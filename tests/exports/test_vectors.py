"""Vectors for other engines, read back as those engines read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mechsteer.errors import MechsteerError
from mechsteer.exports import easysteer, neuronpedia, vllm_hook
from mechsteer.interventions import NeuronEdit, ResidualEdit
from mechsteer.model.sites import HookSite, Site
from tests.made import MODEL

WIDTH = 5
Write = Callable[..., None]


def edit(rows: tuple[int, ...] = (1, 4), **changes: Any) -> ResidualEdit:
    """A vector at some rows of a model of four blocks."""
    hooks = ["blocks.0.hook_resid_pre", *(f"blocks.{i}.hook_resid_post" for i in range(4))]
    hooks += ["ln_final.hook_out"]
    points = tuple(HookSite("residual", row, hooks[row], WIDTH) for row in rows)
    v = torch.arange(1.0, 1 + WIDTH * len(rows)).reshape(1, len(rows), WIDTH)
    return replace(ResidualEdit("diff", points, v, strength=-0.3), **changes)


def _neuronpedia(given: Any, path: Path) -> None:
    neuronpedia(given, path, model_id="gemma-2-2b")


ALL: dict[str, Write] = {
    "easysteer": easysteer,
    "vllm_hook": vllm_hook,
    "neuronpedia": _neuronpedia,
}


def test_easysteer_adds_directions_to_what_blocks_from_0_on_give(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="needs the package gguf")
    easysteer(edit(), tmp_path / "x.gguf")
    reader = gguf.GGUFReader(tmp_path / "x.gguf")
    told = {name: field.contents() for name, field in reader.fields.items()}
    assert told["general.architecture"] == "controlvector"
    assert told["controlvector.model_hint"] == "unknown" and told["controlvector.layer_count"] == 2
    assert all(tensor.data.dtype == np.float32 for tensor in reader.tensors)
    found = {tensor.name: tensor.data for tensor in reader.tensors}
    assert set(found) == {"direction.0", "direction.3"}
    assert np.array_equal(found["direction.0"], (-0.3 * edit().v[0, 0]).numpy())
    assert np.array_equal(found["direction.3"], (-0.3 * edit().v[0, 1]).numpy())


@pytest.mark.parametrize(("rows", "layers"), [((3,), 2), ((1, 3), [0, 2])])
def test_vllm_hook_adds_one_vector_at_a_coefficient_of_1(
    tmp_path: Path, rows: tuple[int, ...], layers: Any
) -> None:
    one = edit(rows, v=torch.arange(1.0, 1 + WIDTH).repeat(1, len(rows), 1))
    vllm_hook(one, tmp_path / "french.json")
    steering = json.loads((tmp_path / "french.json").read_text())["steering"]
    assert steering["method"] == "add_vector" and steering["coefficient"] == 1
    assert steering["optimal_layer"] == layers and steering["apply_at_all_positions"] is True
    kept = torch.load(steering["vector_path"], weights_only=True)
    assert torch.equal(kept["dir"], -0.3 * torch.arange(1.0, 1 + WIDTH))


def test_vllm_hook_has_no_second_vector(tmp_path: Path) -> None:
    with pytest.raises(MechsteerError, match="a vector of its own at each of 2 rows"):
        vllm_hook(edit(), tmp_path / "x.json")
    with pytest.raises(MechsteerError, match=r"ends in \.json"):
        vllm_hook(edit((1,)), tmp_path / "x.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["GPT2LMHeadModel", "OPTForCausalLM", "BloomForCausalLM"])
def test_vllm_hook_finds_no_blocks_of_another_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(MechsteerError, match=rf"those of {name} otherwise"):
        vllm_hook(edit((1,), model=replace(MODEL, architecture=name)), tmp_path / "x.json")
    vllm_hook(
        edit((1,), model=replace(MODEL, architecture="LlamaForCausalLM")), tmp_path / "x.json"
    )


def test_neuronpedia_takes_vectors_at_the_input_of_blocks(tmp_path: Path) -> None:
    neuronpedia(edit((0, 3)), tmp_path / "x.json", model_id="gemma-2-2b", label="French")
    bodies = json.loads((tmp_path / "x.json").read_text())
    assert [body["layerNumber"] for body in bodies] == [0, 3]
    for body, v in zip(bodies, -0.3 * edit((0, 3)).v[0], strict=True):
        assert body["modelId"] == "gemma-2-2b" and body["vectorLabel"] == "French"
        assert body["hookType"] == "hook_resid_pre" and body["vectorDefaultSteerStrength"] == 1
        assert torch.equal(torch.tensor(body["vector"]), v)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda e: replace(e, left=torch.ones(1, 2, WIDTH, 1)), "linear part"),
        (lambda e: replace(e, restore_norm=True), "restores each token's norm"),
        (lambda e: replace(e, languages=("fra_Latn",)), "language='fra_Latn'"),
        (lambda e: edit((4, 5)), "acts at"),
        (lambda e: replace(e, points=(), v=torch.ones(1, 0)), "no row"),
    ],
)
def test_what_an_engine_cannot_add_is_refused(
    name: str, change: Callable[[ResidualEdit], ResidualEdit], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(MechsteerError, match=reason):
        ALL[name](change(edit()), tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ALL)
def test_neurons_are_no_vector(name: str, tmp_path: Path) -> None:
    site = Site("post", (HookSite("post", 0, "a", 4),))
    neurons = NeuronEdit("clamp", site, torch.tensor([1]), torch.zeros(1), torch.ones(1))
    with pytest.raises(MechsteerError, match="moves neurons"):
        ALL[name](neurons, tmp_path / "x.json")


def test_the_embedding_is_neuronpedias_alone(tmp_path: Path) -> None:
    for write in (easysteer, vllm_hook):
        with pytest.raises(MechsteerError, match="not to the embedding"):
            write(edit((0,)), tmp_path / "x.json")
    _neuronpedia(edit((0,)), tmp_path / "x.json")
