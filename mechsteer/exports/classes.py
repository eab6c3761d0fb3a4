"""Classes of transformers that compute what another one does, to the bit, and can have more biases.

A Mistral and a Qwen 2 are Llamas with a window and with biases. A Gemma is one whose gains are
``1 + w``, and whose embedding is multiplied by ``√d``; a Phi 3 one whose projections are not fused.
A Qwen 3 is a Hunyuan 3 whose layers are all dense. Whether the bits are the same is tried: Gemma
rounds otherwise in half precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mechsteer.exports.biases import biased
from mechsteer.exports.plain import result, roundings, run, sentence
from mechsteer.exports.weights import scale_of

_FOREIGN = ("model_type", "architectures", "transformers_version", "sliding_window")

_LIMIT = 4.0  # roundings; what is further away computes something else


@dataclass(frozen=True)
class _As:
    """Another class: its name, its weights, and fields of its configuration that differ."""

    name: str
    weights: Callable[[Any], Iterator[tuple[str, Tensor]]]
    fields: Callable[[Any], dict[str, Any]]


def richer(plain: Any) -> tuple[Any, float] | None:
    """The same model of a class that has biases; None where there is none.

    Returns:
        the model, and how far its logits are from the other's, in roundings of the largest.
    """
    import transformers

    way = _WAYS.get(type(plain).__name__)
    if way is None or _has_windows(plain.config) or not _turns_all(plain.config):
        return None
    cls = getattr(transformers, way.name)
    settings = {k: v for k, v in plain.config.to_dict().items() if k not in _FOREIGN}
    settings["attention_bias"] = any(name.endswith("q_proj") for name in biased(plain))
    config = cls.config_class.from_dict(settings | way.fields(plain))
    config._attn_implementation = plain.config._attn_implementation
    model = cls(config).eval()
    for parameter in model.parameters():  # not buffers, whose frequencies stay float32
        parameter.data = parameter.data.to(plain.dtype)
    model.generation_config = plain.generation_config
    missing, unknown = model.load_state_dict(dict(way.weights(plain)), strict=False)
    if unknown or not all(name.endswith(".bias") for name in missing):
        return None
    for name in missing:
        model.get_parameter(name).data.zero_()
    ulps = _distance(model, plain)
    return (model, ulps) if ulps <= _LIMIT else None


@torch.inference_mode()
def _distance(model: Any, plain: Any) -> float:
    """Between logits, in roundings of the largest."""
    inputs = sentence(plain)
    found, wanted = (result(run(m, inputs), inputs["attention_mask"]) for m in (model, plain))
    return roundings(found, wanted)


def _as_they_are(plain: Any) -> Iterator[tuple[str, Tensor]]:
    yield from plain.state_dict().items()


def _from_gemma(plain: Any) -> Iterator[tuple[str, Tensor]]:
    """Gains with the 1 that Gemma adds, and words as long as Gemma makes them."""
    for name, weight in plain.state_dict().items():
        if name.endswith("norm.weight"):
            yield name, 1.0 + weight
        elif name.endswith("embed_tokens.weight"):
            scale = torch.tensor(scale_of(plain.get_input_embeddings()), dtype=weight.dtype)
            yield name, weight * scale
        else:
            yield name, weight


def _from_phi3(plain: Any) -> Iterator[tuple[str, Tensor]]:
    """Projections one by one."""
    config = plain.config
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    sizes = [n * size for n in (config.num_attention_heads, *[config.num_key_value_heads] * 2)]
    for name, weight in plain.state_dict().items():
        if name.endswith("qkv_proj.weight"):
            for letter, part in zip("qkv", weight.split(sizes), strict=True):
                yield name.replace("qkv", letter), part
        elif name.endswith("gate_up_proj.weight"):
            for kind, part in zip(("gate", "up"), weight.chunk(2), strict=True):
                yield name.replace("gate_up", kind), part
        else:
            yield name, weight


def _without_experts(plain: Any) -> dict[str, Any]:
    """A mixture of experts without a layer that has any."""
    return {"mlp_layer_types": ["dense"] * plain.config.num_hidden_layers, "num_experts": 1}


_WAYS = {
    "MistralForCausalLM": _As("LlamaForCausalLM", _as_they_are, lambda plain: {}),
    "Qwen2ForCausalLM": _As("LlamaForCausalLM", _as_they_are, lambda plain: {}),
    "GemmaForCausalLM": _As(
        "LlamaForCausalLM", _from_gemma, lambda plain: {"tie_word_embeddings": False}
    ),
    "Phi3ForCausalLM": _As("LlamaForCausalLM", _from_phi3, lambda plain: {}),
    "Qwen3ForCausalLM": _As("HYV3ForCausalLM", _as_they_are, _without_experts),
}


def _has_windows(config: Any) -> bool:
    """Whether attention is cut off before the context ends."""
    used = getattr(config, "use_sliding_window", True)
    window = getattr(config, "sliding_window", None) if used else None
    return window is not None and window < config.max_position_embeddings


def _turns_all(config: Any) -> bool:
    """Whether rotary embeddings turn all of each head, as Llama's do."""
    rope = getattr(config, "rope_parameters", None) or {}
    return bool(rope.get("partial_rotary_factor", 1.0) == 1.0)
