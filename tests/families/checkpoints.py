"""Tiny random checkpoints of the roster's families, with a tokenizer trained on the spot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.families.roster import FAMILIES

TEXT = (
    "the cat sat on the mat and the dog sat by the door",
    "le chat est assis sur le tapis et le chien est à la porte",
    "кошка сидит на ковре а собака у двери",
)
_N_TOKENS = 330


def save_checkpoint(key: str, folder: Path, *, template: str | None = None) -> Path:
    """Write a family's tiny checkpoint into a folder, the same weights each time; no network.

    Args:
        key: a family of ``FAMILIES``.
        folder: where the model and its tokenizer go.
        template: what the tokenizer makes of a sentence ``$A``; the family's own by default.
    """
    family = FAMILIES[key]
    template = template or family.template
    return save_tiny(family.config, family.model, family.sizes, folder, template=template)


def save_tiny(
    config_name: str, model_name: str, sizes: Mapping[str, Any], folder: Path, *, template: str
) -> Path:
    """Write a checkpoint of any two classes of transformers, as `save_checkpoint` does."""
    import torch
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        config = getattr(transformers, config_name)(**sizes)
        model = getattr(transformers, model_name)(config)
    # the default initial deviation of 0.02 makes activations too small to tell apart
    for parameter in model.parameters():
        parameter.data.mul_(4.0)
    model.save_pretrained(folder)
    _tokenizer(template).save_pretrained(folder)
    return folder


def _tokenizer(template: str) -> Any:
    """Byte-level BPE, whose every text has a token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_N_TOKENS,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(TEXT * 3, trainer)
    if template != "$A":
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
