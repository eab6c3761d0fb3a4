"""Tiny random checkpoints of real architectures, with a tokenizer trained on the spot."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"

from mechsteer.corpus import LabelledCorpus
from mechsteer.models import load_model
from tests.model import encoder_decoders, mixture_models, plain_models

TEXT = (
    "the cat sat on the mat and the dog sat by the door",
    "le chat est assis sur le tapis et le chien est à la porte",
    "кошка сидит на ковре а собака у двери",
)
VOCABULARY = 330
SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
GATED = {**SIZES, "intermediate_size": 88, "num_key_value_heads": 2, "vocab_size": VOCABULARY}
CONFIGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", {**GATED, "max_position_embeddings": 64}),
    "gpt2": (
        "GPT2Config",
        "GPT2LMHeadModel",
        {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64, "vocab_size": VOCABULARY},
    ),
    "bloom": (
        "BloomConfig",
        "BloomForCausalLM",
        {"hidden_size": 32, "n_layer": 3, "n_head": 4, "vocab_size": VOCABULARY},
    ),
    "xglm": (
        "XGLMConfig",
        "XGLMForCausalLM",
        {
            "d_model": 32,
            "ffn_dim": 88,  # not 4·d_model: TransformerLens's cfg.d_mlp is wrong here
            "num_layers": 3,
            "attention_heads": 4,
            "max_position_embeddings": 64,
            "vocab_size": VOCABULARY,
        },
    ),
    "mixtral": ("MixtralConfig", "MixtralForCausalLM", {**GATED, "num_local_experts": 4}),
    "bert": (
        "BertConfig",
        "BertForMaskedLM",
        {
            **SIZES,
            "intermediate_size": 88,
            "max_position_embeddings": 64,
            "vocab_size": VOCABULARY,
        },
    ),
    "xlmr": (
        "XLMRobertaConfig",
        "XLMRobertaForMaskedLM",
        {
            **SIZES,
            "intermediate_size": 88,
            "max_position_embeddings": 66,
            "vocab_size": VOCABULARY,
        },
    ),
    **encoder_decoders.CONFIGS,
    "led": encoder_decoders.LED,
    **plain_models.CONFIGS,
    **mixture_models.CONFIGS,
}


def save_tokenizer(folder: Path, template: str) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(TEXT * 3, trainer)
    if template != "$A":
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Folder of a checkpoint, made once: ``checkpoint("llama", template="<s> $A")``."""
    import transformers

    root = tmp_path_factory.mktemp("checkpoints")

    def make(family: str, *, template: str = "<s> $A") -> Path:
        folder = root / f"{family} {template}".replace("/", "")
        if not folder.exists():
            config, model, sizes = CONFIGS[family]
            torch.manual_seed(7)
            made = getattr(transformers, model)(getattr(transformers, config)(**sizes))
            # the default initial deviation of 0.02 makes activations too small to tell apart
            for parameter in made.parameters():
                parameter.data.mul_(4.0)
            made.save_pretrained(folder)
            save_tokenizer(folder, template)
        return folder

    return make


@pytest.fixture(scope="session")
def bridge(checkpoint: Callable[..., Path]) -> Callable[..., Any]:
    """A loaded model, shared by the tests that leave it as it was."""
    loaded: dict[tuple[str, str], Any] = {}

    def load(family: str, *, template: str = "<s> $A") -> Any:
        key = family, template
        if key not in loaded:
            loaded[key] = load_model(checkpoint(family, template=template), device="cpu")
        return loaded[key]

    return load


@pytest.fixture(scope="session")
def corpus() -> LabelledCorpus:
    """Three languages of unequal numbers of sentences, of 1 to 40 tokens."""
    sentences = {
        code: tuple(" ".join(text.split()[: 1 + i % 11]) + "." * i for i in range(n))
        for code, text, n in zip(
            ("eng_Latn", "fra_Latn", "rus_Cyrl"), TEXT, (13, 9, 6), strict=True
        )
    }
    return LabelledCorpus(sentences, sources={code: f"{code}.txt" for code in sentences})
