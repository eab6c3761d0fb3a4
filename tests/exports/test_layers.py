"""Vectors in layers of their own: equal bits, the same text, and a bias where none can be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, GPT2LMHeadModel, GraniteForCausalLM

import mechsteer as ms
from mechsteer.exports.baking import Baked, bake
from mechsteer.exports.constant import constants
from mechsteer.exports.fitting import fit
from mechsteer.exports.plain import plain_copy
from tests.exports.by_hand import by_hand, clamped, gained, logits, shifted

Made = Callable[..., Any]
HALF = torch.bfloat16


def _gap(model: Any, edit: Any, **options: Any) -> tuple[float, Baked]:
    """Between hooks on the plain model and the baked one, and the latter."""
    plain = plain_copy(model)
    with by_hand(model, plain, [edit]):
        hooked = logits(plain)
    assert not torch.equal(hooked, logits(plain))
    baked = bake(model, plain_copy(model), constants([edit]), **options)
    baked.plain.set_attn_implementation(plain.config._attn_implementation)
    return float((logits(baked.plain) - hooked).abs().max() / hooked.abs().max()), baked


@pytest.mark.parametrize(
    ("family", "dtype", "carrier"),
    [
        ("llama", torch.float32, "down_proj"),  # a bias by a switch
        ("gpt2", HALF, "c_proj"),  # there
        ("cohere", torch.float32, "o_proj"),  # of parallel attention
        ("gemma2", torch.float32, "o_proj"),  # with a norm behind it
        ("olmo2", HALF, "o_proj"),
        ("m2m100", torch.float32, "fc2"),  # of an encoder
        ("mbart_decoder", torch.float32, "fc2"),  # of half an encoder-decoder, by two numbers
    ],
)
def test_a_vector_is_added_to_the_bit(
    checkpoint: Made, family: str, dtype: torch.dtype, carrier: str
) -> None:
    model = gained(checkpoint(family), dtype)
    edit = shifted(model, slice(0, -1))
    gap, baked = _gap(model, edit)
    assert gap == 0 and baked.layers == len(edit.points)
    assert {name.rpartition(".")[2] for name in baked.carriers} == {carrier}


def test_a_first_block_of_its_own_kind_is_not_repeated(bridge: Made) -> None:
    model = bridge("modernbert")  # its first block has no norm before the attention
    gap, baked = _gap(model, shifted(model))
    assert gap == 0 and baked.layers == 3


def test_a_multiplier_of_what_blocks_add_is_undone(checkpoint: Made) -> None:
    hf = GraniteForCausalLM.from_pretrained(checkpoint("granite")).eval()
    for module in hf.modules():
        if hasattr(module, "residual_multiplier"):
            module.residual_multiplier = 0.22
    hf.config.residual_multiplier = 0.22
    model = ms.wrap(hf, tokenizer=AutoTokenizer.from_pretrained(checkpoint("granite")))
    gap, baked = _gap(model, shifted(model, slice(1, 2)))
    assert gap <= 4 * torch.finfo(torch.float32).eps and baked.layers == 1  # some have no inverse


def test_a_model_that_counts_its_layers_gets_a_bias(checkpoint: Made, tmp_path: Path) -> None:
    folder = checkpoint("gpt2")
    hf = GPT2LMHeadModel.from_pretrained(folder, scale_attn_by_inverse_layer_idx=True).eval()
    model = ms.wrap(hf, tokenizer=AutoTokenizer.from_pretrained(folder))
    made = ms.exports.checkpoint(model, shifted(model), tmp_path / "baked", tolerance=8)
    assert made.layers == 0 and len(made.carriers) == 3


def test_the_configuration_has_the_layers_and_their_kinds(bridge: Made, tmp_path: Path) -> None:
    model = bridge("gemma3")
    before = model.original_model.config.layer_types
    made = ms.exports.checkpoint(model, shifted(model, slice(2, 3)), tmp_path / "baked")
    config = json.loads((tmp_path / "baked" / "config.json").read_text())
    assert made.layers == 1 and config["num_hidden_layers"] == len(before) + 1
    assert config["layer_types"] == [*before[:2], before[1], *before[2:]]
    assert made.ulps == made.own == 0 and made.switches == ("attention_bias",)


def test_without_layers_a_vector_goes_into_a_bias(bridge: Made) -> None:
    model = bridge("llama")
    gap, baked = _gap(model, shifted(model), layers=False)
    assert baked.layers == 0 and 0 < gap < 32 * torch.finfo(torch.float32).eps
    assert baked.plain.config.num_hidden_layers == 3


def test_clamps_and_vectors_act_together(bridge: Made, tmp_path: Path) -> None:
    model = bridge("llama")
    edits = [clamped(model), shifted(model, slice(0, 2)), shifted(model, slice(1, 2))]
    made = ms.exports.checkpoint(model, edits, tmp_path / "baked")
    assert made.layers == 3 and made.ulps == 0


@pytest.mark.parametrize("dtype", [HALF, torch.float16])
def test_a_vector_that_half_precision_does_not_hold_is_carried_to_the_bit(
    checkpoint: Made, tmp_path: Path, dtype: torch.dtype
) -> None:
    model = ms.load_model(checkpoint("llama"), device="cpu", dtype=dtype)
    edit = shifted(model, slice(1, 2)).scaled(0.7)
    assert not torch.equal(edit.v, edit.v.to(dtype).float())
    assert ms.exports.checkpoint(model, edit, tmp_path / "x", tolerance=0).ulps == 0


def test_a_layer_of_a_widened_model_is_as_wide(bridge: Made) -> None:
    model = bridge("gemma3")
    plain, edits = plain_copy(model), [clamped(model), shifted(model, slice(1, 2))]
    baked = bake(model, plain, constants(edits), widen=True)
    assert baked.layers == 1 and baked.widened == 64
    assert baked.switches == ("attention_bias", "intermediate_size")


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_a_norm_gives_what_its_bias_and_gains_were_fitted_to(
    dtype: torch.dtype, offset: float
) -> None:
    class Norm(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(48).to(dtype))

        def forward(self, x: Any) -> Any:
            y = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6)
            return (y * (self.weight.float() + offset)).to(x.dtype)

    block = torch.nn.Sequential(torch.nn.Linear(48, 48), Norm()).to(dtype)
    block[0].weight.data.zero_()
    v = torch.randn(48, generator=torch.Generator().manual_seed(3)).to(dtype)
    zeros = torch.zeros(2, 48, dtype=dtype)
    given = fit(block, block[0], lambda: block(zeros).detach(), v)
    assert given is not None and torch.equal(given, v)
