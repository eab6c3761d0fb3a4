"""The view of a module that the user holds: made once, and kept on the module itself."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from mechsteer.errors import ModelError
from mechsteer.model.bridge import BridgeModel
from mechsteer.model.checkpoint import local_folder, opened_as, quiet
from mechsteer.model.interface import Model
from mechsteer.model.plain import PlainModel
from mechsteer.model.weights import Origin, origin, sums

COPY_LIMIT = 3e9  # bytes of weights up to which a model is loaded again to learn whose they are
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
        view: Model = BridgeModel(module)
    elif isinstance(module, PreTrainedModel):
        view = _plain(module)
    else:
        raise no_model(module)
    view.came_from(partial(_found_again, view))
    return view


def _found_again(view: Model) -> Origin | None:
    """The checkpoint of a model that somebody else loaded, if its weights are still those of it.

    They are loaded a second time to see; of what takes more than ``COPY_LIMIT`` nothing is known.
    """
    plain = view.original_model
    name = str(getattr(plain.config, "_name_or_path", ""))
    folder = local_folder(name, getattr(plain.config, "_commit_hash", None)) if name else None
    held = sum(p.numel() * p.element_size() for p in plain.parameters())
    if folder is None or held > COPY_LIMIT:
        return None
    try:
        with quiet():
            again = opened_as(view, folder)
        found = origin(again, folder)
    except Exception:  # not the checkpoint of this model, or no longer
        return None
    return found if found is not None and found.sums == sums(plain) else None


def _plain(model: Any) -> Model:
    name = getattr(model.config, "_name_or_path", "") or type(model).__name__
    return PlainModel(model, name)
