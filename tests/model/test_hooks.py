from __future__ import annotations

import pytest
import torch

from mechsteer.errors import ModelError, SiteError
from mechsteer.model.hooks import read

IDS = torch.tensor([[1, 20, 30, 40], [1, 50, 60, 70]])
MASK = torch.ones_like(IDS)
POINT = "blocks.1.mlp.hook_post"


def hooks_of(model) -> dict[str, list[int]]:
    return {
        name: [id(handle) for handle in point.fwd_hooks] + sorted(point._forward_hooks)
        for name, point in model.hook_dict.items()
    }


def logits(model) -> torch.Tensor:
    with torch.inference_mode():
        return model(IDS, attention_mask=MASK)


def test_each_reader_gets_the_activation_of_its_own_point(bridge) -> None:
    model = bridge("llama")
    names = [f"blocks.{layer}.mlp.hook_post" for layer in range(3)]
    seen: dict[str, torch.Tensor] = {}

    def reader(name: str):
        return lambda z: seen.__setitem__(name, z.clone())

    with torch.inference_mode():
        _, cache = model.run_with_cache(IDS, attention_mask=MASK, names_filter=names)
        read(model, IDS, MASK, {name: reader(name) for name in names})
    assert all(torch.equal(seen[name], cache[name]) for name in names)
    assert not torch.equal(seen[names[0]], seen[names[1]])


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "xglm", "bert"])
def test_reading_leaves_the_model_as_it_was(bridge, family: str) -> None:
    model = bridge(family)
    before, attached = logits(model), hooks_of(model)
    for _ in range(2):
        read(model, IDS, MASK, {POINT: lambda z: None})
    assert hooks_of(model) == attached
    assert torch.equal(logits(model), before)


def test_the_forward_pass_stops_after_the_last_reader(bridge) -> None:
    model = bridge("llama")
    later: list[str] = []
    with model.hooks(
        [
            ("blocks.1.hook_resid_pre", lambda z, hook: later.append("before")),
            ("blocks.2.hook_resid_pre", lambda z, hook: later.append("after")),
        ]
    ):
        read(model, IDS, MASK, {POINT: lambda z: None, "blocks.0.hook_resid_pre": lambda z: None})
    assert later == ["before"]


def test_readers_see_what_earlier_hooks_made_of_an_activation(bridge) -> None:
    model = bridge("llama")
    seen: list[torch.Tensor] = []
    with model.hooks([(POINT, lambda z, hook: torch.full_like(z, 3.0))]):
        attached = hooks_of(model)
        read(model, IDS, MASK, {POINT: lambda z: seen.append(z.clone())})
        assert hooks_of(model) == attached
    assert seen[0].unique().tolist() == [3.0]


def test_a_reader_that_fails_leaves_no_hooks(bridge) -> None:
    model = bridge("llama")
    attached = hooks_of(model)

    def fail(z: torch.Tensor) -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(ModelError, match=r"does not run: .*out of memory; lower batch_tokens"):
        read(model, IDS, MASK, {POINT: fail, "ln_final.hook_out": lambda z: None})
    assert hooks_of(model) == attached


def test_a_point_that_is_not_there_leaves_no_hooks(bridge) -> None:
    model = bridge("llama")
    attached = hooks_of(model)
    with pytest.raises(KeyError):
        read(model, IDS, MASK, {POINT: lambda z: None, "blocks.9.hook_out": lambda z: None})
    assert hooks_of(model) == attached


def test_a_point_the_forward_pass_never_reaches_is_named(bridge) -> None:
    model = bridge("llama")
    unreached = "blocks.0.attn.hook_result"  # off unless use_attn_result is set
    with pytest.raises(SiteError, match=unreached):
        read(model, IDS, MASK, {POINT: lambda z: None, unreached: lambda z: None})
