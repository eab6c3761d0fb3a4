"""What a model is known by: its configuration, its weights and its words."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

EMBEDDED = Path(__file__).parents[1] / "embedded" / "model"
EMBEDDED_NAME = "mechsteer/embedded"

# what differs between two loadings of one checkpoint
_VOLATILE = {
    *("_name_or_path", "_commit_hash", "transformers_version", "architectures", "pad_token_id"),
    *("dtype", "torch_dtype", "attn_implementation", "_attn_implementation"),
    *("output_attentions", "output_hidden_states", "use_cache", "return_dict"),
}
_SAMPLE = 4096  # values of each parameter that enter the hash


@dataclass(frozen=True)
class ModelIdentity:
    """What must be equal for two recordings to speak of the same neurons.

    ``weights_hash`` covers an even sample of every parameter rounded to bfloat16, so that it is
    cheap for any size and equal for one checkpoint in different precisions.
    """

    name: str
    architecture: str
    n_layers: int
    d_model: int
    config_hash: str
    weights_hash: str
    tokenizer_hash: str
    dtype: str


@dataclass(frozen=True)
class Fingerprint:
    """Configuration and weights of a model: which neurons it has, whatever its words."""

    config_hash: str
    weights_hash: str


def fingerprint(plain: Any, cfg: Any) -> Fingerprint:
    """Hash the configuration and the weights of a plain model, or of one in a bridge.

    Args:
        plain: the Hugging Face model.
        cfg: stands for the configuration where the model has none, as TransformerLens's own.
    """
    return Fingerprint(_config_hash(plain, cfg), _weights_hash(plain))


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
        tokenizer_hash=_tokenizer_hash(tokenizer),
        dtype=str(dtype).removeprefix("torch."),
    )


def _config_hash(plain: Any, cfg: Any) -> str:
    config = getattr(plain, "config", cfg)
    content = config.to_dict()
    return _sha256(json.dumps(_settled(content), sort_keys=True, default=str).encode())


def _settled(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(k): _settled(v) for k, v in content.items() if k not in _VOLATILE}
    return [_settled(v) for v in content] if isinstance(content, (list, tuple)) else content


def _weights_hash(plain: Any) -> str:
    digest = hashlib.sha256()
    for name, parameter in sorted(plain.named_parameters()):
        digest.update(f"{name.replace('._original_component', '')}{[*parameter.shape]}".encode())
        digest.update(_sampled(_present(plain, name, parameter.detach())))
    return digest.hexdigest()


def _present(plain: Any, name: str, parameter: Tensor) -> Tensor:
    """A parameter's values, fetched for the moment where accelerate keeps them elsewhere."""
    if not parameter.is_meta:
        return parameter
    from accelerate.utils import align_module_device

    owner, _, leaf = name.rpartition(".")
    module = plain.get_submodule(owner)
    with align_module_device(module, "cpu"):
        fetched: Tensor = getattr(module, leaf).detach().clone()
    return fetched


def _sampled(parameter: Tensor) -> bytes:
    flat = parameter.flatten()
    sample = flat[:: max(1, flat.numel() // _SAMPLE)].to("cpu", torch.bfloat16)
    return sample.contiguous().view(torch.int16).numpy().tobytes()


def _tokenizer_hash(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    state = json.loads(backend.to_str()) if backend is not None else {}
    # what a call leaves behind, and a token that only ever fills space
    for passing in ("padding", "truncation"):
        state.pop(passing, None)
    special = {k: str(v) for k, v in tokenizer.special_tokens_map.items() if k != "pad_token"}
    content = [tokenizer.get_vocab(), special, state]
    return _sha256(json.dumps(content, sort_keys=True).encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
