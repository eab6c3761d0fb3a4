"""One family of models a row: its classes, its sizes when tiny, where plain modules lie in it.

A family is what shares one Hugging Face class, and so one adapter of TransformerLens. Add a row and
``tests/families`` verifies it, ``make families`` writes it into the documentation.
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

    ``mlp`` says where plain modules lie, for tests that find them by name; ``sites`` are those that
    are tested, none where mechsteer refuses the family, and then ``note`` is a part of the refusal.
    ``rebuilt`` says that TransformerLens sums some layers in another order, so that numbers agree
    within rounding instead of bit for bit. ``template`` is what a tokenizer of the family makes of
    a sentence.
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
    sites: tuple[str, ...] = ("post", "linear")
    template: str = "<s> $A"


def _llama_like(  # noqa: PLR0917 - a row of a table
    key: str,
    title: str,
    examples: str,
    name: str,
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
        "google-bert/bert-base-multilingual-cased",
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

_T5 = {
    "d_model": 32, "d_ff": 88, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4, "d_kv": 8,
    "vocab_size": VOCABULARY, "decoder_start_token_id": 0,
    "initializer_factor": 0.25,  # 4 times that of a checkpoint is too much for unscaled attention
}  # fmt: skip
_BART = {
    "d_model": 32, "encoder_ffn_dim": 88, "decoder_ffn_dim": 88,
    "encoder_layers": 2, "decoder_layers": 2,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "max_position_embeddings": 64, "vocab_size": VOCABULARY,
}  # fmt: skip


def _two_stacks(
    key: str, title: str, examples: str, name: str, sizes: Mapping[str, Any], **options: Any
) -> Family:
    """An encoder-decoder, whose tokenizer ends sentences."""
    classes = f"{name}Config", f"{name}ForConditionalGeneration"
    ends = {"kind": "encoder-decoder", "template": "$A </s>"}
    return Family(key, title, examples, *classes, sizes, **ends, **options)


_ENCODER_DECODERS = (
    _two_stacks("t5", "T5, Flan-T5", "google/flan-t5-small", "T5", _T5),
    _two_stacks("mt5", "mT5, Aya-101", "google/mt5-small", "MT5", _T5),
    _two_stacks("umt5", "UMT5", "google/umt5-small", "UMT5", _T5, note="own adapter"),
    _two_stacks(
        "m2m100", "M2M-100, NLLB", "facebook/nllb-200-distilled-600M", "M2M100",
        {**_BART, "decoder_start_token_id": 2},
    ),
    _two_stacks("mbart", "mBART", "facebook/mbart-large-50", "MBart", _BART),
)  # fmt: skip


def _headless(
    key: str, title: str, examples: str, name: str, sizes: Mapping[str, Any], **options: Any
) -> Family:
    """An encoder without a prediction head, read by mechsteer's own adapter."""
    classes = f"{name}Config", f"{name}Model"
    return Family(
        key, title, examples, *classes, sizes, kind="encoder", note="own adapter", **options
    )


_OFFSET = {**_SIZES, "max_position_embeddings": 66}
_HEADLESS = (
    _headless(
        "bert_model", "BERT without a head",
        "sentence-transformers/LaBSE, paraphrase-multilingual-MiniLM-L12-v2", "Bert", _SIZES,
    ),
    _headless(
        "xlmr_model", "XLM-R without a head", "intfloat/multilingual-e5-small, BAAI/bge-m3",
        "XLMRoberta", _OFFSET,
    ),
    _headless(
        "distilbert", "DistilBERT", "distilbert/distilbert-base-multilingual-cased", "DistilBert",
        {"dim": 32, "hidden_dim": 88, "n_layers": 3, "n_heads": 4, "vocab_size": VOCABULARY},
    ),
    _headless(
        "deberta", "DeBERTa v2, v3", "microsoft/mdeberta-v3-base", "DebertaV2",
        {
            **_OFFSET, "relative_attention": True, "position_buckets": 16,
            "pos_att_type": ["p2c", "c2p"],
        },
    ),
    _headless("mpnet", "MPNet", "sentence-transformers/all-mpnet-base-v2", "MPNet", _OFFSET),
    Family(
        "modernbert", "ModernBERT", "jhu-clsp/mmBERT-base", "ModernBertConfig",
        "ModernBertForMaskedLM",
        {**_OFFSET, "pad_token_id": 1, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1,
         "sep_token_id": 2},
        kind="encoder", note="own adapter", sites=("post",),
    ),
    Family(
        "helium", "Helium", "kyutai/helium-1-2b", "HeliumConfig", "HeliumForCausalLM", _HEADS,
        _GATED, note="own adapter",
    ),
)  # fmt: skip


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
_MIXTURES = (
    _mixture(
        "mixtral", "Mixtral", "mistralai/Mixtral-8x7B-v0.1", "Mixtral", {**_LLAMA, **_EXPERTS}
    ),
    _mixture(
        "qwen2_moe", "Qwen 2 MoE", "Qwen/Qwen1.5-MoE-A2.7B", "Qwen2Moe",
        {
            **_LLAMA, **_MOE, "num_experts": 6, "shared_expert_intermediate_size": 40,
            "mlp_only_layers": [1],
        },
        ("dense", "experts", "shared"),
    ),
    _mixture(
        "qwen3_moe", "Qwen 3 MoE", "Qwen/Qwen3-30B-A3B", "Qwen3Moe",
        {**_HEADS, **_MOE, "num_experts": 6, "mlp_only_layers": [0]}, ("dense", "experts"),
    ),
    _mixture(
        "deepseek_v3", "DeepSeek V3", "deepseek-ai/DeepSeek-V3", "DeepseekV3",
        {**_LLAMA, **_MOE, **_LATENT, "num_key_value_heads": 4}, ("dense", "experts", "shared"),
    ),
    _mixture("gpt_oss", "gpt-oss", "openai/gpt-oss-20b", "GptOss", {**_HEADS, **_EXPERTS}),
    _mixture(
        "granite_moe", "Granite MoE", "ibm-granite/granite-3.1-3b-a800m-base", "GraniteMoe",
        {**_LLAMA, **_EXPERTS},
    ),
)  # fmt: skip

_REFUSED = (
    Family(
        "mamba", "Mamba", "state-spaces/mamba-130m-hf", "MambaConfig", "MambaForCausalLM",
        {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": VOCABULARY, "state_size": 4},
        kind="other", sites=(), note="no MLP whose neurons can be read",
    ),
    Family(
        "albert", "ALBERT", "albert/albert-base-v2", "AlbertConfig", "AlbertModel",
        {**_OFFSET, "embedding_size": 16}, kind="encoder", sites=(), note="to run once",
    ),
    Family(
        "xlm", "XLM", "FacebookAI/xlm-mlm-100-1280", "XLMConfig", "XLMModel",
        {"emb_dim": 32, "n_layers": 3, "n_heads": 4, "vocab_size": VOCABULARY},
        kind="encoder", sites=(), note="found 0 such lists",
    ),
    Family(
        "fnet", "FNet", "google/fnet-base", "FNetConfig", "FNetModel", _OFFSET,
        kind="encoder", sites=(), note="padding changes what comes before it",
    ),
)  # fmt: skip

FAMILIES: Mapping[str, Family] = {
    family.key: family
    for families in (_DECODERS, _ENCODERS, _HEADLESS, _ENCODER_DECODERS, _MIXTURES, _REFUSED)
    for family in families
}
