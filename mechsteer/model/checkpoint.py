"""Open a checkpoint: with TransformerLens where it reads the architecture, else by plain hooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mechsteer.errors import ModelError
from mechsteer.model.building import bounded_by
from mechsteer.model.complete import IncompleteError, require_complete
from mechsteer.model.decoder import decoder_inputs
from mechsteer.model.device import token_device
from mechsteer.model.gguf.files import is_gguf
from mechsteer.model.gguf.models import reopened
from mechsteer.model.interface import Model
from mechsteer.model.loaders import nothing_installed
from mechsteer.model.plain import PlainModel

# layouts TransformerLens reads, under names it does not know
_READ_AS = {"XLMRobertaForMaskedLM": "RobertaForMaskedLM"}


def open_checkpoint(name: str, config: Any, *, dtype: torch.dtype, **where: Any) -> Any:
    """A TransformerBridge, or a ``PlainModel`` where TransformerLens has no adapter that fits.

    No weight is random: see ``mechsteer.model.complete``. A checkpoint that lacks nothing but the
    prediction head its configuration names is opened without one, by plain hooks.

    Args:
        name: a published model's name or a checkpoint folder.
        config: its configuration.
        dtype: of the weights.
        where: ``device`` or ``device_map``, and ``revision``.

    Raises:
        ModelError: neither can read the architecture, or weights are missing; the message says why.
    """
    architecture = (getattr(config, "architectures", None) or [None])[0]
    options = {"dtype": dtype, **where}
    try:
        return _opened(name, architecture, **options)
    except IncompleteError as refusal:
        try:
            return _plain(name, None, **options)
        except ModelError:
            raise refusal from None


def _opened(name: str, architecture: str | None, **options: Any) -> Any:
    if not has_adapter(architecture):
        return _plain(name, architecture, **options)
    try:
        bridge = _bridge(name, architecture, **options)
        if "device_map" not in options:
            require_runs(bridge)
        return bridge
    except ModelError:
        raise
    except Exception as refusal:  # an adapter that fits only some sizes, for example
        if isinstance(refusal, OSError) and not Path(name).is_dir():  # missing, gated or damaged
            raise
        try:
            return _plain(name, architecture, **options)
        except ModelError as own:
            raise own from refusal


@torch.inference_mode()
def require_runs(bridge: Any) -> None:
    """A pass over one token: some adapters load what they cannot run."""
    plain = bridge.original_model
    ids = torch.zeros(1, 1, dtype=torch.long, device=token_device(plain))
    mask = torch.ones_like(ids)
    bridge(ids, attention_mask=mask, **decoder_inputs(plain, ids, mask), use_cache=False)


def has_adapter(architecture: str | None) -> bool:
    """Whether TransformerLens reads an architecture; it finds out itself where none is named."""
    from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES

    return _READ_AS.get(architecture or "", architecture) in {None, *SUPPORTED_ARCHITECTURES}


class _Whole:
    """A model class, or auto class, that refuses to load a model with random weights."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    def from_pretrained(self, name: str, **options: Any) -> Any:
        """A Hugging Face model, every weight of which came from its checkpoint."""
        with bounded_by(name, options.get("revision")):
            model, info = self._cls.from_pretrained(
                name, output_loading_info=True, ignore_mismatched_sizes=True, **options
            )
        require_complete(model, info)
        return model


def _bridge(name: str, architecture: str | None, **options: Any) -> Any:
    from transformer_lens.model_bridge import TransformerBridge
    from transformer_lens.model_bridge.sources._hf_format import (
        determine_architecture_from_hf_config as determined,
    )
    from transformer_lens.model_bridge.sources.transformers.helpers import (
        get_hf_model_class_for_architecture as class_for,
    )
    from transformers import AutoConfig

    known = _READ_AS.get(architecture or "")
    config = AutoConfig.from_pretrained(name, revision=options.get("revision"))
    config.__dict__.update({"architectures": [known]} if known else {})
    with nothing_installed():
        return TransformerBridge.boot_transformers(
            name,
            hf_config_overrides={"architectures": [known]} if known else None,
            model_class=_Whole(class_for(determined(config))),
            **options,
        )


def _plain(name: str, architecture: str | None, **options: Any) -> PlainModel:
    return PlainModel(whole_model(name, architecture, **options), name)


def whole_model(
    name: str,
    architecture: str | None,
    *,
    device: torch.device | None = None,
    device_map: Any = None,
    **options: Any,
) -> Any:
    """A Hugging Face model in eval mode, every weight of which came from its checkpoint.

    Raises:
        ModelError: weights are missing or of another shape.
    """
    import transformers

    cls = getattr(transformers, architecture or "", transformers.AutoModel)
    model = _Whole(cls).from_pretrained(
        name,
        attn_implementation="eager",  # as TransformerLens has it
        device_map=device_map,
        **options,
    )
    return (model if device is None else model.to(device)).eval()


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
    if is_gguf(Path(name)):
        plain = reopened(Path(name), weight.dtype)
    else:
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


def default_dtype(config: Any, device: torch.device) -> torch.dtype:
    """Float32 on the CPU and the checkpoint's own elsewhere."""
    stored = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
    found: torch.dtype = getattr(torch, "float32" if device.type == "cpu" else stored)
    return found


def opened_as(view: Model, folder: Path) -> Any:
    """The Hugging Face model of a folder, loaded once more in the way that a view's own was."""
    if isinstance(view, PlainModel):
        cls, options = type(view.original_model), {"attn_implementation": "eager"}
        return _Whole(cls).from_pretrained(str(folder), dtype=view.dtype, **options)
    architecture = str(view.cfg.architecture)
    again = _bridge(str(folder), architecture, dtype=view.dtype, device=torch.device("cpu"))
    return again.original_model
