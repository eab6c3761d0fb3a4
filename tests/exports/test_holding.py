"""Neurons held at a value by the biases before them: equal bits, or another way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer.exports.baking import Baked, bake
from mechsteer.exports.constant import Map, constants
from mechsteer.exports.holding import Holding
from mechsteer.exports.plain import plain_copy
from tests.exports.by_hand import by_hand, clamped, logits

Made = Callable[..., Any]


def _baked(model: Any, edit: Any) -> Baked:
    return bake(model, plain_copy(model), constants([edit]))


@pytest.mark.parametrize(
    ("family", "dtype", "names"),
    [
        ("llama", torch.float32, {"gate_proj", "up_proj"}),  # gated SiLU, biases by a switch
        ("mistral", torch.bfloat16, {"gate_proj", "up_proj"}),  # by another class
        ("opt", torch.float32, {"fc1"}),  # ReLU
        ("gpt2", torch.bfloat16, {"c_fc"}),  # GELU's tanh, transposed weights
        ("bert_model", torch.float32, {"dense"}),
        ("m2m100", torch.float32, {"fc1"}),
    ],
)
def test_a_clamp_is_carried_to_the_bit(
    checkpoint: Made, family: str, dtype: torch.dtype, names: set[str]
) -> None:
    model = ms.load_model(checkpoint(family), device="cpu", dtype=dtype)
    edit, plain = clamped(model), plain_copy(model)
    as_is = logits(plain)
    with by_hand(model, plain, [edit]):
        hooked = logits(plain)
    baked = _baked(model, edit)
    baked.plain.set_attn_implementation(plain.config._attn_implementation)
    assert torch.equal(logits(baked.plain), hooked) and not torch.equal(hooked, as_is)
    assert {name.rpartition(".")[2] for name in baked.carriers} == names


def test_a_part_of_a_clamp_goes_by_the_bias_behind(bridge: Made) -> None:
    model = bridge("llama")
    carriers = _baked(model, clamped(model, strength=0.5)).carriers
    assert carriers and all(name.endswith("down_proj") for name in carriers)


def test_an_activation_that_changes_large_values_holds_nothing(bridge: Made) -> None:
    model = bridge("nemotron")  # the square of ReLU
    carriers = _baked(model, clamped(model)).carriers
    assert carriers and all(name.endswith("down_proj") for name in carriers)


def test_only_numbers_that_stay_exact_are_held(bridge: Made) -> None:
    model = bridge("llama")
    plain = plain_copy(model)
    (part, *_) = constants([clamped(model)])
    assert isinstance(part, Map)
    index = torch.nonzero(part.b)[:, 0]
    tiny = part.b.clone()
    tiny[index[0]] = 2.0**-149  # the least number of float32 has no half
    left, given = Holding(model, plain).split(*_at(model, plain, replace(part, b=tiny)))
    assert torch.nonzero(left.b)[:, 0].tolist() == index[:1].tolist()
    (_, gate), (_, up) = given
    assert torch.equal(gate.b[index[1:]], torch.full((len(index) - 1,), 32.0).double())
    assert torch.equal(32 * up.b[index[1:]], part.b[index[1:]])


def _at(model: Any, plain: Any, part: Map) -> tuple[Any, Map]:
    from mechsteer.selftest.plain import Plain, plain_point

    return plain_point(model, Plain(plain, ""), part.point), part
