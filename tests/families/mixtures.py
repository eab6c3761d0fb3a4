"""Mixtures of experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.families.rows import (
    EXPERTS,
    HEADS,
    LLAMA,
    Family,
)


def _mixture(  # noqa: PLR0917 - a row of a table
    key: str,
    title: str,
    examples: str,
    name: str,
    sizes: Mapping[str, Any],
    sites: tuple[str, ...] = ("experts",),
) -> Family:
    """A mixture of experts: no ``post`` site, but those that name what it has."""
    classes = f"{name}Config", f"{name}ForCausalLM"
    return Family(key, title, examples, *classes, sizes, kind="mixture of experts", sites=sites)


_MOE = {"moe_intermediate_size": 24, "num_experts_per_tok": 2}
_LATENT = {
    "n_routed_experts": 6, "first_k_dense_replace": 1, "kv_lora_rank": 16, "q_lora_rank": 16,
    "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8, "n_group": 1, "topk_group": 1,
    "n_shared_experts": 2,
}  # fmt: skip
MIXTURES = (
    _mixture(
        "mixtral", "Mixtral", "mistralai/Mixtral-8x7B-v0.1", "Mixtral", {**LLAMA, **EXPERTS}
    ),
    _mixture(
        "qwen2_moe", "Qwen 2 MoE", "Qwen/Qwen1.5-MoE-A2.7B", "Qwen2Moe",
        {
            **LLAMA, **_MOE, "num_experts": 6, "shared_expert_intermediate_size": 40,
            "mlp_only_layers": [1],
        },
        ("dense", "experts", "shared"),
    ),
    _mixture(
        "qwen3_moe", "Qwen 3 MoE", "Qwen/Qwen3-30B-A3B", "Qwen3Moe",
        {**HEADS, **_MOE, "num_experts": 6, "mlp_only_layers": [0]}, ("dense", "experts"),
    ),
    _mixture(
        "deepseek_v3", "DeepSeek V3", "deepseek-ai/DeepSeek-V3", "DeepseekV3",
        {**LLAMA, **_MOE, **_LATENT, "num_key_value_heads": 4}, ("dense", "experts", "shared"),
    ),
    _mixture("gpt_oss", "gpt-oss", "openai/gpt-oss-20b", "GptOss", {**HEADS, **EXPERTS}),
    _mixture(
        "granite_moe", "Granite MoE", "ibm-granite/granite-3.1-3b-a800m-base", "GraniteMoe",
        {**LLAMA, **EXPERTS},
    ),
)  # fmt: skip
