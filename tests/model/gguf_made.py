"""Tiny GGUF files of tiny checkpoints, as llama.cpp's converters write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

_EPS = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps")
Change = Callable[[str, np.ndarray, Any], np.ndarray]


def write_gguf(
    checkpoint: Path,
    path: Path,
    architecture: str,
    *,
    kind: str = "F32",
    settings: Mapping[str, Any] | None = None,
    extra: Mapping[str, np.ndarray] | None = None,
    pre: str = "gpt-2",
) -> Path:
    """Write a checkpoint folder as one GGUF file.

    Args:
        checkpoint: of a causal model, with a byte-level tokenizer.
        path: of the file.
        architecture: llama.cpp's name of it.
        kind: how matrices are stored, where their rows are whole blocks of it; float32 elsewhere.
        settings: of the architecture, beside or instead of those of the configuration.
        extra: tensors beside those of the model.
        pre: how the tokenizer splits words, in llama.cpp's names.
    """
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in {**_settings(model.config), **(settings or {})}.items():
        add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        add[type(value)](f"{architecture}.{key}", value)
    _add_words(writer, checkpoint, pre)
    tensors = {**_tensors(model, architecture), **(extra or {})}
    for name, tensor in tensors.items():
        _add(writer, name, np.ascontiguousarray(tensor), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _settings(config: Any) -> dict[str, Any]:
    eps = next(
        float(getattr(config, name))
        for name in (
            "rms_norm_eps",
            "layer_norm_eps",
            "layer_norm_epsilon",
            "norm_epsilon",
            "norm_eps",
        )
        if hasattr(config, name)
    )
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    found = {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        "attention.head_count": heads,
        "attention.head_count_kv": getattr(config, "num_key_value_heads", None) or heads,
        "attention.key_length": head,
        "attention.layer_norm_rms_epsilon": eps,
        "attention.layer_norm_epsilon": eps,
        "rope.dimension_count": head,
        "vocab_size": config.vocab_size,
    }
    rope = getattr(config, "rope_parameters", None) or {}
    if theta := rope.get("rope_theta") or rope.get("full_attention", {}).get("rope_theta"):
        found["rope.freq_base"] = float(theta)
    if getattr(config, "sliding_window", None):
        found["attention.sliding_window"] = config.sliding_window
    return found


def _tensors(model: Any, architecture: str) -> dict[str, np.ndarray]:
    names = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}
    table = gguf.get_tensor_name_map(names[architecture], model.config.num_hidden_layers)
    found = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        new = table.get_name(name, try_suffixes=(".weight", ".bias"))
        if new is None:
            raise ValueError(f"llama.cpp has no name for {name}")
        found[new] = _CHANGES.get(architecture, _same)(new, tensor.numpy(), model.config)
    return found


def _same(name: str, tensor: np.ndarray, config: Any) -> np.ndarray:
    return tensor


def _llama(name: str, tensor: np.ndarray, config: Any) -> np.ndarray:
    """Rotary halves become rotary pairs."""
    heads = {".attn_q.": config.num_attention_heads, ".attn_k.": config.num_key_value_heads}
    for part, n in heads.items():
        if part in name:
            return tensor.reshape(n, 2, -1, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)
    return tensor


def _nemotron(name: str, tensor: np.ndarray, config: Any) -> np.ndarray:
    return tensor + 1 if name.endswith("norm.weight") else tensor


def _gpt2(name: str, tensor: np.ndarray, config: Any) -> np.ndarray:
    turned = ("attn_qkv.weight", "attn_output.weight", "ffn_up.weight", "ffn_down.weight")
    return tensor.T if name.endswith(turned) else tensor


_CHANGES: dict[str, Change] = {
    "llama": _llama,
    "gpt2": _gpt2,
    "nemotron": _nemotron,
    "gemma2": _nemotron,
    "gemma3": _nemotron,
}


def _add(writer: gguf.GGUFWriter, name: str, tensor: np.ndarray, kind: str) -> None:
    stored = gguf.GGMLQuantizationType[kind]
    block = gguf.GGML_QUANT_SIZES[stored][0]
    if tensor.ndim < 2 or tensor.shape[-1] % block:
        stored = gguf.GGMLQuantizationType.F32
    writer.add_tensor(name, gguf.quants.quantize(tensor, stored), raw_dtype=stored)


def _add_words(writer: gguf.GGUFWriter, checkpoint: Path, pre: str) -> None:
    words = json.loads((checkpoint / "tokenizer.json").read_text())
    vocabulary = words["model"]["vocab"]
    special = {token["content"] for token in words["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    merges = words["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_unk_token_id(vocabulary["<unk>"])
    writer.add_bos_token_id(vocabulary["<s>"])
    writer.add_eos_token_id(vocabulary["</s>"])
    writer.add_add_bos_token(True)
