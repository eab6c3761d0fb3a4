"""Edits come back from a file as they were and act the same; a changed file is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import mechsteer as ms
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.interventions import Edit, NeuronEdit, ResidualEdit, files, load_edits
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.load import load_model
from mechsteer.model.sites import HookSite, Site, find_site, residual_points

WHO = ModelIdentity("org/name", "LlamaForCausalLM", 2, 3, "c0", "w0", "t0", "float32")
SITE = Site("post", (HookSite("post", 0, "a", 4), HookSite("post", 1, "b", 5)))
POINTS = (HookSite("residual", 1, "x", 3), HookSite("residual", 2, "y", 3))


def neuron(**changes: Any) -> NeuronEdit:
    index = torch.tensor([7, 0, 3])
    a, b = torch.tensor([0.0, 1.0, -2.5]), torch.tensor([1e-30, -0.0, 3.0])
    made = NeuronEdit("clamp", SITE, index, a, b, model=WHO, provenance={"k": 3, "é": ["ا", None]})
    return replace(made, **changes)


def residual(**changes: Any) -> ResidualEdit:
    generator = torch.Generator().manual_seed(3)
    v = torch.randn(2, 2, 3, generator=generator)
    left, right = torch.randn(2, 2, 2, 3, 1, generator=generator)
    made = ResidualEdit(
        "centre", POINTS, v, left, right, languages=("fra_Latn", "jpn_Jpan"),
        strength=-0.7, restore_norm=True, model=WHO, provenance={"language": "fra_Latn"},
    )  # fmt: skip
    return replace(made, **changes)


ends = torch.tensor([float("-inf"), -1.0, 0.0]), torch.tensor([1.0, float("inf"), 0.0])
EDITS: dict[str, Edit] = {
    "neurons": neuron(),
    "neurons in a window": neuron(low=ends[0], high=ends[1], model=None, provenance={}),
    "no neurons": neuron(index=torch.tensor([], dtype=torch.int64), a=torch.ones(0), b=ends[0][:0]),
    "residual": residual(),
    "residual vector": residual(v=torch.ones(1, 2, 3), left=None, right=None, languages=()),
    "residual whole map": residual(left=torch.ones(2, 2, 3, 3), right=None),
}


def same(found: Edit, expected: Edit) -> bool:
    def equal(one: Any, other: Any) -> bool:
        if isinstance(one, Tensor) and isinstance(other, Tensor):
            return one.dtype == other.dtype and torch.equal(one, other)
        return bool(one == other)

    names = [f.name for f in fields(expected)]
    return type(found) is type(expected) and all(
        equal(getattr(found, name), getattr(expected, name)) for name in names
    )


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_every_kind_of_edit_comes_back_as_it_was(edit: Edit, tmp_path: Path) -> None:
    ms.save_edit(edit, tmp_path / "x.edit")
    assert same(ms.load_edit(tmp_path / "x.edit"), edit)


def test_a_composition_keeps_its_order_even_where_edits_share_tensors(tmp_path: Path) -> None:
    first = neuron()
    edits = [first, residual(), first.scaled(0.5), first]
    ms.save_edit(edits, tmp_path / "x.edit")
    found = load_edits(tmp_path / "x.edit")
    assert len(found) == 4
    assert all(same(one, other) for one, other in zip(found, edits, strict=True))
    with pytest.raises(ArtifactError, match=r"holds 4 edits .*use load_edits"):
        ms.load_edit(tmp_path / "x.edit")


def test_equal_edits_give_equal_bytes(tmp_path: Path) -> None:
    for name in "12":
        ms.save_edit([neuron(), residual()], tmp_path / name)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_other_programs_read_the_tensors_and_the_description(tmp_path: Path) -> None:
    ms.save_edit(neuron(), tmp_path / "x.edit")
    with safetensors.safe_open(tmp_path / "x.edit", framework="np") as file:
        assert set(file.keys()) == {"0.index", "0.a", "0.b"}
        described = json.loads(file.metadata()["mechsteer"])
    assert described["edits"][0]["site"]["points"][1]["hook"] == "b"


def test_a_change_of_any_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.edit"
    ms.save_edit(neuron(), path)
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(ArtifactError, match=r"x\.edit"):
            ms.load_edit(path)
    path.write_bytes(data)
    assert same(ms.load_edit(path), neuron())


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:100],
        lambda data: data + b"\0",
        lambda data: data + data,
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data.replace(b'\\"schema', b' \\"schema'),
        lambda data: data.upper(),
    ],
)
def test_damage_is_refused_by_name(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "x.edit"
    ms.save_edit(residual(), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ArtifactError, match=r"x\.edit"):
        load_edits(path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.edit").write_bytes(data)
    with pytest.raises(ArtifactError, match=r"x\.edit"):
        load_edits(tmp_path / "x.edit")


def forged(path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], None]) -> Path:
    """A file with a valid hash whose content nobody would write."""
    edit = neuron()
    described = {"kind": "neuron"} | files._description(edit, "neuron")
    tensors = {f"0.{name}": getattr(edit, name) for name in ("index", "a", "b")}
    change(described, tensors)
    path.write_bytes(files._serialised(tensors, [described]))
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d, t: d.update(kind="rotation"), "unknown kind 'rotation'"),
        (lambda d, t: d.pop("site"), "site"),
        (lambda d, t: d.update(colour="red"), "colour"),
        (lambda d, t: d["model"].pop("weights_hash"), "weights_hash"),
        (lambda d, t: t.update({"0.a": torch.ones(2)}), "one length"),
        (lambda d, t: t.update({"0.a": torch.ones(3).double()}), "a is torch.float64"),
        (lambda d, t: t.update({"0.index": torch.tensor([1, 1, 2])}), "distinct"),
        (lambda d, t: t.update({"0.index": torch.tensor([1, 9, 2])}), "below 9"),
        (lambda d, t: t.update({"0.b": torch.full((3,), float("nan"))}), "not finite"),
        (lambda d, t: t.update({"0.low": torch.ones(3)}), "two ends"),
        (lambda d, t: t.pop("0.b"), "describes no edit"),
        (lambda d, t: t.update({"1.a": torch.ones(3)}), "belong to no edit"),
    ],
)
def test_an_intact_file_of_nonsense_is_refused(
    change: Callable[..., None], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match=reason):
        ms.load_edit(forged(tmp_path / "x.edit", change))


def test_a_file_of_a_newer_schema_names_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "EDIT_SCHEMA", 2)
    monkeypatch.setattr(files, "__version__", "9.9")
    ms.save_edit(neuron(), tmp_path / "x.edit")
    monkeypatch.undo()
    with pytest.raises(ArtifactError, match=r"schema 2 \(mechsteer 9\.9\)"):
        ms.load_edit(tmp_path / "x.edit")


def test_nothing_and_what_json_cannot_hold_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(MechsteerError, match="got none"):
        ms.save_edit([], tmp_path / "x.edit")
    for value in (float("nan"), {1, 2}, torch.ones(1)):
        with pytest.raises(MechsteerError, match="JSON can hold"):
            ms.save_edit(neuron(provenance={"value": value}), tmp_path / "x.edit")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(ArtifactError, match="expected a file"):
            ms.load_edit(path)


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def french(model: Any) -> NeuronEdit:
    site = find_site(model)
    index = torch.arange(0, site.n_neurons, 29)
    b = torch.linspace(-1, 2, len(index))
    who = model.identity()
    return NeuronEdit("shift", site, index, torch.full_like(b, 0.3), b, model=who)


@pytest.fixture(scope="module")
def centred(model: Any, french: NeuronEdit) -> ResidualEdit:
    points = residual_points(model)[2:5]
    generator = torch.Generator().manual_seed(5)
    v = torch.randn(2, 3, points[0].width, generator=generator) / 4
    left, right = torch.randn(2, 2, 3, points[0].width, 2, generator=generator) / 16
    return ResidualEdit(
        "mine", points, v, left, right, languages=("fra_Latn", "jpn_Jpan"),
        strength=0.8, restore_norm=True, model=french.model,
    )  # fmt: skip


@torch.inference_mode()
def test_loaded_edits_give_the_logits_of_the_saved_ones(
    model: Any, french: NeuronEdit, centred: ResidualEdit, tmp_path: Path
) -> None:
    ids = model.plain_tokenizer("Le train est parti à l'aube.", return_tensors="pt")["input_ids"]
    edits = [french, centred, french.scaled(0.5)]
    ms.save_edit(edits, tmp_path / "x.edit")
    plain = model(ids)
    with ms.steer(model, *edits, languages="jpn_Jpan"):
        expected = model(ids)
    with ms.steer(model, *load_edits(tmp_path / "x.edit"), languages="jpn_Jpan"):
        assert torch.equal(model(ids), expected)
    assert not torch.equal(plain, expected)


def test_another_model_refuses_a_loaded_edit(
    model: Any, french: NeuronEdit, centred: ResidualEdit, tmp_path: Path
) -> None:
    assert french.model is not None
    changes = ({"weights_hash": "0"}, "weights"), ({"config_hash": "0"}, "config")
    for edit, (change, reason) in product((french, centred), changes):
        other = replace(edit, model=replace(french.model, **change))
        ms.save_edit(other, tmp_path / "x.edit")
        with pytest.raises(ArtifactError, match=f"has other {reason}"):
            ms.steer(model, ms.load_edit(tmp_path / "x.edit"))
