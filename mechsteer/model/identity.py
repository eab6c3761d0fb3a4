"""What a model is known by: its configuration, its weights and its words."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mechsteer.model.weights import CHECKPOINT, MEMORY, Origin, weights_hash
from mechsteer.model.words import tokenizer_hash

EMBEDDED = Path(__file__).parents[1] / "embedded" / "model"
EMBEDDED_NAME = "mechsteer/embedded"


def place_of(source: str) -> str:
    """Where a model lies that is named: the embedded one by either of its names.

    >>> place_of("gpt2"), Path(place_of("embedded")).name
    ('gpt2', 'model')
    """
    return str(EMBEDDED) if source in {"embedded", EMBEDDED_NAME} else source


# what differs between two loadings of one checkpoint
_VOLATILE = {
    *("_name_or_path", "_commit_hash", "transformers_version", "architectures", "pad_token_id"),
    *("dtype", "torch_dtype", "attn_implementation", "_attn_implementation"),
    *("output_attentions", "output_hidden_states", "use_cache", "return_dict"),
    "quantization_config",  # stands with the weights, see _quantised
}
_SAMPLED = re.compile(r"[0-9a-f]{64}")  # how weights were known when a sample of them was hashed


@dataclass(frozen=True)
class ModelIdentity:
    """What must be equal for two recordings to speak of the same neurons.

    The checkpoint and the numerics stand apart. ``weights_hash`` is ``checkpoint:`` and the hash of
    every byte of every tensor of its files, in whatever precision it was loaded; ``memory:`` and
    the hash of all weights as they are, where they are those of no file, or no longer. Weights that
    were quantised while loading are those of no checkpoint, and it says so. ``dtype`` is what the
    model computes in. ``gguf`` names the GGUF file that weights were dequantised from, with the
    number of its tensors of each type; ``weights_hash`` is that of the file's bytes then.
    """

    name: str
    architecture: str
    n_layers: int
    d_model: int
    config_hash: str
    weights_hash: str
    tokenizer_hash: str
    dtype: str
    gguf: str = ""


@dataclass(frozen=True)
class Fingerprint:
    """Configuration and weights of a model: which neurons it has, whatever its words."""

    config_hash: str
    weights_hash: str
    gguf: str = ""


def fingerprint(plain: Any, cfg: Any, loaded: Origin | None = None) -> Fingerprint:
    """Hash the configuration and the weights of a plain model, or of one in a bridge.

    Args:
        plain: the Hugging Face model.
        cfg: stands for the configuration where the model has none, as TransformerLens's own.
        loaded: where its weights came from, see ``mechsteer.model.weights``.
    """
    weights = weights_hash(plain, loaded)
    if (how := _quantised(plain)) and weights.startswith(CHECKPOINT):
        weights = f"{how}, {weights}"
    from_file = loaded is not None and weights == loaded.checkpoint.known
    gguf = loaded.checkpoint.gguf if loaded is not None and from_file else ""
    return Fingerprint(_config_hash(plain, cfg), weights, gguf)


def difference(own: Fingerprint, expected: ModelIdentity) -> str:
    """What of a model is not as expected, in words; empty where it is the same model."""
    if own.config_hash != expected.config_hash:
        return "other configuration"
    if own.weights_hash == expected.weights_hash:
        return ""
    if _SAMPLED.fullmatch(expected.weights_hash):
        return "weights that an older mechsteer knew by a sample of them, which says too little"
    if own.weights_hash.startswith(MEMORY):
        return "other weights (they were changed after loading, or are those of no checkpoint)"
    if not own.weights_hash.startswith(CHECKPOINT):
        return f"other weights ({own.weights_hash.partition(',')[0]})"
    return "other weights"


def _quantised(plain: Any) -> str:
    """How weights were quantised while loading; empty where they are as in their checkpoint."""
    quantizer = getattr(plain, "hf_quantizer", None)
    if quantizer is None or getattr(quantizer, "pre_quantized", False):
        return ""
    method = getattr(quantizer.quantization_config, "quant_method", "")
    return f"quantised by {getattr(method, 'value', method)}"


def identify(print_: Fingerprint, cfg: Any, dtype: torch.dtype, tokenizer: Any) -> ModelIdentity:
    """All that a model is known by.

    Args:
        print_: of its configuration and weights.
        cfg: names it: ``model_name``, ``architecture``, ``n_layers``, ``d_model``.
        dtype: of its weights.
        tokenizer: its plain tokenizer.
    """
    name = str(cfg.model_name)
    return ModelIdentity(
        name=EMBEDDED_NAME if name == str(EMBEDDED) else name,
        architecture=str(cfg.architecture),
        n_layers=int(cfg.n_layers),
        d_model=int(cfg.d_model),
        config_hash=print_.config_hash,
        weights_hash=print_.weights_hash,
        tokenizer_hash=tokenizer_hash(tokenizer),
        dtype=str(dtype).removeprefix("torch."),
        gguf=print_.gguf,
    )


def _config_hash(plain: Any, cfg: Any) -> str:
    config = getattr(plain, "config", cfg)
    content = config.to_dict()
    return _sha256(json.dumps(_settled(content), sort_keys=True, default=str).encode())


def _settled(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(k): _settled(v) for k, v in content.items() if k not in _VOLATILE}
    return [_settled(v) for v in content] if isinstance(content, (list, tuple)) else content


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
