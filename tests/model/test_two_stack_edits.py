"""Edits of either stack of an encoder-decoder, against PyTorch's own hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.errors import MechsteerError
from mechsteer.model.decoder import decoder_inputs
from mechsteer.model.sites import find_site, residual_points
from mechsteer.recording.batches import plan_batches
from tests.model.encoder_decoders import CONFIGS, ENDS, STARTS, plain_of, run_plain

FAMILIES = tuple(CONFIGS)
# transformers sizes T5's cache by its encoder, so one with more decoder layers cannot generate
GENERATING = tuple(family for family in FAMILIES if family != "t5")


def edit_of(model: Any, stack: str, value: float = 3.0) -> Any:
    site = find_site(model)
    index = torch.tensor(
        [
            offset + neuron
            for point, offset in zip(site.points, site.offsets, strict=True)
            if point.stack == stack
            for neuron in (0, 7, 41)
        ]
    )
    return ms.NeuronEdit(
        "clamp", site, index, torch.zeros(len(index)), torch.full((len(index),), value)
    )


@pytest.mark.parametrize("positions", ["all", "content"])
@pytest.mark.parametrize("stack", ["encoder", "decoder"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_edit_of_either_stack_equals_plain_hooks(
    bridge, checkpoint, corpus, *, family: str, stack: str, positions: Any
) -> None:
    model = bridge(family, template=ENDS)
    batch = plan_batches(corpus, model.plain_tokenizer, context=64).batch(0)
    mask = batch.mask.bool()
    # </s> stands last in the encoder; the decoder opens with its start token
    special = {"encoder": batch.ids == 2, "decoder": torch.zeros_like(mask)}[stack]
    if stack == "decoder":
        special[:, 0] = True
    where = mask if positions == "all" else mask & ~special

    def clamp(name: str, layer: int, z: Tensor) -> Tensor:
        if name != stack:
            return z
        held = z.view(*batch.ids.shape, -1).clone()
        held[..., [0, 7, 41]] = torch.where(where[..., None], 3.0, held[..., [0, 7, 41]])
        return held.view_as(z)

    plain = plain_of(checkpoint, family)
    _, expected = run_plain(plain, batch.ids, batch.mask, STARTS[family], edit=clamp)
    _, untouched = run_plain(plain, batch.ids, batch.mask, STARTS[family])
    with torch.inference_mode(), ms.steer(model, edit_of(model, stack), positions=positions):
        shifted = torch.full_like(batch.ids, STARTS[family])
        shifted[:, 1:] = batch.ids[:, :-1]
        given = {"decoder_input_ids": shifted, "decoder_attention_mask": batch.mask}
        logits = model(batch.ids, attention_mask=batch.mask, **given)
    assert torch.equal(logits[mask], expected.logits[mask])
    assert not torch.equal(logits[mask], untouched.logits[mask])
    assert torch.equal(
        model(batch.ids, attention_mask=batch.mask, **given)[mask], untouched.logits[mask]
    )


@pytest.mark.parametrize("positions", ["all", "generated"])
@pytest.mark.parametrize("stack", ["encoder", "decoder"])
@pytest.mark.parametrize("family", GENERATING)
def test_edited_generation_with_a_cache_equals_that_without(
    bridge, family: str, stack: str, positions: Any
) -> None:
    model = bridge(family, template=ENDS)
    ids = torch.tensor([[20, 30, 40, 50, 2], [60, 70, 2, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    options = {"attention_mask": mask, "max_new_tokens": 8, "min_new_tokens": 8}
    options |= {"output_logits": True, "return_dict_in_generate": True, "do_sample": False}

    def generate(**cache: Any) -> tuple[Tensor, Tensor]:
        out = model.original_model.generate(ids, **options, **cache)
        return out.sequences, torch.stack(out.logits)

    with torch.inference_mode():
        _, plain = generate()
        with ms.steer(model, edit_of(model, stack, 30.0), positions=positions):
            (cached, logits), (uncached, again) = generate(), generate(use_cache=False)
    assert torch.equal(cached, uncached)
    assert torch.allclose(logits, again, rtol=1e-4, atol=1e-4 * float(logits.abs().max()))
    # the first step reads nothing generated, and an encoder never does
    moved = [not torch.equal(a, b) for a, b in zip(logits, plain, strict=True)]
    later = stack == "decoder" or positions == "all"
    assert moved == [positions == "all", *[later] * 7]


def test_the_stacks_are_fitted_one_after_the_other(bridge, corpus) -> None:
    from mechsteer.steering.fitting import fit

    with pytest.raises(MechsteerError, match=r"two stacks.*encoder\.post.*decoder\.post"):
        fit(bridge("t5", template=ENDS), corpus, lambda r, layer: None, incremental=True)


@pytest.mark.parametrize("family", ["t5", "m2m100"])
def test_a_residual_edit_moves_the_encoders_stream(bridge, checkpoint, corpus, family) -> None:
    model = bridge(family, template=ENDS)
    batch = plan_batches(corpus, model.plain_tokenizer, context=64).batch(0)
    v = torch.randn(1, 2, 32, generator=torch.Generator().manual_seed(0))
    rows = [residual_points(model)[row] for row in (1, 3)]
    assert {row.component for row in rows} == {"encoder.residual"}
    plain = plain_of(checkpoint, family)
    encoder = plain.get_encoder()
    block = (encoder.block if family == "t5" else encoder.layers)[0]
    norm = encoder.final_layer_norm if family == "t5" else encoder.layer_norm

    def add(number: int) -> Callable[..., Any]:
        def hook(module: Any, args: Any, out: Any) -> Any:
            moved = torch.where(batch.mask.bool()[..., None], first(out) + v[0, number], first(out))
            return (moved, *out[1:]) if isinstance(out, tuple) else moved

        return hook

    block.register_forward_hook(add(0))
    norm.register_forward_hook(add(1))
    _, expected = run_plain(plain, batch.ids, batch.mask, STARTS[family])
    with torch.inference_mode(), ms.steer(model, ms.ResidualEdit("add", tuple(rows), v)):
        inputs = decoder_inputs(model.original_model, batch.ids, batch.mask)
        logits = model(batch.ids, attention_mask=batch.mask, **inputs)
    mask = batch.mask.bool()
    assert torch.allclose(logits[mask], expected.logits[mask], rtol=1e-5, atol=1e-5)


def first(out: Any) -> Tensor:
    return out[0] if isinstance(out, tuple) else out
