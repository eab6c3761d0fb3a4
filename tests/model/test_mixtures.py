"""Mixtures of experts: refused as they are, read and edited inside the experts on request."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.errors import SiteError
from mechsteer.model.hooks import read
from mechsteer.model.load import load_model
from mechsteer.model.sites import find_site, site_table
from mechsteer.recording import record
from mechsteer.recording.batches import plan_batches
from tests.model.mixture_models import SHAPES

WITH_SHARED = [family for family, shape in SHAPES.items() if shape[3]]
WITH_DENSE = [family for family, shape in SHAPES.items() if shape[4]]


def plain_of(model: Any) -> Any:
    from transformers import AutoModelForCausalLM

    options = {"attn_implementation": "eager", "experts_implementation": "eager"}
    return AutoModelForCausalLM.from_pretrained(model.cfg.model_name, **options).eval()


def experts_of(plain: Any) -> list[Any]:
    return [module for module in plain.modules() if type(module).__name__.endswith("Experts")]


@torch.inference_mode()
def routed_by_hand(experts: Any, hidden: Tensor, index: Tensor) -> Tensor:
    """Neurons ``[token, expert · neuron]`` by each token's own products, one at a time."""
    rows = []
    for x, chosen in zip(hidden, index.tolist(), strict=True):
        row = [torch.zeros(0)] * experts.num_experts
        for e in range(experts.num_experts):
            up = experts.gate_up_proj[e]
            both = x @ (up if experts.is_transposed else up.T)
            if experts.has_bias:
                both = both + experts.gate_up_proj_bias[e]
            z = experts._apply_gate(both)
            row[e] = z if e in chosen else torch.zeros_like(z)
        rows.append(torch.cat(row))
    return torch.stack(rows)


@pytest.mark.parametrize("family", SHAPES)
def test_nothing_of_a_mixture_counts_as_neurons_unasked(bridge, family: str) -> None:
    for site in ("post", "linear"):
        with pytest.raises(SiteError, match=r"mixture of experts.*ask for site 'experts'"):
            find_site(bridge(family), site)


@pytest.mark.parametrize("family", SHAPES)
def test_each_mixture_has_the_neurons_of_all_its_experts(bridge, family: str) -> None:
    n_experts, width, layers, *_ = SHAPES[family]
    model = bridge(family)
    points = find_site(model, "experts").points
    assert [(p.component, p.layer, p.width) for p in points] == [
        ("experts", layer, n_experts * width) for layer in layers
    ]
    assert {row.verdict for row in site_table(model, "experts")} == {"ok"}


@pytest.mark.parametrize("family", SHAPES)
def test_recorded_experts_are_those_by_hand(bridge, corpus, family: str) -> None:
    model = bridge(family)
    recording = record(model, corpus, site="experts", batch_tokens=128)
    plain = plain_of(model)
    caught: list[Tensor] = []
    for experts in experts_of(plain):
        experts.register_forward_pre_hook(
            lambda module, args: caught.append(routed_by_hand(module, args[0], args[1]))
        )
    plan = plan_batches(corpus, model.plain_tokenizer, context=64, batch_tokens=128)
    silent = 0
    for number in range(min(3, len(plan.batches))):
        batch = plan.batch(number)
        caught.clear()
        with torch.inference_mode():
            plain(batch.ids, attention_mask=batch.mask, use_cache=False)
        for point, flat in zip(recording.points, caught, strict=True):
            z = flat.view(*batch.ids.shape, -1)
            for i, row in enumerate(batch.rows.tolist()):
                pooled = z[i][batch.real[i]].amax(0)
                found = recording.activations(point)[row]
                # one token's products alone and among others round differently
                assert torch.allclose(found, pooled, rtol=1e-4, atol=2e-6 * z.abs().max())
                silent += int((found == 0).sum())
    assert silent  # somebody was routed past an expert in a whole sentence


@pytest.mark.parametrize("family", WITH_SHARED)
def test_the_shared_expert_is_that_of_a_plain_hook(bridge, corpus, family: str) -> None:
    _, _, layers, width, _ = SHAPES[family]
    model = bridge(family)
    recording = record(model, corpus, site="shared", batch_tokens=128)
    assert [(p.component, p.layer, p.width) for p in recording.points] == [
        ("shared", layer, width) for layer in layers
    ]
    plain = plain_of(model)
    caught: list[Tensor] = []
    for name, module in plain.named_modules():
        if "shared_expert" in name and name.endswith("down_proj"):
            module.register_forward_pre_hook(lambda m, args: caught.append(args[0].clone()))
    plan = plan_batches(corpus, model.plain_tokenizer, context=64, batch_tokens=128)
    batch = plan.batch(0)
    with torch.inference_mode():
        plain(batch.ids, attention_mask=batch.mask, use_cache=False)
    for point, flat in zip(recording.points, caught, strict=True):
        z = flat.view(*batch.ids.shape, -1)
        for i, row in enumerate(batch.rows.tolist()):
            pooled = z[i][batch.real[i]].amax(0)
            # routed experts run together here and one by one there, which rounds differently
            assert torch.allclose(
                recording.activations(point)[row], pooled, rtol=1e-4, atol=1e-5 * z.abs().max()
            )


@pytest.mark.parametrize("family", WITH_DENSE)
def test_dense_layers_are_a_site_of_their_own(bridge, family: str) -> None:
    points = find_site(bridge(family), "dense").points
    assert [(p.component, p.layer, p.width) for p in points] == [
        ("post", layer, 88) for layer in SHAPES[family][4]
    ]


@pytest.mark.parametrize(("family", "site"), [("mixtral", "shared"), ("mixtral", "dense")])
def test_what_a_mixture_lacks_is_refused(bridge, family: str, site: str) -> None:
    with pytest.raises(SiteError, match=r"shared experts|no layer of Mixtral"):
        find_site(bridge(family), site)


def test_a_model_without_mixtures_has_no_experts(bridge) -> None:
    with pytest.raises(SiteError, match=r"no layer of LlamaForCausalLM.*'experts'"):
        find_site(bridge("llama"), "experts")
    assert find_site(bridge("llama"), "dense").points == find_site(bridge("llama")).points


@pytest.mark.parametrize("family", ["mixtral", "qwen2-moe"])
def test_finding_experts_changes_nothing(checkpoint, family: str) -> None:
    model = load_model(checkpoint(family), device="cpu")
    ids = torch.tensor([[1, 20, 30, 40]])
    with torch.inference_mode():
        before, who = model(ids), model.identity()
        find_site(model, "experts")
        assert torch.equal(model(ids), before)
        seen: list[Tensor] = []
        read(
            model,
            ids,
            torch.ones_like(ids),
            {find_site(model, "experts").points[0].hook: seen.append},
        )
        assert torch.equal(model(ids), before)
    assert model.identity() == who
    assert seen[0].shape[:2] == ids.shape


@pytest.mark.parametrize("family", SHAPES)
def test_an_edit_writes_where_the_expert_was_asked_and_nowhere_else(bridge, family: str) -> None:
    """Adding δ to a neuron of expert e adds ``w_e · δ · W_down[neuron]`` to its own tokens."""
    width = SHAPES[family][1]
    model = bridge(family)
    site = find_site(model, "experts")
    expert, neuron, delta = 1, 5, 0.75
    edit = ms.NeuronEdit(
        "shift", site, torch.tensor([expert * width + neuron]), torch.ones(1), torch.tensor([delta])
    )
    experts = next(m for m in experts_of(model.original_model) if not hasattr(m, "hook_out"))
    calls: list[tuple[Tensor, Tensor, Tensor]] = []
    handle = experts.register_forward_hook(
        lambda module, args, out: calls.append((args[1], args[2], out.clone()))
    )
    ids = torch.arange(20, 44).view(2, 12)
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        read(
            model,
            ids,
            mask,
            {site.points[-1].hook: lambda z: None, site.points[0].hook: lambda z: None},
        )
        with ms.steer(model, edit):
            read(model, ids, mask, {site.points[-1].hook: lambda z: None})
    handle.remove()
    (index, weights, before), (_, _, after) = calls
    weight = experts.down_proj[expert]
    row = weight[neuron] if experts.is_transposed else weight[:, neuron]
    share = torch.where(index == expert, weights, 0).sum(1)
    assert 0 < int((share > 0).sum()) < len(share)
    moved = after - before
    expected = share[:, None] * delta * row
    bound = 64 * torch.finfo(torch.float32).eps * after.abs().max()
    assert (moved - expected).abs().max() <= bound
    assert torch.equal(after[share == 0], before[share == 0])


def test_scores_experts_and_generation_of_a_mixture(bridge, corpus) -> None:
    model = bridge("qwen2-moe")
    scores = ms.score(model, corpus, site="experts")
    chosen = scores.top("fra_Latn", 12)
    assert {point.layer for point in scores.site.points} == {0, 2}
    control = ms.experts.random_like(scores, chosen, seed=0)
    assert sorted(control.table()["layer"]) == sorted(chosen.table()["layer"])
    ids, runs = torch.tensor([[1, 20, 30, 40]]), []
    options = {"max_new_tokens": 6, "do_sample": False}
    with torch.inference_mode(), ms.steer(model, ms.clamp(chosen, value=3.0)):
        for cache in (True, False):
            runs.append(model.original_model.generate(ids, use_cache=cache, **options))
    assert torch.equal(*runs)
    points = model.hook_dict.values()
    assert not any(point.has_hooks("fwd", including_permanent=False) for point in points)


@pytest.mark.parametrize("site", ["experts", "shared"])
def test_a_sentence_alone_is_as_in_its_batch(bridge, corpus, site: str) -> None:
    model = bridge("deepseek-v3")
    alone, batched = (record(model, corpus, site=site, batch_tokens=n) for n in (1, 512))
    for point in alone.points:
        a, b = alone.activations(point), batched.activations(point)
        assert (a - b).abs().max() <= 1e-5 * a.abs().max()
