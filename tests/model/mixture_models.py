"""Tiny mixtures of experts, some with dense layers or a shared expert."""

from __future__ import annotations

from typing import Any

from tests.model.encoder_decoders import VOCABULARY

_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 88,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
}
_MIXED = {**_SIZES, "moe_intermediate_size": 24, "num_experts_per_tok": 2}
_LATENT = {
    "num_key_value_heads": 4,
    "n_routed_experts": 6,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
    "n_group": 1,
    "topk_group": 1,
}
CONFIGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "qwen2-moe": (
        "Qwen2MoeConfig",
        "Qwen2MoeForCausalLM",
        {**_MIXED, "num_experts": 6, "shared_expert_intermediate_size": 40, "mlp_only_layers": [1]},
    ),
    "qwen3-moe": (
        "Qwen3MoeConfig",
        "Qwen3MoeForCausalLM",
        {**_MIXED, "num_experts": 6, "head_dim": 8, "mlp_only_layers": [0]},
    ),
    "deepseek-v3": (
        "DeepseekV3Config",
        "DeepseekV3ForCausalLM",
        {**_MIXED, **_LATENT, "n_shared_experts": 2},
    ),
    "gpt-oss": (
        "GptOssConfig",
        "GptOssForCausalLM",
        {**_SIZES, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "granite-moe": (
        "GraniteMoeConfig",
        "GraniteMoeForCausalLM",
        {**_SIZES, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    # TransformerLens reads what runs beside the routed experts as if it were all of the MLP
    "hunyuan-moe": (
        "HunYuanMoEV1Config",
        "HunYuanMoEV1ForCausalLM",
        {**_SIZES, "head_dim": 8, "num_experts": 4, "moe_topk": 2},
    ),
    "gemma4-moe": (
        "Gemma4TextConfig",
        "Gemma4ForCausalLM",
        {
            **_SIZES,
            "head_dim": 8,
            "global_head_dim": 8,
            "hidden_size_per_layer_input": 0,
            "enable_moe_block": True,
            "num_experts": 4,
            "top_k_experts": 2,
            "moe_intermediate_size": 24,
        },
    ),
    "granite-shared": (
        "GraniteMoeSharedConfig",
        "GraniteMoeSharedForCausalLM",
        {
            **_SIZES,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "shared_intermediate_size": 88,
        },
    ),
    # a part of its own follows each MLP, which is none of it
    "gemma4-per-layer": (
        "Gemma4TextConfig",
        "Gemma4ForCausalLM",
        {
            **_SIZES,
            "head_dim": 8,
            "global_head_dim": 8,
            "hidden_size_per_layer_input": 8,
            "vocab_size_per_layer_input": VOCABULARY,
        },
    ),
}
# experts, neurons of each, mixed layers, the shared expert's neurons, dense layers
SHAPES = {
    "mixtral": (4, 88, [0, 1, 2], 0, []),
    "qwen2-moe": (6, 24, [0, 2], 40, [1]),
    "qwen3-moe": (6, 24, [1, 2], 0, [0]),
    "deepseek-v3": (6, 24, [1, 2], 48, [0]),
    "gpt-oss": (4, 88, [0, 1, 2], 0, []),
    "granite-moe": (4, 88, [0, 1, 2], 0, []),
}
