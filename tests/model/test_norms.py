"""A bridge's norms run the model's own module alone, unless somebody hooks what is inside them."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from transformer_lens.model_bridge.generalized_components.normalization import (
    NormalizationBridge,
)

IDS = torch.tensor([[1, 20, 30, 40], [1, 50, 60, 70]])
INSIDE = ("blocks.1.ln2.hook_scale", "blocks.1.ln2.hook_normalized")


def logits(model, **options) -> torch.Tensor:
    with torch.inference_mode():
        return model(IDS, attention_mask=torch.ones_like(IDS), **options)


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """Names of the norms of which TransformerLens computes what is inside."""
    names: list[str] = []
    whole = NormalizationBridge._hf_autograd_forward_with_hooks

    def counted(norm, x):
        names.append(norm.name)
        return whole(norm, x)

    monkeypatch.setattr(NormalizationBridge, "_hf_autograd_forward_with_hooks", counted)
    return names


@pytest.mark.parametrize("family", ["llama", "gemma3", "olmo2", "phi"])
def test_norms_nobody_watches_are_the_models_own(bridge, computed, family: str) -> None:
    model = bridge(family)
    computed.clear()  # loading runs the bridge once
    fast = logits(model)
    assert not computed
    norms = [part for part in model.modules() if isinstance(part, NormalizationBridge)]
    kept = {norm: vars(norm).pop("_hf_autograd_forward_with_hooks") for norm in norms}
    whole = logits(model)
    for norm, own in kept.items():
        vars(norm)["_hf_autograd_forward_with_hooks"] = own
    assert len(computed) == len(norms) and torch.equal(whole, fast)


@pytest.mark.parametrize("point", INSIDE)
def test_who_hooks_a_norm_sees_and_edits_what_is_inside(bridge, computed, point: str) -> None:
    model, seen = bridge("llama"), []
    before = logits(model)
    computed.clear()
    with model.hooks([(point, lambda z, hook: seen.append(z.clone()))]):
        assert torch.equal(logits(model), before)
    assert len(computed) == len(seen) == 1 and float(seen[0].abs().max()) > 0
    warned = pytest.warns(UserWarning, match="reconstructed from the hooked values")
    with warned, model.hooks([(point, lambda z, hook: 2 * z)]):
        assert not torch.allclose(logits(model), before)
    assert torch.equal(logits(model), before) and len(computed) == 2


def test_a_hook_of_pytorchs_is_seen_too(bridge, computed) -> None:
    model, seen = bridge("llama"), []
    computed.clear()
    handle = model.hook_dict[INSIDE[0]].register_forward_hook(lambda m, a, z: seen.append(z))
    logits(model)
    handle.remove()
    logits(model)
    assert len(computed) == len(seen) == 1


def test_a_copied_bridge_has_norms_of_its_own(bridge) -> None:
    model = bridge("llama")
    copied, before = deepcopy(model.module), logits(model)
    with torch.no_grad():
        copied.original_model.model.norm.weight.mul_(2)
        copied.original_model.lm_head.weight.div_(2)
    again = copied(IDS, attention_mask=torch.ones_like(IDS))
    torch.testing.assert_close(again.detach(), before, rtol=1e-5, atol=1e-5)
    assert torch.equal(logits(model), before)
