"""One family of models a row: its classes, its sizes when tiny, where plain modules lie in it.

A family is what shares one Hugging Face class, and so one adapter of TransformerLens. Add a row and
``tests/families`` verifies it, ``make families`` writes it into the README.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["decoder", "encoder", "encoder-decoder", "mixture of experts", "other"]

# More rows than the tokenizer has tokens: some tokenizers of transformers add their padding.
VOCABULARY = 336
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 88,
    "max_position_embeddings": 64,
    "vocab_size": VOCABULARY,
}
_LLAMA = {**_SIZES, **_TOKENS, "num_key_value_heads": 2}
_HEADS = {**_LLAMA, "head_dim": 8}
_GPT = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64, "vocab_size": VOCABULARY}
_GPT_TOKENS = {"bos_token_id": 1, "eos_token_id": 2}
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}


@dataclass(frozen=True)
class Mlp:
    """Paths of the linear modules of layer ``{}`` in the plain model.

    Where ``gate`` and ``up`` are one path, its output holds the gate and then the up branch.
    """

    up: str
    down: str
    gate: str | None = None


_GATED = Mlp(
    "model.layers.{}.mlp.up_proj", "model.layers.{}.mlp.down_proj", "model.layers.{}.mlp.gate_proj"
)
_FUSED = Mlp(
    "model.layers.{}.mlp.gate_up_proj",
    "model.layers.{}.mlp.down_proj",
    "model.layers.{}.mlp.gate_up_proj",
)
_PLAIN = Mlp("model.layers.{}.mlp.up_proj", "model.layers.{}.mlp.down_proj")
_FC = Mlp("model.layers.{}.fc1", "model.layers.{}.fc2")


def _bert(name: str) -> Mlp:
    layer = f"{name}.encoder.layer.{{}}"
    return Mlp(f"{layer}.intermediate.dense", f"{layer}.output.dense")


def _dense(layer: str) -> Mlp:
    return Mlp(f"{layer}.mlp.dense_h_to_4h", f"{layer}.mlp.dense_4h_to_h")


@dataclass(frozen=True)
class Family:
    """A family of models, named ``key`` in the tests.

    ``mlp`` is None where mechsteer refuses the family; ``rebuilt`` says that TransformerLens sums
    some layers in another order, so that numbers agree within rounding instead of bit for bit.
    """

    key: str
    title: str
    examples: str
    config: str
    model: str
    sizes: Mapping[str, Any] = field(repr=False)
    mlp: Mlp | None = None
    rebuilt: bool = False
    kind: Kind = "decoder"
    note: str = ""


def _llama_like(
    key: str,
    title: str,
    examples: str,
    name: str,
    *,
    sizes: Mapping[str, Any] = _LLAMA,
    mlp: Mlp | None = _GATED,
    **options: Any,
) -> Family:
    """A family whose classes are ``{name}Config`` and ``{name}ForCausalLM``."""
    classes = f"{name}Config", f"{name}ForCausalLM"
    return Family(key, title, examples, *classes, sizes, mlp, **options)


_DECODERS = (
    Family(
        "bloom", "BLOOM", "bigscience/bloom-560m, bigscience/bloomz-560m",
        "BloomConfig", "BloomForCausalLM",
        {"hidden_size": 32, "n_layer": 3, "n_head": 4, "vocab_size": VOCABULARY},
        _dense("transformer.h.{}"), rebuilt=True,
    ),
    Family(
        "gpt2", "GPT-2", "ai-forever/mGPT, DAMO-NLP-MT/polylm-1.7b",
        "GPT2Config", "GPT2LMHeadModel", _GPT,
        Mlp("transformer.h.{}.mlp.c_fc", "transformer.h.{}.mlp.c_proj"), rebuilt=True,
    ),
    Family(
        "gptj", "GPT-J", "EleutherAI/gpt-j-6b", "GPTJConfig", "GPTJForCausalLM",
        {**_GPT, **_GPT_TOKENS, "rotary_dim": 4},
        Mlp("transformer.h.{}.mlp.fc_in", "transformer.h.{}.mlp.fc_out"), rebuilt=True,
    ),
    Family(
        "gptneo", "GPT-Neo", "EleutherAI/gpt-neo-1.3B", "GPTNeoConfig", "GPTNeoForCausalLM",
        {
            "hidden_size": 32, "num_layers": 4, "num_heads": 4, "intermediate_size": 88,
            "attention_types": [[["global", "local"], 2]], "max_position_embeddings": 64,
            "vocab_size": VOCABULARY, **_GPT_TOKENS,
        },
        Mlp("transformer.h.{}.mlp.c_fc", "transformer.h.{}.mlp.c_proj"), rebuilt=True,
    ),
    _llama_like(
        "neox", "GPT-NeoX", "EleutherAI/pythia-410m, EleutherAI/polyglot-ko-1.3b", "GPTNeoX",
        {**_SIZES, **_TOKENS}, _dense("gpt_neox.layers.{}"),
    ),
    Family(
        "xglm", "XGLM", "facebook/xglm-564M", "XGLMConfig", "XGLMForCausalLM",
        {
            "d_model": 32,
            "ffn_dim": 88,  # not 4·d_model: TransformerLens's cfg.d_mlp is wrong here
            "num_layers": 3, "attention_heads": 4, "max_position_embeddings": 64,
            "vocab_size": VOCABULARY,
        },
        _FC,
    ),
    _llama_like(
        "opt", "OPT", "facebook/opt-350m", "OPT",
        {**_SIZES, **_TOKENS, "ffn_dim": 88, "word_embed_proj_dim": 32},
        Mlp("model.decoder.layers.{}.fc1", "model.decoder.layers.{}.fc2"),
    ),
    _llama_like(
        "falcon", "Falcon", "tiiuae/falcon-7b", "Falcon", {**_SIZES, **_GPT_TOKENS},
        _dense("transformer.h.{}"), rebuilt=True,
    ),
    Family(
        "mpt", "MPT", "mosaicml/mpt-7b", "MptConfig", "MptForCausalLM",
        {"d_model": 32, "n_heads": 4, "n_layers": 3, "max_seq_len": 64, "vocab_size": VOCABULARY},
        Mlp("transformer.blocks.{}.ffn.up_proj", "transformer.blocks.{}.ffn.down_proj"),
        rebuilt=True,
    ),
    _llama_like(
        "llama", "Llama 2, 3",
        "meta-llama/Llama-3.2-1B, utter-project/EuroLLM-1.7B, BSC-LT/salamandra-2b", "Llama",
    ),
    _llama_like("mistral", "Mistral", "mistralai/Mistral-7B-v0.3", "Mistral"),
    _llama_like("qwen2", "Qwen 2, 2.5", "Qwen/Qwen2.5-0.5B", "Qwen2"),
    _llama_like("qwen3", "Qwen 3", "Qwen/Qwen3-0.6B-Base", "Qwen3", _HEADS),
    Family(
        "qwen3_5", "Qwen 3.5", "Qwen/Qwen3.5-0.8B", "Qwen3_5TextConfig", "Qwen3_5ForCausalLM",
        {
            **_HEADS, "num_hidden_layers": 4,
            "linear_num_key_heads": 2, "linear_num_value_heads": 4,
            "linear_key_head_dim": 8, "linear_value_head_dim": 8,
        },
        _GATED,
    ),
    _llama_like("gemma", "Gemma", "google/gemma-2b", "Gemma", _HEADS),
    _llama_like(
        "gemma2", "Gemma 2", "google/gemma-2-2b", "Gemma2", {**_HEADS, "query_pre_attn_scalar": 8}
    ),
    Family(
        "gemma3", "Gemma 3", "google/gemma-3-1b-pt", "Gemma3TextConfig", "Gemma3ForCausalLM",
        {**_HEADS, "query_pre_attn_scalar": 8}, _GATED,
    ),
    _llama_like("cohere", "Cohere", "CohereLabs/aya-23-8B", "Cohere", rebuilt=True),
    _llama_like(
        "cohere2", "Cohere 2", "CohereLabs/c4ai-command-r7b-12-2024", "Cohere2", rebuilt=True
    ),
    _llama_like(
        "phi", "Phi 1, 1.5, 2", "microsoft/phi-2", "Phi", _LLAMA,
        Mlp("model.layers.{}.mlp.fc1", "model.layers.{}.mlp.fc2"),
    ),
    _llama_like(
        "phi3", "Phi 3, 4", "microsoft/Phi-4-mini-instruct", "Phi3", _LLAMA, _FUSED, rebuilt=True
    ),
    _llama_like("olmo", "OLMo", "allenai/OLMo-1B-hf", "Olmo"),
    _llama_like("olmo2", "OLMo 2", "allenai/OLMo-2-0425-1B", "Olmo2"),
    _llama_like("olmo3", "OLMo 3", "allenai/Olmo-3-1025-7B", "Olmo3"),
    _llama_like("smollm3", "SmolLM3", "HuggingFaceTB/SmolLM3-3B-Base", "SmolLM3"),
    _llama_like("apertus", "Apertus", "swiss-ai/Apertus-8B-2509", "Apertus", _LLAMA, _PLAIN),
    _llama_like("stablelm", "StableLM", "stabilityai/stablelm-2-1_6b", "StableLm"),
    _llama_like("granite", "Granite", "ibm-granite/granite-3.3-2b-base", "Granite"),
    _llama_like(
        "glm", "GLM", "zai-org/glm-4-9b-hf", "Glm", _HEADS, _FUSED, rebuilt=True
    ),
    _llama_like(
        "glm4", "GLM 4", "zai-org/GLM-4-9B-0414", "Glm4", _HEADS, _FUSED, rebuilt=True
    ),
    _llama_like("exaone4", "EXAONE 4", "LGAI-EXAONE/EXAONE-4.0-1.2B", "Exaone4"),
    _llama_like(
        "nemotron", "Nemotron", "nvidia/Minitron-4B-Base", "Nemotron", _HEADS, _PLAIN
    ),
    _llama_like("seed_oss", "Seed-OSS", "ByteDance-Seed/Seed-OSS-36B-Base", "SeedOss", _HEADS),
    _llama_like("hunyuan", "Hunyuan", "tencent/Hunyuan-0.5B-Pretrain", "HunYuanDenseV1", _HEADS),
    _llama_like("ernie4_5", "ERNIE 4.5", "baidu/ERNIE-4.5-0.3B-PT", "Ernie4_5", _HEADS),
)  # fmt: skip

_ENCODERS = (
    Family(
        "bert", "BERT",
        "google-bert/bert-base-multilingual-cased, sentence-transformers/LaBSE",
        "BertConfig", "BertForMaskedLM", _SIZES, _bert("bert"), kind="encoder",
    ),
    Family(
        "roberta", "RoBERTa", "FacebookAI/roberta-base", "RobertaConfig", "RobertaForMaskedLM",
        {**_SIZES, "max_position_embeddings": 66}, _bert("roberta"), kind="encoder",
    ),
    Family(
        "xlmr", "XLM-R", "FacebookAI/xlm-roberta-base",
        "XLMRobertaConfig", "XLMRobertaForMaskedLM",
        {**_SIZES, "max_position_embeddings": 66}, _bert("roberta"), kind="encoder",
    ),
)  # fmt: skip

_REFUSED = (
    Family(
        "mt5", "T5, mT5", "google/mt5-small", "MT5Config", "MT5ForConditionalGeneration",
        {
            "d_model": 32, "d_ff": 88, "num_layers": 2, "num_heads": 4, "d_kv": 8,
            "vocab_size": VOCABULARY,
        },
        kind="encoder-decoder",
    ),
    Family(
        "mixtral", "Mixtral", "mistralai/Mixtral-8x7B-v0.1", "MixtralConfig", "MixtralForCausalLM",
        {**_LLAMA, **_EXPERTS}, kind="mixture of experts",
    ),
    Family(
        "qwen3_moe", "Qwen 3 MoE", "Qwen/Qwen3-30B-A3B", "Qwen3MoeConfig", "Qwen3MoeForCausalLM",
        {**_HEADS, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24},
        kind="mixture of experts",
    ),
    Family(
        "gpt_oss", "gpt-oss", "openai/gpt-oss-20b", "GptOssConfig", "GptOssForCausalLM",
        {**_HEADS, **_EXPERTS}, kind="mixture of experts",
    ),
    Family(
        "mamba", "Mamba", "state-spaces/mamba-130m-hf", "MambaConfig", "MambaForCausalLM",
        {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": VOCABULARY, "state_size": 4},
        kind="other",
    ),
    Family(
        "helium", "Helium", "kyutai/helium-1-2b", "HeliumConfig", "HeliumForCausalLM", _LLAMA,
        kind="other",
    ),
)  # fmt: skip

FAMILIES: Mapping[str, Family] = {
    family.key: family for family in (*_DECODERS, *_ENCODERS, *_REFUSED)
}
