"""The view of a module that the user holds: made once, and kept on the module itself."""

from __future__ import annotations

from typing import Any

from torch import nn

from mechsteer.errors import ModelError
from mechsteer.model.bridge import BridgeModel
from mechsteer.model.interface import Model
from mechsteer.model.plain import PlainModel

_VIEW = "_mechsteer"  # where a module keeps its view, so that what was verified once stays so


def view_of(module: nn.Module) -> Model:
    """The view of a bridge, or of a Hugging Face model.

    Raises:
        ModelError: it is neither, or one whose neurons cannot be told for certain.
    """
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    if _VIEW not in vars(module):
        keep(_made(module))
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


def _made(module: Any) -> Model:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel

    if isinstance(module, TransformerBridge):
        return BridgeModel(module)
    if isinstance(module, PreTrainedModel):
        return _plain(module)
    raise no_model(module)


def _plain(model: Any) -> Model:
    name = getattr(model.config, "_name_or_path", "") or type(model).__name__
    return PlainModel(model, name)
