"""Tiny checkpoints that TransformerLens has no adapter for, and where their neurons lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.model.encoder_decoders import BART, T5, VOCABULARY

_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 88,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 66,
}
_GATED = {**_SIZES, "num_key_value_heads": 2}
_MODERN = {"pad_token_id": 1, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1}
_DISTIL = {"dim": 32, "hidden_dim": 88, "n_layers": 3, "n_heads": 4, "vocab_size": VOCABULARY}
_BUCKETS = {"relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"]}

CONFIGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert-headless": ("BertConfig", "BertModel", _SIZES),
    "bert-classifier": ("BertConfig", "BertForSequenceClassification", _SIZES),
    "xlmr-headless": ("XLMRobertaConfig", "XLMRobertaModel", _SIZES),
    "modernbert": (
        "ModernBertConfig",
        "ModernBertForMaskedLM",
        {**_SIZES, **_MODERN, "sep_token_id": 2},
    ),
    "deberta": ("DebertaV2Config", "DebertaV2Model", {**_SIZES, **_BUCKETS}),
    "distilbert": ("DistilBertConfig", "DistilBertModel", _DISTIL),
    "electra": ("ElectraConfig", "ElectraModel", {**_SIZES, "embedding_size": 16}),
    "nomicbert": ("NomicBertConfig", "NomicBertModel", _SIZES),
    "xlmr-xl": ("XLMRobertaXLConfig", "XLMRobertaXLModel", _SIZES),
    "mpnet": ("MPNetConfig", "MPNetModel", _SIZES),
    "mistral-headless": ("MistralConfig", "MistralModel", _GATED),
    "gpt2-headless": (
        "GPT2Config",
        "GPT2Model",
        {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64, "vocab_size": VOCABULARY},
    ),
    "helium": ("HeliumConfig", "HeliumForCausalLM", {**_GATED, "head_dim": 8}),
    "t5-encoder": ("T5Config", "T5EncoderModel", T5),
    "umt5": ("UMT5Config", "UMT5ForConditionalGeneration", T5),
    "m2m100-uneven": (
        "M2M100Config",
        "M2M100ForConditionalGeneration",
        BART | {"decoder_layers": 3, "decoder_ffn_dim": 72, "decoder_start_token_id": 2},
    ),
    "albert": ("AlbertConfig", "AlbertModel", {**_SIZES, "embedding_size": 16}),
    "canine": ("CanineConfig", "CanineModel", {k: v for k, v in _SIZES.items() if k[0] != "v"}),
    "fnet": ("FNetConfig", "FNetModel", _SIZES),
    "xlm": (
        "XLMConfig",
        "XLMModel",
        {"emb_dim": 32, "n_layers": 3, "n_heads": 4, "vocab_size": VOCABULARY},
    ),
}
REFUSED = {
    "albert": "every AlbertLayerGroup to run once",
    "canine": "found 3 such lists",
    "fnet": "padding changes what comes before it",
    "xlm": "found 0 such lists",
}
# the down-projection of a layer
DOWN: dict[str, Callable[[Any, int], Any]] = {
    "bert-headless": lambda model, layer: model.encoder.layer[layer].output.dense,
    "bert-classifier": lambda model, layer: model.bert.encoder.layer[layer].output.dense,
    "xlmr-headless": lambda model, layer: model.encoder.layer[layer].output.dense,
    "modernbert": lambda model, layer: model.model.layers[layer].mlp.Wo,
    "deberta": lambda model, layer: model.encoder.layer[layer].output.dense,
    "distilbert": lambda model, layer: model.transformer.layer[layer].ffn.lin2,
    "electra": lambda model, layer: model.encoder.layer[layer].output.dense,
    "nomicbert": lambda model, layer: model.layers[layer].mlp.down_proj,
    "xlmr-xl": lambda model, layer: model.encoder.layer[layer].output.dense,
    "mpnet": lambda model, layer: model.encoder.layer[layer].output.dense,
    "mistral-headless": lambda model, layer: model.layers[layer].mlp.down_proj,
    "gpt2-headless": lambda model, layer: model.h[layer].mlp.c_proj,
    "helium": lambda model, layer: model.model.layers[layer].mlp.down_proj,
    "t5-encoder": lambda model, layer: model.encoder.block[layer].layer[-1].DenseReluDense.wo,
}


def hugging_face(folder: Path | str, **options: Any) -> Any:
    """A checkpoint as a user of transformers opens it."""
    how = {"attn_implementation": "eager", "dtype": torch.float32} | options
    return transformers.AutoModelForCausalLM.from_pretrained(folder, **how).eval()
