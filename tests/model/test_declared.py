"""A configuration that lies about sizes is refused in a moment, and in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from torch import nn

from mechsteer.errors import ModelError
from mechsteer.model.building import bounded
from mechsteer.model.declared import require_sizes
from mechsteer.model.held import Held, held_by
from mechsteer.model.load import load_model
from mechsteer.model.reasons import reason_of, said_by

HELD = Held("model.safetensors", 2_000, 10**8)
MOST_NUMBERS = 16 * 10**8

REFUSED = [
    ({"num_hidden_layers": 10**9}, "num_hidden_layers = 1,000,000,000, expected at most 2,000"),
    ({"text_config": {"num_hidden_layers": 2001}}, r"text_config\.num_hidden_layers = 2,001"),
    ({"a": {"text_config": {"n_layer": 10**30}}}, r"a\.text_config\.n_layer = 10{30}"),
    ({"num_decoder_layers": 10**6}, "num_decoder_layers = 1,000,000"),
    ({"encoder_layers": 10**6}, "encoder_layers"),
    ({"num_labels": 10**9}, "num_labels"),
    ({"vocab_size": 0}, "vocab_size = 0, expected at least 1"),
    ({"vocab_size": MOST_NUMBERS + 1}, "expected at most 1,600,000,000, and model.safetensors hol"),
    ({"vision_config": {"intermediate_size": -1}}, r"vision_config\.intermediate_size = -1"),
    ({"num_local_experts": 2**40}, "num_local_experts"),
    ({"d_ff": 2**40}, "d_ff"),
    ({"llama.block_count": 2001}, r"llama\.block_count"),
    ({"llama.feed_forward_length": 2**40}, r"llama\.feed_forward_length"),
]
ACCEPTED: dict[str, Any] = {
    "num_hidden_layers": 2000, "vocab_size": MOST_NUMBERS, "num_labels": 22_000, "n_inner": None,
    "max_position_embeddings": 2**60, "pad_token_id": -1, "eos_token_id": 10**12, "n_layer": 1,
    "shared_expert_intermediate_size": 0, "num_nextn_predict_layers": 0, "use_cache": True,
    "model_max_length": 10**30, "num_kv_shared_layers": 0,
}  # fmt: skip


@pytest.mark.parametrize(("config", "reason"), REFUSED)
def test_sizes_that_no_file_can_hold_are_named(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        require_sizes(config, HELD)
    assert "\n" not in str(caught.value)


def test_what_models_say_of_themselves_is_let_through() -> None:
    require_sizes(ACCEPTED, HELD)
    require_sizes(ACCEPTED | {"text_config": ACCEPTED}, HELD)
    require_sizes({"num_hidden_layers": 999, "vocab_size": 2**28}, Held("x", 1, 1))
    require_sizes({"num_hidden_layers": 10_000}, None)


def built(*, width: int = 1, parts: int = 1) -> nn.Module:
    with torch.device("meta"):
        return nn.ModuleList(nn.Linear(width, width) for _ in range(parts))


def test_building_stops_at_16_times_what_is_held() -> None:
    with bounded(lambda: (HELD, {})):
        built(width=39_000)
    with bounded(lambda: (None, {})):
        built(width=10**6)
    with (
        bounded(lambda: (HELD, {"vision": {"hidden": 41_000}})),
        pytest.raises(ModelError, match=r"more than 1,600,000,000 weights \(vision\.hidden = 41,"),
    ):
        built(width=41_000)
    built(width=10**6)  # the bound ends with the block


def test_a_mask_of_all_positions_in_each_layer_is_let_through() -> None:
    with torch.device("meta"), bounded(lambda: (Held("x", 1, 1), {})):
        layers = nn.ModuleList(nn.Module() for _ in range(8))
        for layer in layers:
            layer.register_buffer("mask", torch.ones(4096, 4096, dtype=torch.bool))
        with pytest.raises(ModelError, match="more than 268,435,456 weights"):
            layers.register_buffer("mask", torch.ones(1 << 14, 1 << 14))


def test_building_stops_at_64_modules_a_tensor() -> None:
    with (
        bounded(lambda: (Held("x", 1, 1), {"experts": 16_385})),
        pytest.raises(
            ModelError, match=r"more than 16,384 modules \(experts = 16,385\).* 1 tensor"
        ),
    ):
        built(parts=16_385)
    with bounded(lambda: (HELD, {})):
        built(parts=16_385)


def test_headers_say_what_is_held(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    tensors = load_file(checkpoint("llama") / "model.safetensors")
    numbers = sum(tensor.numel() for tensor in tensors.values())
    assert held_by(checkpoint("llama")) == Held("model.safetensors", len(tensors), numbers)
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    found = held_by(tmp_path)
    assert found is not None
    assert found.tensors >= len(tensors)
    assert found.numbers >= numbers


def lying(folder: Path, copy: Path, **settings: Any) -> Path:
    config = json.loads((copytree(folder, copy) / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | settings))
    return copy


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers = 1,000,000,000"),
        ({"num_hidden_layers": 0}, "says 0 layers, expected 1 or more"),
        ({"num_hidden_layers": 1}, r"18 tensors of layers that .* leaves out of LlamaForCausalLM"),
        ({"num_hidden_layers": 4}, r"lacks 9 tensors"),
        ({"num_hidden_layers": 1.5}, "'num_hidden_layers' expected int, got float"),
        ({"vocab_size": 10**8}, r"more than 16,777,216 weights \(vocab_size = 100,000,000\)"),
        ({"hidden_act": "none"}, "KeyError 'none'; one of its files is damaged or of another"),
    ],
)
def test_a_lying_folder_is_refused(
    checkpoint: Callable[..., Path], tmp_path: Path, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        load_model(lying(checkpoint("llama"), tmp_path / "x", **settings), device="cpu")
    assert "\n" not in str(caught.value)


def test_a_damaged_tokenizer_is_said_to_be_the_tokenizer(
    checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = copytree(checkpoint("llama"), tmp_path / "x")
    (folder / "tokenizer.json").write_text('{"model": {"type": "Zzz"}}')
    with pytest.raises(ModelError, match="cannot load the tokenizer of"):
        load_model(folder, device="cpu")


@pytest.mark.parametrize("said", ["x", -1, 0, float("nan"), None])
def test_a_context_is_a_number_of_tokens(bridge: Callable[..., Any], said: object) -> None:
    from types import SimpleNamespace

    with pytest.raises(ModelError, match="model_max_length"):
        bridge("llama").context_length(SimpleNamespace(model_max_length=said))


def test_one_line_is_taken_of_what_others_say() -> None:
    assert said_by(ValueError("Wrong field:\n  expected int, got str\n more")) == (
        "Wrong field: expected int, got str"
    )
    assert said_by(KeyError("a")) == "KeyError 'a'"
    assert said_by(OSError()) == "OSError"
    assert len(said_by(ValueError("x" * 5000))) < 400


def test_a_name_that_is_no_folder_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    said = reason_of("models/x", OSError("no connection"))
    assert "no connection; no folder here has that name, so it was looked up as" in said
