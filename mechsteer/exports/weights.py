"""Weights of linear modules and embeddings, changed in float64 and rounded once."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mechsteer.exports.constant import Map
from mechsteer.selftest.plain import PlainPoint


def columns(module: Any) -> Float[Tensor, "out neuron"]:
    """The weight as a map of column vectors, however it is stored."""
    return module.weight.T if hasattr(module, "nf") else module.weight  # type: ignore[no-any-return]


def parameter(value: Tensor, dtype: torch.dtype) -> nn.Parameter:
    """A weight that is not trained."""
    return nn.Parameter(value.to(dtype), requires_grad=False)


def scale_columns(module: Any, a: Float[Tensor, " neuron"], dtype: torch.dtype) -> None:
    """Multiply what is taken of each neuron; columns that stay keep their bits."""
    by = a[:, None] if hasattr(module, "nf") else a
    scaled = module.weight.double() * by
    module.weight = parameter(torch.where(by == 1, module.weight.double(), scaled), dtype)


def map_output(at: PlainPoint, part: Map) -> None:
    """Map what is given of each neuron, by rows of weight and bias."""
    module: Any = at.module
    rows = slice(*at.columns)
    weight = columns(module).double().clone()
    weight[rows] *= part.a[:, None]
    stored = weight.T if hasattr(module, "nf") else weight
    if module.bias is not None:
        bias = module.bias.double().clone()
        bias[rows] = part.a * bias[rows] + part.b
        module.bias = parameter(bias, module.weight.dtype)
    module.weight = parameter(stored, module.weight.dtype)


def untie(plain: Any) -> None:
    """Let the unembedding keep the embedding's words as they are."""
    head, words = plain.get_output_embeddings(), plain.get_input_embeddings()
    if head is not None and head.weight is words.weight:
        head.weight = parameter(words.weight.clone(), plain.dtype)
    plain.config.tie_word_embeddings = False


def scale_of(table: nn.Embedding) -> float:
    """What an embedding multiplies its words by, as Gemma's do."""
    word = table.weight.detach()[:8]
    with torch.no_grad():
        given = table(torch.arange(len(word)))
    return float((given.double() * word.double()).sum() / word.double().square().sum())
