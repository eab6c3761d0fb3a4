"""A written checkpoint beside the hooked model: the logits of both on a few tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.exports.plain import result, roundings, run, sentence
from mechsteer.interventions import Edit
from mechsteer.model.interface import Model
from mechsteer.model.load import load_model
from mechsteer.model.loaders import quiet
from mechsteer.steering import steer

TOLERANCE = 2.0  # roundings of the largest logit
_LENGTH = 64  # tokens of each of two rows: the more, the nearer to the largest difference
_BROKEN = 256.0  # roundings that no other order of sums makes


def require_tolerance(tolerance: float) -> None:
    """Refuse what is no number of roundings.

    Raises:
        MechsteerError: negative, or not finite.
    """
    if not 0 <= tolerance < math.inf:
        raise MechsteerError(f"expected a tolerance of 0 roundings or more, got {tolerance}")


def own_distance(model: Model, plain: Any) -> float:
    """How far a model as it is wrapped is from transformers' own, without edits, in roundings."""
    implementation = plain.config._attn_implementation
    plain.set_attn_implementation(attention_of(model))
    inputs = _sentence(plain)
    found = _given(plain, inputs)
    plain.set_attn_implementation(implementation)
    return roundings(_wrapped(model, inputs), found)


def carried_distance(model: Model, folder: Path) -> float:
    """As ``own_distance``, of a checkpoint that holds the edit: it may carry a distance on."""
    baked = load_model(folder, device=str(model.input_device), dtype=model.dtype)
    return own_distance(baked, _opened(folder, model.dtype))


def distance(model: Model, edits: Sequence[Edit], language: str | None, folder: Path) -> float:
    """How far a checkpoint is from the hooked model, in roundings of the largest logit."""
    plain = _opened(folder, model.dtype)
    inputs = _sentence(plain)
    with steer(model, *edits, languages=language):
        hooked = _wrapped(model, inputs)
    return roundings(_given(plain, inputs), hooked)


def _opened(folder: Path, dtype: torch.dtype) -> Any:
    """A checkpoint as transformers reads it."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    loader: Any = getattr(transformers, config.architectures[0])
    with quiet():
        return loader.from_pretrained(folder, dtype=dtype).eval()


def require_near(ulps: float, own: float, tolerance: float, dtype: torch.dtype) -> None:
    """Refuse a checkpoint that is further away than allowed.

    Args:
        ulps: its distance from the hooked model.
        own: the hooked model's from transformers, without edits.
        tolerance: what is allowed beyond that.
        dtype: of the weights.

    Raises:
        MechsteerError: it is; or no rounding explains the distance.
    """
    if not ulps <= min(_BROKEN, torch.finfo(dtype).eps ** -0.5) + own:
        why = "please report it"
        if torch.finfo(dtype).bits < 32:
            why = f"{str(dtype).removeprefix('torch.')} is too coarse to tell why: load the model "
            why += "in float32 (--dtype)"
        raise MechsteerError(
            f"the weights give other logits than the edit does ({ulps:.3g} roundings away), so it "
            f"cannot be exported; {why}"
        )
    if ulps > tolerance + own:
        wider = "" if torch.finfo(dtype).bits >= 32 else "; float32 (--dtype) is nearer"
        raise MechsteerError(
            f"the weights carry this edit to {ulps:.3g} roundings of the largest logit, since they "
            f"round elsewhere than hooks do, and {tolerance:g} are allowed: "
            f"tolerance={math.ceil(ulps - own)} (--tolerance) accepts it{wider}"
        )


@torch.inference_mode()
def _wrapped(model: Model, inputs: dict[str, Tensor]) -> Tensor:
    own = {name: value.to(model.input_device) for name, value in inputs.items()}
    return result(run(model.original_model, own), own["attention_mask"]).cpu()


@torch.inference_mode()
def _given(plain: Any, inputs: dict[str, Tensor]) -> Tensor:
    return result(run(plain, inputs), inputs["attention_mask"])


def _sentence(plain: Any) -> dict[str, Tensor]:
    """Two rows as long as a model reads well."""
    context = getattr(plain.config.get_text_config(), "max_position_embeddings", None)
    return sentence(plain, min(_LENGTH, context // 2) if context else _LENGTH)


def attention_of(model: Model) -> str:
    """The attention that a model runs, as far as every machine has it."""
    own = getattr(model.original_model.config, "_attn_implementation", None)
    return "sdpa" if own == "sdpa" else "eager"
