"""What weights cannot carry exactly is refused with the reason, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors import SafetensorError

import mechsteer as ms
from mechsteer.errors import ArtifactError, MechsteerError, ModelError
from mechsteer.exports import checkpoint
from mechsteer.exports.verification import require_near
from tests.exports.by_hand import clamped, shifted


def _windowed(model: Any) -> Any:
    return replace(clamped(model), low=torch.zeros(12), high=torch.ones(12))


def _linear(model: Any) -> Any:
    edit = shifted(model)
    return replace(edit, left=torch.ones(*edit.v.shape, 1), right=torch.ones(*edit.v.shape, 1))


def _of_languages(model: Any) -> Any:
    edit = shifted(model)
    return replace(edit, v=edit.v.repeat(2, 1, 1), languages=("eng_Latn", "fra_Latn"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_windowed, "within a window"),
        (_linear, "linear part"),
        (lambda model: replace(shifted(model), restore_norm=True), "restores each token's norm"),
        (_of_languages, "language='eng_Latn'"),
    ],
)
def test_what_depends_on_the_token_is_refused(
    bridge: Callable[..., Any], make: Callable[[Any], Any], reason: str, tmp_path: Path
) -> None:
    model = bridge("llama")
    with pytest.raises(MechsteerError, match=reason):
        checkpoint(model, make(model), tmp_path / "baked", language=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("positions", ["content", "last", "generated"])
def test_positions_other_than_all_are_refused(
    bridge: Callable[..., Any], positions: Any, tmp_path: Path
) -> None:
    model = bridge("llama")
    with pytest.raises(MechsteerError, match=f"positions '{positions}'"):
        checkpoint(model, clamped(model), tmp_path / "baked", positions=positions)


def test_one_language_of_an_edit_can_be_carried(bridge: Callable[..., Any], tmp_path: Path) -> None:
    model = bridge("llama")
    made = checkpoint(model, _of_languages(model), tmp_path / "baked", language="fra_Latn")
    assert made.ulps is not None and made.ulps < 20


@pytest.mark.parametrize(
    ("family", "make", "reason"),
    [
        ("mpt", shifted, "nothing in transformer.blocks.0"),
        ("llama", lambda model: shifted(model, slice(-1, None)), "final norm, has no bias"),
        ("mixtral", lambda model: clamped(model, "experts"), "router's weight"),
    ],
)
def test_a_constant_without_a_place_is_refused_with_the_module(
    bridge: Callable[..., Any], family: str, make: Callable[[Any], Any], reason: str, tmp_path: Path
) -> None:
    model = bridge(family)
    with pytest.raises(MechsteerError, match=reason):
        checkpoint(model, make(model), tmp_path / "baked")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(
    bridge: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(ArtifactError, match="not empty"):
        checkpoint(bridge("llama"), clamped(bridge("llama")), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_an_edit_of_another_model_is_refused(bridge: Callable[..., Any], tmp_path: Path) -> None:
    other = replace(clamped(bridge("llama")), model=bridge("gpt2").identity())
    with pytest.raises(ArtifactError, match="made with"):
        checkpoint(bridge("llama"), other, tmp_path / "baked")


def test_what_is_not_within_the_tolerance_is_refused_with_the_number(
    bridge: Callable[..., Any], tmp_path: Path
) -> None:
    model, folder = bridge("llama"), tmp_path / "baked"
    edit = shifted(model)
    with pytest.raises(MechsteerError, match=r"to \d.*, and 0 are allowed: tolerance=\d"):
        checkpoint(model, edit, folder, layers=False, tolerance=0)
    assert list(tmp_path.iterdir()) == []
    made = checkpoint(model, edit, folder, layers=False, tolerance=16)
    assert made.own == 0 and made.ulps is not None and 0 < made.ulps <= 16


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_is_a_number_of_roundings(
    bridge: Callable[..., Any], tolerance: float, tmp_path: Path
) -> None:
    with pytest.raises(MechsteerError, match="tolerance of 0 roundings or more"):
        checkpoint(bridge("gpt2"), clamped(bridge("gpt2")), tmp_path / "x", tolerance=tolerance)


def test_weights_that_give_other_logits_are_refused(
    bridge: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = bridge("llama")
    from mechsteer.exports import baking

    monkeypatch.setattr(baking, "map_output", lambda *_: None)  # clamped neurons go on writing
    with pytest.raises(MechsteerError, match="other logits than the edit"):
        checkpoint(model, clamped(model), tmp_path / "baked")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing(
    bridge: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr(transformers.PreTrainedModel, "save_pretrained", full)
    with pytest.raises(ArtifactError, match=r"cannot write .*baked: .*No space left on device"):
        checkpoint(bridge("llama"), clamped(bridge("llama")), tmp_path / "baked")
    assert list(tmp_path.iterdir()) == []


def test_what_is_exported_has_a_name_in_the_package() -> None:
    assert ms.exports.checkpoint is checkpoint


class _Own(transformers.LlamaForCausalLM):
    pass


@pytest.mark.parametrize("verify", [True, False])
def test_a_class_of_ones_own_is_refused(
    checkpoint_folder: Path, tmp_path: Path, *, verify: bool
) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint_folder)
    model = ms.wrap(_Own.from_pretrained(checkpoint_folder).eval(), tokenizer=tokenizer)
    with pytest.raises(ModelError, match="_Own is no class of transformers"):
        checkpoint(model, clamped(model), tmp_path / "baked", verify=verify)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def checkpoint_folder(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue("checkpoint")("llama")
    return folder


@pytest.mark.parametrize(
    ("dtype", "ulps", "message"),
    [
        (torch.float32, 300.0, "please report it"),
        (torch.float64, 300.0, "please report it"),
        (torch.bfloat16, 12.0, "bfloat16 is too coarse to tell why: load the model in float32"),
        (torch.float16, 40.0, "float16 is too coarse"),
        (torch.bfloat16, 5.0, r"tolerance=5 .*; float32 \(--dtype\) is nearer"),
        (torch.float64, 5.0, r"tolerance=5 \(--tolerance\) accepts it$"),
        (torch.float32, float("nan"), "nan roundings away"),
    ],
)
def test_what_is_too_far_away_says_why(dtype: torch.dtype, ulps: float, message: str) -> None:
    with pytest.raises(ms.MechsteerError, match=message):
        require_near(ulps, 0.0, 2.0, dtype)
    require_near(2.0, 0.0, 2.0, dtype)
