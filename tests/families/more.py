"""The long tail: families that a sample of is tested each time, and all by ``make families``."""

from __future__ import annotations

from tests.families.encoder_decoders import BART, T5, two_stacks
from tests.families.encoders import OFFSET, headless
from tests.families.rows import (
    GPT,
    GPT_TOKENS,
    HEADS,
    LLAMA,
    PLAIN,
    SIZES,
    TOKENS,
    Family,
    Mlp,
    dense,
    llama_like,
)

_LAYERS = "model.decoder.layers.{}"
MORE_DECODERS = (
    llama_like("arcee", "Arcee", "arcee-ai/AFM-4.5B-Base", "Arcee", LLAMA, PLAIN),
    llama_like("biogpt", "BioGPT", "microsoft/biogpt", "BioGpt", LLAMA,
        Mlp("biogpt.layers.{}.fc1", "biogpt.layers.{}.fc2")),
    llama_like("bitnet", "BitNet", "microsoft/bitnet-b1.58-2B-4T-bf16", "BitNet"),
    Family("codegen", "CodeGen", "Salesforce/codegen-350M-multi", "CodeGenConfig",
        "CodeGenForCausalLM", {**GPT, **GPT_TOKENS, "rotary_dim": 4},
        Mlp("transformer.h.{}.mlp.fc_in", "transformer.h.{}.mlp.fc_out")),
    llama_like("cwm", "CWM", "facebook/cwm", "Cwm", HEADS),
    llama_like("diffllama", "DiffLlama", "kajuma/DiffLlama-0.3B-handcut", "DiffLlama"),
    llama_like("doge", "Doge", "SmallDoge/Doge-160M", "Doge", HEADS),
    Family("gpt_bigcode", "GPTBigCode", "bigcode/gpt_bigcode-santacoder", "GPTBigCodeConfig",
        "GPTBigCodeForCausalLM", GPT,
        Mlp("transformer.h.{}.mlp.c_fc", "transformer.h.{}.mlp.c_proj")),
    llama_like("hyperclovax", "HyperCLOVA X",
        "naver-hyperclovax/HyperCLOVAX-SEED-Think-14B", "HyperCLOVAX", HEADS),
    llama_like("jais2", "Jais 2", "inceptionai/Jais-2-8B-Chat", "Jais2", LLAMA, PLAIN),
    llama_like("minicpm3", "MiniCPM 3", "openbmb/MiniCPM3-4B", "MiniCPM3",
        {**LLAMA, "num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 16,
         "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8}),
    llama_like("ministral", "Ministral", "mistralai/Ministral-8B-Instruct-2410", "Ministral",
        HEADS),
    llama_like("ministral3", "Ministral 3", "mistralai/Ministral-3-3B-Base-2512", "Ministral3",
        HEADS),
    llama_like("persimmon", "Persimmon", "adept/persimmon-8b-base", "Persimmon",
        {**SIZES, **TOKENS}, dense("model.layers.{}")),
    llama_like("starcoder2", "StarCoder 2", "bigcode/starcoder2-3b", "Starcoder2", LLAMA,
        Mlp("model.layers.{}.mlp.c_fc", "model.layers.{}.mlp.c_proj")),
    llama_like("vaultgemma", "VaultGemma", "google/vaultgemma-1b", "VaultGemma",
        {**HEADS, "query_pre_attn_scalar": 8}),
    llama_like("youtu", "Youtu", "tencent/Youtu-LLM-2B", "Youtu",
        {**LLAMA, "num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 16,
         "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8}),
    llama_like("lfm2", "LFM 2", "LiquidAI/LFM2-350M", "Lfm2",
        {**LLAMA, "block_auto_adjust_ff_dim": False,
         "layer_types": ["conv", "full_attention", "conv"]},
        Mlp("model.layers.{}.feed_forward.w3", "model.layers.{}.feed_forward.w2",
            "model.layers.{}.feed_forward.w1")),
    Family("mbart_decoder", "mBART's decoder alone", "facebook/mbart-large-50", "MBartConfig",
        "MBartForCausalLM", BART, Mlp(f"{_LAYERS}.fc1", f"{_LAYERS}.fc2")),
)  # fmt: skip

_BOTH = "<s> $A </s>"
MORE_ENCODERS = (
    headless("electra", "ELECTRA", "google/electra-small-discriminator", "Electra",
        {**SIZES, "embedding_size": 16}),
    headless("ernie", "ERNIE", "nghuyong/ernie-3.0-base-zh", "Ernie", SIZES),
    headless("camembert", "CamemBERT", "almanach/camembert-base", "Camembert", OFFSET),
    headless("data2vec", "data2vec", "facebook/data2vec-text-base", "Data2VecText", OFFSET),
    headless("deberta_v1", "DeBERTa", "microsoft/deberta-base", "Deberta",
        {**OFFSET, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    headless("esm", "ESM 2", "facebook/esm2_t6_8M_UR50D", "Esm",
        {**OFFSET, "pad_token_id": 0, "mask_token_id": 3}),
    headless("eurobert", "EuroBERT", "EuroBERT/EuroBERT-210m", "EuroBert",
        {**LLAMA, "mask_token_id": 3}),
    headless("gte", "GTE", "Alibaba-NLP/gte-multilingual-base", "Gte", SIZES),
    headless("jina3", "Jina v3", "jinaai/jina-embeddings-v3", "JinaEmbeddingsV3", SIZES),
    headless("layoutlm", "LayoutLM", "microsoft/layoutlm-base-uncased", "LayoutLM", SIZES),
    headless("nomicbert", "NomicBERT", "nomic-ai/nomic-embed-text-v1.5", "NomicBert", SIZES),
    headless("rembert", "RemBERT", "google/rembert", "RemBert",
        {**SIZES, "input_embedding_size": 16, "output_embedding_size": 16}),
    headless("roformer", "RoFormer", "junnyu/roformer_chinese_base", "RoFormer", SIZES),
    headless("xlmr_xl", "XLM-R XL", "facebook/xlm-roberta-xl", "XLMRobertaXL", OFFSET),
    headless("roberta_pre", "RoBERTa pre-LN", "andreasmadsen/efficient_mlm_m0.40",
        "RobertaPreLayerNorm", OFFSET),
    headless("big_bird", "BigBird", "google/bigbird-roberta-base", "BigBird", OFFSET),
    headless("megatron", "Megatron-BERT", "nvidia/megatron-bert-cased-345m", "MegatronBert",
        SIZES),
    Family("t5_encoder", "T5's encoder alone", "sentence-transformers/sentence-t5-base", "T5Config",
        "T5EncoderModel", T5, kind="encoder", note="own adapter", template="$A </s>"),
)  # fmt: skip

_DECODER_START = {**BART, "decoder_start_token_id": 2}
MORE_ENCODER_DECODERS = (
    two_stacks("bart", "BART", "facebook/bart-base", "Bart", _DECODER_START),
    two_stacks("bigbird_pegasus", "BigBird-Pegasus", "google/bigbird-pegasus-large-arxiv",
        "BigBirdPegasus", {**_DECODER_START, "attention_type": "original_full"}),
    two_stacks("blenderbot", "Blenderbot", "facebook/blenderbot-400M-distill", "Blenderbot",
        _DECODER_START),
    two_stacks("blenderbot_small", "Blenderbot small", "facebook/blenderbot_small-90M",
        "BlenderbotSmall", _DECODER_START),
    two_stacks("longt5", "LongT5", "google/long-t5-local-base", "LongT5", T5),
    two_stacks("mvp", "MVP", "RUCAIBox/mvp", "Mvp", _DECODER_START),
    two_stacks("pegasus", "Pegasus", "google/pegasus-xsum", "Pegasus", _DECODER_START),
    two_stacks("plbart", "PLBART", "uclanlp/plbart-base", "PLBart", BART),
    Family("marian", "Marian", "Helsinki-NLP/opus-mt-en-de", "MarianConfig", "MarianMTModel",
        {**_DECODER_START, "pad_token_id": 0}, kind="encoder-decoder", template="$A </s>"),
)  # fmt: skip

MORE = (*MORE_DECODERS, *MORE_ENCODERS, *MORE_ENCODER_DECODERS)
