"""Architectures that cannot be read, or whose adapter fails, end in one line or by plain hooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mechsteer.errors import MechsteerError
from mechsteer.model.load import load_model
from mechsteer.model.plain import PlainModel
from mechsteer.model.sites import find_site
from tests.families.checkpoints import save_tiny
from tests.families.encoder_decoders import BART, T5
from tests.families.rows import HEADS, LLAMA, SIZES

_LLAMA4 = {**HEADS, "num_local_experts": 4, "intermediate_size_mlp": 88}
_ALTUP = {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 336, "laurel_rank": 4}
REFUSED: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "widths by layer": (
        "Gemma3nTextConfig",
        "Gemma3nForCausalLM",
        {
            **HEADS,
            **_ALTUP,
            "intermediate_size": [88, 96, 88],
            "num_kv_shared_layers": 0,
            "activation_sparsity_pattern": [0.0, 0.0, 0.0],
            "layer_types": ["sliding_attention", "full_attention", "full_attention"],
        },
        "Gemma3nForCausalLM",
    ),
    "an adapter that cannot load": (
        "SwitchTransformersConfig",
        "SwitchTransformersForConditionalGeneration",
        {**T5, "num_experts": 4, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
        "not supported",
    ),
    "more than tokens": ("XmodConfig", "XmodModel", SIZES, "Input language unknown"),
    "a start beyond the embedding": (
        "MarianConfig",
        "MarianMTModel",
        {**BART, "pad_token_id": 0, "decoder_start_token_id": 4000},
        "decoder_start_token_id is 4000, and the model embeds 336",
    ),
    "experts of its own": (
        "JetMoeConfig",
        "JetMoeForCausalLM",
        {**LLAMA, "kv_channels": 8, "num_local_experts": 4},
        "none can be read",
    ),
    "a shared expert alone": (
        "Llama4TextConfig",
        "Llama4ForCausalLM",
        _LLAMA4,
        r"ask for site 'shared' \(the shared expert\)$",
    ),
    "experts alone": (
        "MixtralConfig",
        "MixtralForCausalLM",
        {**LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2},
        "ask for site 'experts'$",
    ),
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, key: str) -> None:
    config, model, sizes, reason = REFUSED[key]
    folder = save_tiny(config, model, sizes, tmp_path / "tiny", template="$A </s>")
    with pytest.raises(MechsteerError, match=reason) as caught:
        find_site(load_model(folder, device="cpu"))
    assert "\n" not in str(caught.value)


def test_an_adapter_that_loads_what_it_cannot_run_is_not_used(tmp_path: Path) -> None:
    sizes = {
        **LLAMA,
        "num_local_experts": 0,
        "num_experts_per_tok": 0,
        "shared_intermediate_size": 56,
        "layer_types": ["attention"] * 3,
        "mamba_n_heads": 4,
        "mamba_d_head": 16,
    }
    classes = "GraniteMoeHybridConfig", "GraniteMoeHybridForCausalLM"
    folder = save_tiny(*classes, sizes, tmp_path / "tiny", template="<s> $A")
    model = load_model(folder, device="cpu")
    assert isinstance(model, PlainModel)
    assert {point.width for point in find_site(model).points} == {56}
