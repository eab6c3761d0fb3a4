"""Encoders, with a prediction head and without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.families.rows import (
    GATED,
    HEADS,
    SIZES,
    VOCABULARY,
    Family,
    bert,
)

OFFSET = {**SIZES, "max_position_embeddings": 66}

ENCODERS = (
    Family(
        "bert", "BERT",
        "google-bert/bert-base-multilingual-cased",
        "BertConfig", "BertForMaskedLM", SIZES, bert("bert"), kind="encoder",
    ),
    Family(
        "roberta", "RoBERTa", "FacebookAI/roberta-base", "RobertaConfig", "RobertaForMaskedLM",
        {**SIZES, "max_position_embeddings": 66}, bert("roberta"), kind="encoder",
    ),
    Family(
        "xlmr", "XLM-R", "FacebookAI/xlm-roberta-base",
        "XLMRobertaConfig", "XLMRobertaForMaskedLM",
        {**SIZES, "max_position_embeddings": 66}, bert("roberta"), kind="encoder",
    ),
)  # fmt: skip


def headless(
    key: str, title: str, examples: str, name: str, sizes: Mapping[str, Any], **options: Any
) -> Family:
    """An encoder without a prediction head, read by mechsteer's own adapter."""
    classes = f"{name}Config", f"{name}Model"
    return Family(
        key, title, examples, *classes, sizes, kind="encoder", note="own adapter", **options
    )


HEADLESS = (
    headless(
        "bert_model", "BERT without a head",
        "sentence-transformers/LaBSE, paraphrase-multilingual-MiniLM-L12-v2", "Bert", SIZES,
    ),
    headless(
        "xlmr_model", "XLM-R without a head", "intfloat/multilingual-e5-small, BAAI/bge-m3",
        "XLMRoberta", OFFSET,
    ),
    headless(
        "distilbert", "DistilBERT", "distilbert/distilbert-base-multilingual-cased", "DistilBert",
        {"dim": 32, "hidden_dim": 88, "n_layers": 3, "n_heads": 4, "vocab_size": VOCABULARY},
    ),
    headless(
        "deberta", "DeBERTa v2, v3", "microsoft/mdeberta-v3-base", "DebertaV2",
        {
            **OFFSET, "relative_attention": True, "position_buckets": 16,
            "pos_att_type": ["p2c", "c2p"],
        },
    ),
    headless("mpnet", "MPNet", "sentence-transformers/all-mpnet-base-v2", "MPNet", OFFSET),
    Family(
        "modernbert", "ModernBERT", "jhu-clsp/mmBERT-base", "ModernBertConfig",
        "ModernBertForMaskedLM",
        {**OFFSET, "pad_token_id": 1, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1,
         "sep_token_id": 2},
        kind="encoder", note="own adapter", sites=("post",),
    ),
    Family(
        "helium", "Helium", "kyutai/helium-1-2b", "HeliumConfig", "HeliumForCausalLM", HEADS,
        GATED, note="own adapter",
    ),
)  # fmt: skip
