"""Decoders that TransformerLens reads."""

from __future__ import annotations

from tests.families.rows import (
    FC,
    FUSED,
    GATED,
    GPT,
    GPT_TOKENS,
    HEADS,
    LLAMA,
    PLAIN,
    SIZES,
    TOKENS,
    VOCABULARY,
    Family,
    Mlp,
    dense,
    llama_like,
)

DECODERS = (
    Family(
        "bloom", "BLOOM", "bigscience/bloom-560m, bigscience/bloomz-560m",
        "BloomConfig", "BloomForCausalLM",
        {"hidden_size": 32, "n_layer": 3, "n_head": 4, "vocab_size": VOCABULARY},
        dense("transformer.h.{}"), rebuilt=True,
    ),
    Family(
        "gpt2", "GPT-2", "ai-forever/mGPT, DAMO-NLP-MT/polylm-1.7b",
        "GPT2Config", "GPT2LMHeadModel", GPT,
        Mlp("transformer.h.{}.mlp.c_fc", "transformer.h.{}.mlp.c_proj"), rebuilt=True,
    ),
    Family(
        "gptj", "GPT-J", "EleutherAI/gpt-j-6b", "GPTJConfig", "GPTJForCausalLM",
        {**GPT, **GPT_TOKENS, "rotary_dim": 4},
        Mlp("transformer.h.{}.mlp.fc_in", "transformer.h.{}.mlp.fc_out"), rebuilt=True,
    ),
    Family(
        "gptneo", "GPT-Neo", "EleutherAI/gpt-neo-1.3B", "GPTNeoConfig", "GPTNeoForCausalLM",
        {
            "hidden_size": 32, "num_layers": 4, "num_heads": 4, "intermediate_size": 88,
            "attention_types": [[["global", "local"], 2]], "max_position_embeddings": 64,
            "vocab_size": VOCABULARY, **GPT_TOKENS,
        },
        Mlp("transformer.h.{}.mlp.c_fc", "transformer.h.{}.mlp.c_proj"), rebuilt=True,
    ),
    llama_like(
        "neox", "GPT-NeoX", "EleutherAI/pythia-410m, EleutherAI/polyglot-ko-1.3b", "GPTNeoX",
        {**SIZES, **TOKENS}, dense("gpt_neox.layers.{}"),
        rebuilt=True,  # equal here, but a BLAS may sum a split projection in another order
    ),
    Family(
        "xglm", "XGLM", "facebook/xglm-564M", "XGLMConfig", "XGLMForCausalLM",
        {
            "d_model": 32,
            "ffn_dim": 88,  # not 4·d_model: TransformerLens's cfg.d_mlp is wrong here
            "num_layers": 3, "attention_heads": 4, "max_position_embeddings": 64,
            "vocab_size": VOCABULARY,
        },
        FC,
    ),
    llama_like(
        "opt", "OPT", "facebook/opt-350m", "OPT",
        {**SIZES, **TOKENS, "ffn_dim": 88, "word_embed_proj_dim": 32},
        Mlp("model.decoder.layers.{}.fc1", "model.decoder.layers.{}.fc2"),
    ),
    llama_like(
        "falcon", "Falcon", "tiiuae/falcon-7b", "Falcon", {**SIZES, **GPT_TOKENS},
        dense("transformer.h.{}"), rebuilt=True,
    ),
    Family(
        "mpt", "MPT", "mosaicml/mpt-7b", "MptConfig", "MptForCausalLM",
        {"d_model": 32, "n_heads": 4, "n_layers": 3, "max_seq_len": 64, "vocab_size": VOCABULARY},
        Mlp("transformer.blocks.{}.ffn.up_proj", "transformer.blocks.{}.ffn.down_proj"),
        rebuilt=True,
    ),
    llama_like(
        "llama", "Llama 2, 3",
        "meta-llama/Llama-3.2-1B, utter-project/EuroLLM-1.7B, BSC-LT/salamandra-2b", "Llama",
    ),
    llama_like("mistral", "Mistral", "mistralai/Mistral-7B-v0.3", "Mistral"),
    llama_like("qwen2", "Qwen 2, 2.5", "Qwen/Qwen2.5-0.5B", "Qwen2"),
    llama_like("qwen3", "Qwen 3", "Qwen/Qwen3-0.6B-Base", "Qwen3", HEADS),
    Family(
        "qwen3_5", "Qwen 3.5", "Qwen/Qwen3.5-0.8B", "Qwen3_5TextConfig", "Qwen3_5ForCausalLM",
        {
            **HEADS, "num_hidden_layers": 4,
            "linear_num_key_heads": 2, "linear_num_value_heads": 4,
            "linear_key_head_dim": 8, "linear_value_head_dim": 8,
        },
        GATED,
    ),
    llama_like("gemma", "Gemma", "google/gemma-2b", "Gemma", HEADS),
    llama_like(
        "gemma2", "Gemma 2", "google/gemma-2-2b", "Gemma2", {**HEADS, "query_pre_attn_scalar": 8}
    ),
    Family(
        "gemma3", "Gemma 3", "google/gemma-3-1b-pt", "Gemma3TextConfig", "Gemma3ForCausalLM",
        {**HEADS, "query_pre_attn_scalar": 8}, GATED,
    ),
    llama_like("cohere", "Cohere", "CohereLabs/aya-23-8B", "Cohere", rebuilt=True),
    llama_like(
        "cohere2", "Cohere 2", "CohereLabs/c4ai-command-r7b-12-2024", "Cohere2", rebuilt=True
    ),
    llama_like(
        "phi", "Phi 1, 1.5, 2", "microsoft/phi-2", "Phi", LLAMA,
        Mlp("model.layers.{}.mlp.fc1", "model.layers.{}.mlp.fc2"),
    ),
    llama_like(
        "phi3", "Phi 3, 4", "microsoft/Phi-4-mini-instruct", "Phi3", LLAMA, FUSED, rebuilt=True
    ),
    llama_like("olmo", "OLMo", "allenai/OLMo-1B-hf", "Olmo"),
    llama_like("olmo2", "OLMo 2", "allenai/OLMo-2-0425-1B", "Olmo2"),
    llama_like("olmo3", "OLMo 3", "allenai/Olmo-3-1025-7B", "Olmo3"),
    llama_like("smollm3", "SmolLM3", "HuggingFaceTB/SmolLM3-3B-Base", "SmolLM3"),
    llama_like("apertus", "Apertus", "swiss-ai/Apertus-8B-2509", "Apertus", LLAMA, PLAIN),
    llama_like("stablelm", "StableLM", "stabilityai/stablelm-2-1_6b", "StableLm"),
    llama_like("granite", "Granite", "ibm-granite/granite-3.3-2b-base", "Granite"),
    llama_like(
        "glm", "GLM", "zai-org/glm-4-9b-hf", "Glm", HEADS, FUSED, rebuilt=True
    ),
    llama_like(
        "glm4", "GLM 4", "zai-org/GLM-4-9B-0414", "Glm4", HEADS, FUSED, rebuilt=True
    ),
    llama_like("exaone4", "EXAONE 4", "LGAI-EXAONE/EXAONE-4.0-1.2B", "Exaone4"),
    llama_like(
        "nemotron", "Nemotron", "nvidia/Minitron-4B-Base", "Nemotron", HEADS, PLAIN
    ),
    llama_like("seed_oss", "Seed-OSS", "ByteDance-Seed/Seed-OSS-36B-Base", "SeedOss", HEADS),
    llama_like("hunyuan", "Hunyuan", "tencent/Hunyuan-0.5B-Pretrain", "HunYuanDenseV1", HEADS),
    llama_like("ernie4_5", "ERNIE 4.5", "baidu/ERNIE-4.5-0.3B-PT", "Ernie4_5", HEADS),
)  # fmt: skip
