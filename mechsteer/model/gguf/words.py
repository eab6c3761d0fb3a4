"""The tokenizer of a GGUF file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from mechsteer.artifacts.files import read_json, write_json
from mechsteer.errors import ModelError
from mechsteer.model.gguf.files import GgufFile, line_of
from mechsteer.progress import stage

# llama.cpp's ways to split words: as GPT-2 does, and so with each digit a word
_AS_GPT2 = {"", "default", "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling"}
_COMPOSED = {"qwen2", "qwen35"}
_DIGITS = {"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b"}


def tokenizer_of(file: GgufFile) -> Any:
    """The tokenizer of a file.

    Raises:
        ModelError: transformers cannot read it.
    """
    from transformers import AutoTokenizer

    try:
        with stage(f"building the tokenizer of {file.path.name}"):
            found = AutoTokenizer.from_pretrained(str(file.alone), gguf_file=file.path.name)
    except Exception as error:
        raise ModelError(
            f"cannot read the tokenizer of {str(file.path)!r} ({line_of(error)}): name a "
            "checkpoint folder of that model"
        ) from error
    found.name_or_path = str(file.path)
    _split_words(found, str(file.settings.get("tokenizer.ggml.pre", "")), file.path.name)
    return found


def save_words(tokenizer: Any, folder: Path) -> None:
    """Save a tokenizer so that it is read back as it is: its class might build another one."""
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    write_json(settings, {**read_json(settings), "tokenizer_class": "PreTrainedTokenizerFast"})


def _split_words(tokenizer: Any, way: str, name: str) -> None:
    """Split words in llama.cpp's way, where transformers takes GPT-2's for every one it lacks."""
    from tokenizers import normalizers, pre_tokenizers

    backend = tokenizer.backend_tokenizer
    if way in _COMPOSED and backend.normalizer is None:  # as its published tokenizers do
        backend.normalizer = normalizers.NFC()
    if not isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel) or way in _AS_GPT2:
        return
    if way in _DIGITS:
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])
        return
    warnings.warn(
        f"{name} splits words as {way!r} does, which transformers does not know and does as GPT-2: "
        "some tokens may differ; a checkpoint folder of the model has its own tokenizer",
        stacklevel=2,
    )
