"""Open a checkpoint: with TransformerLens where it reads the architecture, else by plain hooks."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from mechsteer.errors import ModelError
from mechsteer.model.decoder import decoder_inputs
from mechsteer.model.device import token_device
from mechsteer.model.interface import Model
from mechsteer.model.plain import PlainModel

# layouts TransformerLens reads, under names it does not know
_READ_AS = {"XLMRobertaForMaskedLM": "RobertaForMaskedLM"}
# what a checkpoint folder holds beside its configuration, under one of these names
_FILES = {
    "weights": ("*.safetensors", "*.bin", "*.index.json"),
    "tokenizer": ("tokenizer*", "*.model", "vocab*"),
}


def open_checkpoint(name: str, config: Any, *, dtype: torch.dtype, **where: Any) -> Any:
    """A TransformerBridge, or a ``PlainModel`` where TransformerLens has no adapter that fits.

    Its adapters are for models with their language-model head: opened by one, a checkpoint without
    would get a random head.

    Args:
        name: a published model's name or a checkpoint folder.
        config: its configuration.
        dtype: of the weights.
        where: ``device`` or ``device_map``, and ``revision``.

    Raises:
        ModelError: neither can read the architecture; the message says why.
    """
    architecture = (getattr(config, "architectures", None) or [None])[0]
    if not _has_adapter(architecture):
        return _plain(name, architecture, dtype=dtype, **where)
    try:
        return _bridge(name, architecture, dtype=dtype, **where)
    except OSError:  # missing, gated or damaged
        raise
    except Exception as refusal:  # an adapter that fits only some sizes, for example
        try:
            return _plain(name, architecture, dtype=dtype, **where)
        except ModelError:
            raise refusal from None


def _has_adapter(architecture: str | None) -> bool:
    from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES

    return _READ_AS.get(architecture or "", architecture) in {None, *SUPPORTED_ARCHITECTURES}


def _bridge(name: str, architecture: str | None, **options: Any) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    known = _READ_AS.get(architecture or "")
    overrides = {"architectures": [known]} if known else None
    return TransformerBridge.boot_transformers(name, hf_config_overrides=overrides, **options)


def _plain(
    name: str,
    architecture: str | None,
    *,
    device: torch.device | None = None,
    device_map: Any = None,
    **options: Any,
) -> PlainModel:
    import transformers

    cls = getattr(transformers, architecture or "", transformers.AutoModel)
    model, info = cls.from_pretrained(
        name,
        attn_implementation="eager",  # as TransformerLens has it
        device_map=device_map,
        output_loading_info=True,
        **options,
    )
    _settle_missing(model, info["missing_keys"])
    return PlainModel((model if device is None else model.to(device)).eval(), name)


@torch.no_grad()
def _settle_missing(model: Any, missing: set[str]) -> None:
    """A pooler that nobody trained is set to 0, so that one checkpoint is one model."""
    essential = sorted(name for name in missing if "pooler" not in name)
    if essential:
        raise ModelError(
            f"the checkpoint lacks {len(essential)} tensors of {type(model).__name__}, "
            f"{essential[0]} for one, which would be random: expected a whole checkpoint"
        )
    for name in missing:
        model.get_parameter(name).zero_()


@torch.inference_mode()
def require_faithful(model: Model, name: str, *, revision: str | None = None) -> None:
    """Compare a bridge with the plain model of its checkpoint, on two sentences and padding.

    The bound on the logits is ``√eps`` of their dtype, relative to the largest: some adapters
    compute attention anew, in another order. Every weight is loaded a second time. A ``PlainModel``
    runs the plain model itself and has nothing to compare.

    Raises:
        ModelError: the logits differ by more.
    """
    import transformers

    if isinstance(model, PlainModel):
        return
    weight = next(model.parameters())
    plain = getattr(transformers, type(model.original_model).__name__).from_pretrained(
        name, attn_implementation="eager", dtype=weight.dtype, revision=revision
    )
    ids = torch.arange(2, 16).view(2, 7)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    found, expected = (
        each(there, attention_mask=at, **decoder_inputs(inner, there, at))
        for each, inner in ((model, model.original_model), (plain.eval(), plain))
        for there, at in [(ids.to(token_device(inner)), mask.to(token_device(inner)))]
    )
    wanted, got = expected.logits[mask.bool()].float(), found.cpu()[mask.bool()].float()
    if not (got - wanted).abs().max() <= torch.finfo(weight.dtype).eps ** 0.5 * wanted.abs().max():
        raise ModelError(
            f"{model.cfg.architecture} does not give under TransformerLens what it gives under "
            f"transformers: logits differ by {float((got - wanted).abs().max()):.3g} of "
            f"{float(wanted.abs().max()):.3g}; please report it, with both versions"
        )


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


def default_dtype(config: Any, device: torch.device) -> torch.dtype:
    """Float32 on the CPU and the checkpoint's own elsewhere."""
    stored = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
    found: torch.dtype = getattr(torch, "float32" if device.type == "cpu" else stored)
    return found


def reason_of(name: str, error: Exception) -> str:
    """One line on why a model could not be loaded, with what to do."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    if lack := _lack(Path(name)):
        return f"cannot load {name!r}: the folder has no {lack}; save or copy one into it"
    if "gated" in str(error).lower():
        advice = "accept its licence on its page, then `hf auth login`"
    elif "does not recognize this architecture" in str(error):
        advice = "try a newer transformers: pip install -U transformers"
    elif offline and isinstance(error, OSError):
        advice = "HF_HUB_OFFLINE is set: unset it, or name a checkpoint folder"
    else:
        advice = "expected a published model's name or a checkpoint folder"
    return f"cannot load {name!r}: {lines[0].rstrip('.')}; {advice}"


def _lack(folder: Path) -> str | None:
    """What a checkpoint folder is without; None where it is whole, or no folder."""
    if not folder.is_dir():
        return None
    missing = (
        what for what, names in _FILES.items() if not any(map(list, map(folder.glob, names)))
    )
    return next(missing, None)
