"""Whether a model writes with a key-value cache what it writes without one.

A bridge computes attention in its own way, and a version of transformers may hand it the cache in
another: then each step but the first reads garbage, and no error says so. So a few steps are
compared once, before the first generation with a cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from mechsteer.errors import ModelError
from mechsteer.model.hooks import undisturbed
from mechsteer.model.interface import Model
from mechsteer.model.view import Writer
from mechsteer.model.writing import write

_PROMPT, _STEPS = 5, 3
_INSTEAD = {
    "transformers": "pass use_cache=False",
    "TransformerLens": (
        "pass use_past_kv_cache=False, or let transformers write (model.original_model.generate)"
    ),
}


def require_correct_cache(model: Model, writer: Writer = "transformers") -> None:
    """Refuse generation with a cache where it is not what the model writes without one.

    Logits of three steps must agree within ``√eps`` of the weights' dtype, relative to the largest
    (``eps^¼`` in 16 bits, where a router may choose anew by rounding). Once for each model and
    writer; edits and hooks of others do not act meanwhile.

    Raises:
        ModelError: they do not.
    """
    refusals = model.facts.cached
    if writer not in refusals:
        refusals[writer] = ""  # what follows generates
        with undisturbed(model):
            refusals[writer] = _difference(model, writer)
    if refusals[writer]:
        raise ModelError(
            f"generation with a key-value cache is wrong for {model.cfg.architecture} here: "
            f"{refusals[writer]} (transformers {version('transformers')}, transformer-lens "
            f"{version('transformer-lens')}); {_INSTEAD[writer]}, or try versions that "
            "mechsteer is tested with: pip install 'transformers<5.24'"
        )


def keeps_cache(model: Model, args: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Whether a call of ``generate`` with these arguments keeps a cache; it does by default."""
    for name in ("use_past_kv_cache", "use_cache"):
        if name in options and options[name] is not None:
            return bool(options[name])
    given = [option for option in (*args, *options.values()) if hasattr(option, "use_cache")]
    settings = given or [getattr(model.original_model, "generation_config", None)]
    return getattr(settings[0], "use_cache", None) is not False


def _difference(model: Model, writer: Writer) -> str:
    """How far apart the logits are, in words; nothing where they are close, or cannot be had."""
    if writer == "TransformerLens" and model.is_encoder_decoder:
        return ""  # it keeps no cache for these
    try:
        by_bridge = writer == "TransformerLens"
        cached = _of_transformer_lens(model) if by_bridge else _of_transformers(model, cache=True)
        uncached = _of_transformers(model, cache=False)
    except Exception:  # whatever it is, a call of the user's says it better
        return ""
    eps = torch.finfo(model.dtype).eps
    share = eps**0.25 if model.dtype in (torch.float16, torch.bfloat16) else eps**0.5
    for step, (found, expected) in enumerate(zip(cached, uncached, strict=False)):
        finite = expected.isfinite()  # not words that a checkpoint's settings keep out
        if not bool(finite.any()):
            return ""  # it overflows, with and without a cache: who writes says what to type
        apart = float((found - expected)[finite].abs().max())
        size = float(expected[finite].abs().max())
        if not apart <= share * size:
            return f"the logits of token {step + 1} are off by {apart:.2g} of {size:.2g}"
        if not torch.equal(found.argmax(-1), expected.argmax(-1)):
            break  # a tie: from here on they read other tokens
    return ""


def _prompt(model: Model) -> Tensor:
    return torch.arange(2, 2 + _PROMPT, device=model.input_device)[None]


def _of_transformers(model: Model, *, cache: bool) -> list[Tensor]:
    seen: list[Tensor] = []

    def greedy(logits: Tensor) -> Tensor:
        seen.append(logits.clone())
        return logits.argmax(-1)

    write(model, _prompt(model), _STEPS, greedy, cache=cache)
    return seen


@torch.inference_mode()
def _of_transformer_lens(model: Model) -> list[Tensor]:
    out: Any = model.module.generate(
        _prompt(model),
        max_new_tokens=_STEPS,
        do_sample=False,
        stop_at_eos=False,
        use_past_kv_cache=True,
        return_type="tokens",
        output_logits=True,
        verbose=False,
    )
    return [step.float() for step in out.logits]
