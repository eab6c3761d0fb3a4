"""A model to measure: loaded by name or folder, checked, and known by its weights and its words."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from mechsteer.errors import ArtifactError, ModelError

EMBEDDED = Path(__file__).parent / "embedded" / "model"
EMBEDDED_NAME = "mechsteer/embedded"

# layouts TransformerLens reads, under names it does not know
_READ_AS = {"XLMRobertaForMaskedLM": "RobertaForMaskedLM"}
# what differs between two loadings of one checkpoint
_VOLATILE = {
    *("_name_or_path", "_commit_hash", "transformers_version", "architectures", "pad_token_id"),
    *("dtype", "torch_dtype", "attn_implementation", "_attn_implementation"),
    *("output_attentions", "output_hidden_states", "use_cache", "return_dict"),
}
_SAMPLE = 4096  # values of each parameter that enter the hash
_plain_tokenizers: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def load_model(
    name_or_path: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    revision: str | None = None,
) -> Any:
    """Load a TransformerBridge in eval mode, without gradients, running no remote code.

    Args:
        name_or_path: a published model's name, a checkpoint folder, or None for the embedded model.
        device: default the GPU where there is one.
        dtype: default float32 on the CPU and the checkpoint's own elsewhere.
        revision: branch, tag or commit of a published model.

    Raises:
        ModelError: the model is missing, gated, damaged, or of an architecture TransformerLens does
            not read.
    """
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoConfig, AutoTokenizer

    name = _source(name_or_path)
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with quiet():
        try:
            config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
            tokenizer = AutoTokenizer.from_pretrained(
                name, revision=revision, trust_remote_code=False
            )
            model = TransformerBridge.boot_transformers(
                name,
                hf_config_overrides=_overrides(config),
                device=device,
                dtype=dtype or _default_dtype(config, device),
                revision=revision,
            )
        except Exception as error:
            raise ModelError(_reason(name, error)) from error
    _plain_tokenizers[model] = _padded_right(tokenizer)
    return model.eval().requires_grad_(False)


def plain_tokenizer(model: Any) -> Any:
    """The checkpoint's own tokenizer, padding on the right.

    Not ``model.tokenizer``: TransformerLens loads that one anew with a forced beginning-of-sequence
    token, which many models were never trained with.

    Raises:
        ModelError: the model was not loaded by ``load_model`` and does not say where its tokenizer
            lies.
    """
    from transformers import AutoTokenizer

    if model not in _plain_tokenizers:
        source = getattr(getattr(model, "tokenizer", None), "name_or_path", "")
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        except Exception as error:
            raise ModelError(
                f"cannot find the plain tokenizer of this model (it names {source!r}): "
                "pass tokenizer=AutoTokenizer.from_pretrained(...)"
            ) from error
        _plain_tokenizers[model] = _padded_right(tokenizer)
    return _plain_tokenizers[model]


def context_length(model: Any, tokenizer: Any) -> int:
    """Tokens a model takes; its tokenizer knows better where positions start at an offset."""
    return min(int(model.cfg.n_ctx), int(tokenizer.model_max_length))


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


def identity(model: Any, tokenizer: Any) -> ModelIdentity:
    """Identify a model by its configuration, weights and tokenizer."""
    name = str(model.cfg.model_name)
    return ModelIdentity(
        name=EMBEDDED_NAME if name == str(EMBEDDED) else name,
        architecture=str(model.cfg.architecture),
        n_layers=int(model.cfg.n_layers),
        d_model=int(model.cfg.d_model),
        config_hash=_config_hash(model),
        weights_hash=_weights_hash(model),
        tokenizer_hash=_tokenizer_hash(tokenizer),
        dtype=str(next(model.parameters()).dtype).removeprefix("torch."),
    )


def require_same_model(model: Any, expected: ModelIdentity) -> None:
    """Refuse what was made with another model.

    Raises:
        ArtifactError: configuration or weights differ from those of ``expected``.
    """
    same_config = _config_hash(model) == expected.config_hash
    if not same_config or _weights_hash(model) != expected.weights_hash:
        raise ArtifactError(
            f"this was made with {expected.name} ({expected.architecture}, {expected.n_layers} "
            f"layers), and {model.cfg.model_name} has other "
            f"{'weights' if same_config else 'configuration'}: load that model, or score this one"
        )


def require_eval(model: Any) -> None:
    """Refuse a model in train mode: dropout would make every number random.

    Raises:
        ModelError: the model, or any part of it that has parameters or dropout, trains.
    """
    if model.training or any(part.training for part in model.original_model.modules()):
        raise ModelError("the model is in train mode, where dropout is random: call model.eval()")


def require_raw(model: Any) -> None:
    """Refuse compatibility mode, which shifts the residual stream of LayerNorm models.

    Raises:
        ModelError: the bridge's weights were processed.
    """
    if getattr(model, "compatibility_mode", False):
        raise ModelError(
            "compatibility mode shifts the residual stream, so its embeddings compare to nobody "
            "else's: load the model again and leave enable_compatibility_mode() out"
        )


def _source(name_or_path: str | Path | None) -> str:
    if name_or_path is None:
        if not (EMBEDDED / "config.json").is_file():
            raise ModelError("this install lacks the embedded model: name a model or a folder")
        return str(EMBEDDED)
    name = str(name_or_path)
    folder = Path(name).expanduser()
    if folder.exists() or isinstance(name_or_path, Path) or name.startswith((".", "/", "~")):
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"expected a checkpoint folder with a config.json at {name}, found "
                f"{'none in it' if folder.is_dir() else 'no folder'}: name a folder or a model"
            )
        return str(folder)
    return name


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the loaders' prints and progress bars off the terminal."""
    from transformers.utils import logging

    barred = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        if barred:
            logging.enable_progress_bar()


def _overrides(config: Any) -> dict[str, Any] | None:
    names = getattr(config, "architectures", None) or [None]
    return {"architectures": [_READ_AS[names[0]]]} if names[0] in _READ_AS else None


def _default_dtype(config: Any, device: torch.device) -> torch.dtype:
    stored = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
    found: torch.dtype = getattr(torch, "float32" if device.type == "cpu" else stored)
    return found


def _reason(name: str, error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    if "gated" in str(error).lower():
        advice = "accept its licence on its page, then `hf auth login`"
    elif offline and isinstance(error, OSError):
        advice = "HF_HUB_OFFLINE is set: unset it, or name a checkpoint folder"
    else:
        advice = "expected a published model's name or a checkpoint folder"
    return f"cannot load {name!r}: {lines[0].rstrip('.')}; {advice}"


def _padded_right(tokenizer: Any) -> Any:
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _config_hash(model: Any) -> str:
    config = getattr(model.original_model, "config", model.cfg)
    content = config.to_dict()
    return _sha256(json.dumps(_settled(content), sort_keys=True, default=str).encode())


def _settled(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(k): _settled(v) for k, v in content.items() if k not in _VOLATILE}
    return [_settled(v) for v in content] if isinstance(content, (list, tuple)) else content


def _weights_hash(model: Any) -> str:
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        digest.update(f"{name.replace('._original_component', '')}{[*parameter.shape]}".encode())
        digest.update(_sampled(parameter.detach()))
    return digest.hexdigest()


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
