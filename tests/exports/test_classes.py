"""Models of another class: the same logits, bit for bit, and biases for the MLP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mechsteer.exports.baking import bake
from mechsteer.exports.classes import richer
from mechsteer.exports.constant import constants
from mechsteer.exports.plain import plain_copy
from tests.exports.by_hand import by_hand, clamped, gained, logits

Made = Callable[..., Any]


@pytest.mark.parametrize(
    ("family", "name"), [("gemma", "LlamaForCausalLM"), ("qwen3", "HYV3ForCausalLM")]
)
def test_a_clamp_is_equal_to_the_bit_in_another_class(
    checkpoint: Made, family: str, name: str
) -> None:
    model = gained(checkpoint(family))
    edit, plain = clamped(model), plain_copy(model)
    with by_hand(model, plain, [edit]):
        hooked = logits(plain)
    baked = bake(model, plain_copy(model), constants([edit]))
    baked.plain.set_attn_implementation(plain.config._attn_implementation)
    assert type(baked.plain).__name__ == name and baked.switches == ("mlp_bias",)
    assert torch.equal(logits(baked.plain), hooked)


def test_projections_that_were_fused_are_split(checkpoint: Made) -> None:
    plain = plain_copy(gained(checkpoint("phi3")))
    found = richer(plain)
    assert found is not None and type(found[0]).__name__ == "LlamaForCausalLM"
    assert found[1] <= 4  # sums of other widths run in other blocks
    assert torch.allclose(logits(found[0]), logits(plain), rtol=0, atol=1e-4)


def test_heads_that_turn_in_part_stay_in_their_class(checkpoint: Made) -> None:
    plain = plain_copy(gained(checkpoint("phi3")))
    plain.config.rope_parameters["partial_rotary_factor"] = 0.5
    assert richer(plain) is None


def test_gemma_rounds_its_norms_elsewhere_in_half_precision(checkpoint: Made) -> None:
    found = richer(plain_copy(gained(checkpoint("gemma"), torch.bfloat16)))
    assert found is None or 0 < found[1] <= 4
