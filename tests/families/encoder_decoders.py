"""Encoder-decoders, whose tokenizers end sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.families.rows import (
    VOCABULARY,
    Family,
)

T5 = {
    "d_model": 32, "d_ff": 88, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4, "d_kv": 8,
    "vocab_size": VOCABULARY, "decoder_start_token_id": 0,
    "initializer_factor": 0.25,  # 4 times that of a checkpoint is too much for unscaled attention
}  # fmt: skip
BART = {
    "d_model": 32, "encoder_ffn_dim": 88, "decoder_ffn_dim": 88,
    "encoder_layers": 2, "decoder_layers": 2,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "max_position_embeddings": 64, "vocab_size": VOCABULARY,
}  # fmt: skip


def two_stacks(
    key: str, title: str, examples: str, name: str, sizes: Mapping[str, Any], **options: Any
) -> Family:
    """An encoder-decoder, whose tokenizer ends sentences."""
    classes = f"{name}Config", f"{name}ForConditionalGeneration"
    ends = {"kind": "encoder-decoder", "template": "$A </s>"}
    return Family(key, title, examples, *classes, sizes, **ends, **options)


ENCODER_DECODERS = (
    two_stacks("t5", "T5, Flan-T5", "google/flan-t5-small", "T5", T5),
    two_stacks("mt5", "mT5, Aya-101", "google/mt5-small", "MT5", T5),
    two_stacks("umt5", "UMT5", "google/umt5-small", "UMT5", T5, note="own adapter"),
    two_stacks(
        "m2m100", "M2M-100, NLLB", "facebook/nllb-200-distilled-600M", "M2M100",
        {**BART, "decoder_start_token_id": 2},
    ),
    two_stacks("mbart", "mBART", "facebook/mbart-large-50", "MBart", BART),
)  # fmt: skip
