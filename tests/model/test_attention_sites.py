"""Heads, attention projections and residual dimensions: read and edited as a plain hook does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mechsteer.errors import SiteError
from mechsteer.interventions import NeuronEdit
from mechsteer.model.hooks import read
from mechsteer.model.sites import find_site
from mechsteer.model.sites.attention import projection
from mechsteer.steering import steer

IDS = torch.arange(3, 15).view(2, 6)
FAMILIES = ("llama", "gpt2", "bloom", "xglm", "bert")
HEADS, LAYER = 4, 1


def run(model: Any, hook: str) -> Tensor:
    seen: list[Tensor] = []
    with torch.inference_mode():
        read(model, IDS, torch.ones_like(IDS), {hook: lambda z: seen.append(z.clone())})
    return seen[0]


def taken(model: Any, change: Any = None) -> tuple[Tensor, Tensor]:
    """What a layer's output projection takes, and the logits, as PyTorch's own hook sees them."""
    seen: list[Tensor] = []

    def before(module: Any, args: Any) -> Any:
        seen.append(args[0].clone())
        return None if change is None else (change(args[0]), *args[1:])

    handle = projection(model.stacks[0], LAYER, "o").register_forward_pre_hook(before)
    try:
        with torch.inference_mode():
            logits = model(IDS, attention_mask=torch.ones_like(IDS))
    finally:
        handle.remove()
    return seen[0], logits


def one(site: Any, place: int, neuron: int, *, a: float, b: float) -> NeuronEdit:
    point = site.points[place]
    index = torch.tensor([site.offsets[site.points.index(point)] + neuron])
    return NeuronEdit("one", site, index, a=torch.tensor([a]), b=torch.tensor([b]))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_is_the_part_of_what_the_output_projection_takes(bridge, family: str) -> None:
    model = bridge(family)
    plain = taken(model)[0].view(2, 6, HEADS, -1)
    for name, expected in (("head", plain.norm(dim=-1)), ("head_mean", plain.mean(-1))):
        site = find_site(model, name)
        assert [(p.component, p.layer, p.width) for p in site.points] == [
            (name, layer, HEADS) for layer in range(3)
        ]
        assert torch.allclose(run(model, site.points[LAYER].hook), expected, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_is_scaled_replaced_and_moved(bridge, family: str) -> None:
    model = bridge(family)
    d = taken(model)[0].shape[-1] // HEADS

    def changed(f: Any) -> Tensor:
        def change(x: Tensor) -> Tensor:
            x = x.clone()
            x[..., 2 * d : 3 * d] = f(x[..., 2 * d : 3 * d])
            return x

        return taken(model, change)[1]

    cases = (
        ("head", 0.0, 0.0, lambda x: 0 * x),
        ("head", 0.5, 0.0, lambda x: x / 2),
        ("head", 0.0, 3.0, lambda x: 3 * x / x.norm(dim=-1, keepdim=True)),
        ("head_mean", 0.0, 1.0, lambda x: x - x.mean(-1, keepdim=True) + 1),
    )
    for name, a, b, f in cases:
        with steer(model, one(find_site(model, name), LAYER, 2, a=a, b=b)):
            logits = taken(model)[1]
        assert torch.allclose(logits, changed(f), atol=1e-5)
        assert not torch.allclose(logits, taken(model)[1], atol=1e-5)
    with steer(model, one(find_site(model, "head"), LAYER, 2, a=0.0, b=3.0).scaled(0.0)):
        untouched = taken(model)[1]
    assert torch.equal(untouched, taken(model)[1])


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_is_the_output_of_its_linear_modules(bridge, family: str) -> None:
    model = bridge(family)
    site = find_site(model, "attention")
    widths = [32, 16, 16, 32] if family == "llama" else [32] * 4
    assert [(p.component, p.width) for p in site.points] == list(
        zip("qkvo", widths, strict=True)
    ) * 3
    for place, point in enumerate(site.points[:4]):
        module = projection(model.stacks[0], 0, point.component)
        seen: list[Tensor] = []
        handle = module.register_forward_hook(lambda m, args, out, to=seen: to.append(out))
        z = run(model, point.hook)
        handle.remove()
        if seen:  # of fused projections no module of its own runs
            assert torch.equal(z, seen[0].view(2, 6, -1))
        assert z.shape == (2, 6, point.width)
        before = taken(model)[1]
        with steer(model, one(site, place, 3, a=0.0, b=4.0)):
            assert not torch.equal(taken(model)[1], before)
        with steer(model, one(site, place, 3, a=1.0, b=0.0)):
            assert torch.equal(taken(model)[1], before)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_a_dimension_of_the_residual_stream_is_read_and_held(bridge, family: str) -> None:
    model = bridge(family)
    site = find_site(model, "residual")
    assert [(p.component, p.layer, p.width) for p in site.points] == [
        ("residual", row, 32) for row in range(4)
    ]
    base = "blocks.1.hook_resid_post"
    h = run(model, base)
    assert torch.equal(run(model, site.points[2].hook), h)
    with steer(model, one(site, 2, 7, a=0.0, b=5.0)):
        held = run(model, base)
    expected = torch.where(torch.arange(32) == 7, 5.0, h)
    assert torch.equal(held, expected)


@pytest.mark.parametrize("name", ["head", "attention"])
def test_models_whose_attention_is_not_told_apart_are_refused(bridge, name: str) -> None:
    with pytest.raises(SiteError, match="no attention whose heads and projections"):
        find_site(bridge("distilbert"), name)
