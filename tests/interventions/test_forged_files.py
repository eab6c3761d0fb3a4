"""A forged edit file, its hash correct, is one refusal or an edit that can be used and saved."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

import mechsteer as ms
from mechsteer.errors import ArtifactError
from mechsteer.interventions import NeuronEdit, ResidualEdit, files, load_edits
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.sites import HookSite, Site
from tests.shape_checks import unchecked

WHO = ModelIdentity("org/name", "LlamaForCausalLM", 2, 3, "c0", "w0", "t0", "float32")
SITE = Site("post", (HookSite("post", 0, "a", 4), HookSite("post", 1, "b", 5)))
POINT = HookSite("residual", 1, "x", 3)
EDITS = (
    NeuronEdit(
        "clamp", SITE, torch.tensor([7, 0]), torch.zeros(2), torch.ones(2), torch.zeros(2),
        torch.ones(2), model=WHO, provenance={"k": 2, "strength": 1.0, "how": ["a", {"b": None}]},
    ),
    ResidualEdit(
        "centre", (POINT,), torch.ones(1, 1, 3), torch.ones(1, 1, 3, 2), torch.ones(1, 1, 3, 2),
        languages=("fra_Latn",), model=WHO, provenance={"language": "fra_Latn"},
    ),
)  # fmt: skip
VALUES = (
    None, True, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, -0.5, math.nan, math.inf, "", "x", "\0",
    "residual", "9" * 5000, [], [[]], [1], ["a"], [None], {}, {"a": 1}, {"kind": "neuron"},
)  # fmt: skip


def content_of(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["mechsteer"]), load(data)


def forge(path: Path, text: str, tensors: dict[str, Tensor]) -> Path:
    data = save(tensors, {"mechsteer": text})
    at = data.find(files._BEFORE_HASH) + len(files._BEFORE_HASH)
    unhashed = data[:at] + b"0" * 64 + data[at + 64 :]
    path.write_bytes(data[:at] + hashlib.sha256(unhashed).hexdigest().encode() + data[at + 64 :])
    return path


def written(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def places(x: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value: what holds it, and its key there."""
    for key in list(x) if isinstance(x, dict) else range(len(x)) if isinstance(x, list) else ():
        yield x, key
        yield from places(x[key])


def spoil_text(chance: random.Random, content: dict[str, Any]) -> None:
    holder, key = chance.choice([place for place in places(content) if place[1] != "sha256"])
    if chance.random() < 0.2:
        del holder[key]
    elif chance.random() < 0.1 and isinstance(holder, dict):
        holder[chance.choice(["extra", "index", "self", ""])] = chance.choice(VALUES)
    else:
        holder[key] = chance.choice(VALUES)


SPOILT = (
    Tensor.double, Tensor.half, Tensor.bool, Tensor.int, Tensor.long, lambda t: t * math.nan,
    lambda t: t * math.inf, lambda t: t[:0], lambda t: t.flatten()[0], lambda t: t[None],
    lambda t: torch.cat([t, t]), Tensor.neg, lambda t: t * 10**6,
)  # fmt: skip


def spoil_tensor(chance: random.Random, tensors: dict[str, Tensor]) -> None:
    name = chance.choice(list(tensors))
    if chance.random() < 0.2:
        tensors[chance.choice(["9.a", "0.extra", "x"])] = tensors.pop(name)
    else:
        tensors[name] = chance.choice(SPOILT)(tensors[name]).contiguous()


def fate(path: Path, again: Path) -> str:
    """What comes of a file; anything but a refusal or a usable edit is an error of this test."""
    try:
        with unchecked():
            edits = load_edits(path)
    except ArtifactError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 600, error
        return "refused"
    for edit in edits:
        edit.scaled(0.5).is_identity()
    ms.save_edit(edits, again)
    assert len(load_edits(again)) == len(edits)
    return "read"


@pytest.mark.parametrize("seed", range(4))
def test_forged_files_are_refused_in_one_line_or_read(seed: int, tmp_path: Path) -> None:
    chance, fates = random.Random(seed), Counter[str]()
    ms.save_edit(EDITS, tmp_path / "good")
    for _ in range(120):
        content, tensors = content_of(tmp_path / "good")
        if chance.random() < 0.7:
            spoil_text(chance, content)
        else:
            spoil_tensor(chance, tensors)
        fates[fate(forge(tmp_path / "bad", written(content), tensors), tmp_path / "again")] += 1
    assert fates["refused"] > 60
    assert fates["read"] > 2


@pytest.mark.parametrize(
    "edits",
    [
        "null",
        "5",
        '"x"',
        "{}",
        "[[]]",
        "[null]",
        '["x"]',
        "[" * 5000 + "]" * 5000,
        "1" * 5000,
        "-0",
    ],
    ids=lambda text: text[:6],
)
def test_edits_that_are_no_list_of_descriptions_are_refused(edits: str, tmp_path: Path) -> None:
    text = f'{{"sha256":"{"0" * 64}","schema":1,"version":"1","edits":{edits}}}'
    assert fate(forge(tmp_path / "bad", text, {}), tmp_path / "again") == "refused"


def test_what_is_wrong_is_named_by_its_place(tmp_path: Path) -> None:
    ms.save_edit(EDITS, tmp_path / "good")
    content, tensors = content_of(tmp_path / "good")
    content["edits"][0]["site"]["points"][1]["layer"] = "x"
    with pytest.raises(ArtifactError, match=r"edits\[0\]\.site\.points\[1\]\.layer is 'x'"):
        load_edits(forge(tmp_path / "bad", written(content), tensors))
