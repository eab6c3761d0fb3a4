"""The view of a module that the user holds: made once, and kept on the module itself.

A Hugging Face model is read in place, by forward hooks that change nothing, so that what the user
calls is what is measured and steered. Its attention stays as it was loaded; eager attention is what
is bit for bit that of a bridge. Where its neurons cannot be told by structure (mixtures of experts)
TransformerLens wraps it, which changes the object, and a warning says so.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

from torch import nn

from mechsteer.errors import ModelError
from mechsteer.model.bridge import BridgeModel
from mechsteer.model.hugging_face import HuggingFaceModel
from mechsteer.model.interface import Model
from mechsteer.model.loaders import nothing_installed
from mechsteer.model.peft_models import adapted, is_adapted, require_hooks_called
from mechsteer.model.plain import PlainModel
from mechsteer.model.tokenizer import load_tokenizer
from mechsteer.model.weight_origin import recognised

_VIEW = "_mechsteer"  # where a module keeps its view, so that what was verified once stays so


def view_of(module: nn.Module, tokenizer: Any = None) -> Model:
    """The view of a bridge, of a Hugging Face model, or of a PEFT model.

    Args:
        module: what the user holds.
        tokenizer: its plain tokenizer, where it is not found by the model's name.

    Raises:
        ModelError: it is neither, or one whose neurons cannot be told for certain.
    """
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    if _VIEW not in vars(module):
        vars(module)[_VIEW] = keep(_made(module, tokenizer))
    found: Model = vars(module)[_VIEW]
    return found


def keep(view: Model) -> Model:
    """Let a view be that of its module from now on."""
    vars(view.module)[_VIEW] = view
    return view


def no_model(found: object) -> ModelError:
    """The refusal of what is no model."""
    return ModelError(
        "expected a model (a TransformerBridge, a Hugging Face or PEFT model, a published model's "
        f"name or a checkpoint folder), got {type(found).__name__}"
    )


def _made(module: Any, tokenizer: Any) -> Model:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel

    if isinstance(module, TransformerBridge):
        view: Model = BridgeModel(module)
    elif is_adapted(module):
        model, name = adapted(module)
        view = _hooked(model, name, tokenizer, outer=module)
    elif isinstance(module, PreTrainedModel):
        name = getattr(module.config, "_name_or_path", "") or type(module).__name__
        view = _hooked(module, name, tokenizer)
    else:
        raise no_model(module)
    view.came_from(partial(recognised, view))
    return view


def _hooked(model: HuggingFaceModel, name: str, tokenizer: Any, outer: Any = None) -> Model:
    """Hooks of ours, or else a bridge around the same object."""
    if any(part.training for part in model.modules()):
        raise ModelError("the model is in train mode, where dropout is random: call model.eval()")
    if outer is not None:
        require_hooks_called(outer, model)
    try:
        return PlainModel(model, name, outer=outer)
    except ModelError:
        if outer is not None or (bridge := bridged(model, name, tokenizer)) is None:
            raise
        warnings.warn(
            f"{type(model).__name__} is read through TransformerLens, which wrapped the modules of "
            "your object: its attention is eager from now on, and save_pretrained no longer works; "
            "to keep it as it is, pass its name instead",
            stacklevel=2,
        )
        return BridgeModel(bridge)


def bridged(model: HuggingFaceModel, name: str, tokenizer: Any) -> Any:
    """A bridge around a Hugging Face model; None where TransformerLens has no adapter for it."""
    from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES
    from transformer_lens.model_bridge import TransformerBridge

    if type(model).__name__ not in SUPPORTED_ARCHITECTURES:
        return None
    words = tokenizer or load_tokenizer(name, revision=getattr(model.config, "_commit_hash", None))
    if model.config.architectures is None:
        model.config.architectures = [type(model).__name__]
    with nothing_installed():
        bridge = TransformerBridge.boot_transformers(
            name, hf_model=model, tokenizer=words, device=model.device, dtype=model.dtype
        )
    return bridge.eval()
