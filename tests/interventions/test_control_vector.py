"""Control vectors of llama.cpp, read back with the library that its converters use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mechsteer.errors import MechsteerError
from mechsteer.interventions import NeuronEdit, ResidualEdit
from mechsteer.interventions.control_vector import export_gguf
from mechsteer.model.load import load_model
from mechsteer.model.sites import HookSite, Site, residual_points

gguf = pytest.importorskip("gguf", reason="needs the package gguf")
WIDTH = 5


def edit(rows: tuple[int, ...] = (2, 4), **changes: Any) -> ResidualEdit:
    """A vector at some rows of a model of four blocks."""
    hooks = ["blocks.0.hook_resid_pre", *(f"blocks.{i}.hook_resid_post" for i in range(4))]
    hooks += ["ln_final.hook_out"]
    points = tuple(HookSite("residual", row, hooks[row], WIDTH) for row in rows)
    v = torch.arange(1.0, 1 + WIDTH * len(rows)).reshape(1, len(rows), WIDTH)
    return replace(ResidualEdit("diff", points, v, strength=-0.3), **changes)


def test_a_control_vector_holds_strength_times_v_after_the_blocks_counted_from_0(
    tmp_path: Path,
) -> None:
    export_gguf(edit(), tmp_path / "x.gguf", architecture="llama")
    reader = gguf.GGUFReader(tmp_path / "x.gguf")
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == "controlvector"
    assert fields["controlvector.model_hint"] == "llama"
    assert fields["controlvector.layer_count"] == 2
    found = {tensor.name: tensor.data for tensor in reader.tensors}
    assert set(found) == {"direction.1", "direction.3"}
    for name, row in (("direction.1", 0), ("direction.3", 1)):
        expected = (-0.3 * edit().v[0, row]).numpy()
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], expected)


def test_rows_are_those_of_the_residual_stream_of_a_model() -> None:
    point = residual_points(load_model(device="cpu"))[2]
    assert (point.layer, point.hook) == (2, "blocks.1.hook_resid_post")  # direction.1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda e: replace(e, left=torch.ones(1, 2, WIDTH, 1)), "linear part"),
        (lambda e: replace(e, restore_norm=True), "restores norms"),
        (lambda e: replace(e, languages=("fra_Latn",)), r"edit\.of\('fra_Latn'\)"),
        (lambda e: edit(rows=(1, 2)), "after the second block"),
        (lambda e: edit(rows=(0, 2)), "after the second block"),
        (lambda e: edit(rows=(4, 5)), "after the second block"),
        (lambda e: replace(e, points=(), v=torch.ones(1, 0)), "after the second block"),
    ],
)
def test_what_llama_cpp_cannot_apply_is_refused(
    change: Callable[[ResidualEdit], ResidualEdit], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(MechsteerError, match=reason):
        export_gguf(change(edit()), tmp_path / "x.gguf", architecture="llama")
    assert list(tmp_path.iterdir()) == []


def test_neurons_and_unknown_architectures_are_refused(tmp_path: Path) -> None:
    site = Site("post", (HookSite("post", 0, "a", 4),))
    neurons = NeuronEdit("clamp", site, torch.tensor([1]), torch.zeros(1), torch.ones(1))
    with pytest.raises(MechsteerError, match="moves neurons"):
        export_gguf(neurons, tmp_path / "x.gguf", architecture="llama")
    with pytest.raises(MechsteerError, match="did you mean llama"):
        export_gguf(edit(), tmp_path / "x.gguf", architecture="lama")


def test_one_language_of_several_can_be_exported(tmp_path: Path) -> None:
    two = edit(v=torch.stack([torch.ones(2, WIDTH), torch.full((2, WIDTH), 7.0)]),
               languages=("fra_Latn", "jpn_Jpan"))  # fmt: skip
    export_gguf(two.of("jpn_Jpan"), tmp_path / "x.gguf", architecture="qwen2")
    (first, _) = gguf.GGUFReader(tmp_path / "x.gguf").tensors
    assert np.array_equal(first.data, (-0.3 * torch.full((WIDTH,), 7.0)).numpy())
