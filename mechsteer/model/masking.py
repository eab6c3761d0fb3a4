"""What a model must not see: later tokens where it predicts them, and padding behind a mask.

Looked at in the last block, before the first recording, since a bridge may compute attention
itself: one that forgets a mask would give numbers that depend on what a sentence is batched with.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

import torch
from torch import Tensor

from mechsteer.errors import MechsteerError, ModelError
from mechsteer.model.hooks import read, undisturbed
from mechsteer.model.interface import Model

_HALVES = (torch.float16, torch.bfloat16)
_LAST = "mlp.hook_post", "hook_resid_post"
_KEPT, _READ, _TOKENS = 3, 5, 8  # of a sentence: what stays, what is no padding, and all


def require_masking(model: Model) -> None:
    """Refuse a model that sees what the mask, or the future, hides from it.

    A sentence of 5 tokens and 3 of padding runs with other padding, with none, and, where the model
    is causal, with another 4th and 5th token. What comes before must stay within ``√eps`` of the
    activations' dtype, relative to the largest. Runs once for each model.

    Raises:
        ModelError: it changes.
    """
    if model.facts.hides:
        return
    try:
        with undisturbed(model):
            what = _seen(model)
    except MechsteerError:
        raise
    except Exception as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        dtype = str(model.dtype).removeprefix("torch.")
        raise ModelError(f"{model.cfg.architecture} does not run in {dtype}: {line}") from error
    if what is None:  # it overflows; the recording that follows says where, and what to type
        return
    if what:
        raise ModelError(
            f"{what} changes what {model.cfg.architecture} makes of the tokens before it, so its "
            "numbers would depend on how sentences are batched (transformers "
            f"{version('transformers')}, transformer-lens {version('transformer-lens')}): pass "
            "the Hugging Face model itself, read without TransformerLens, or name another model"
        )
    model.facts.hides = True


@torch.inference_mode()
def _seen(model: Model) -> str | None:
    """What the model sees though it is hidden, in words; None where it computes no numbers."""
    ids = torch.arange(2, 2 + _TOKENS, device=model.input_device)[None]
    mask = (torch.arange(_TOKENS, device=ids.device) < _READ).long()[None]
    padded = _streams(model, ids, mask)
    if not all(bool(stream.isfinite().all()) for stream in padded):
        return None
    others = {"other padding": (_replaced(ids, _READ, _TOKENS), mask, _READ)}
    if padded[0].dtype not in _HALVES:  # there, other shapes round so that a router chooses anew
        others["padding"] = (ids[:, :_READ], mask[:, :_READ], _READ)
    if model.is_causal and not _looks_both_ways(model):
        others["a later token"] = (_replaced(ids, _KEPT, _READ), mask, _KEPT)
    for what, (there, at, n) in others.items():
        for before, after in zip(padded, _streams(model, there, at), strict=True):
            if not _close(before[:, :n], after[:, :n]):
                return what
    return ""


def _streams(model: Model, ids: Tensor, mask: Tensor) -> list[Tensor]:
    """What the last MLP of each stack computes, or the last block gives where it has none."""
    points, hooks = model.hook_dict, []
    for stack in model.stacks:
        last = [stack.hook(len(stack.blocks) - 1, name) for name in _LAST]
        hooks.append(next(hook for hook in last if hook in points))
    seen: dict[str, Tensor] = {}

    def keep(hook: str, z: Tensor) -> None:
        seen[hook] = z.clone()  # some models go on in place

    read(model, ids, mask, {hook: partial(keep, hook) for hook in hooks})
    return [seen[hook] for hook in hooks]


def _replaced(ids: Tensor, start: int, end: int) -> Tensor:
    others = ids.clone()
    others[:, start:end] += _TOKENS
    return others


def _close(x: Tensor, y: Tensor) -> bool:
    bound = torch.finfo(x.dtype).eps ** 0.5 * float(x.abs().max())
    return bool(float((x - y).abs().max()) <= bound)


def _looks_both_ways(model: Model) -> bool:
    """Whether a decoder is configured to read as an encoder does."""
    config = model.original_model.config
    return getattr(config, "use_bidirectional_attention", None) in (True, "all")
