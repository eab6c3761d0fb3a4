"""A site named post accounts for all that an MLP adds, or is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mechsteer as ms
from mechsteer.errors import SiteError
from mechsteer.model.derived import opened
from mechsteer.model.hooks import read
from mechsteer.model.load import load_model
from mechsteer.model.sites import find_site, site_table
from mechsteer.model.wrap import as_model
from mechsteer.recording import record

BESIDE = {"hunyuan-moe": (352, 88), "gemma4-moe": (96, 88), "granite-shared": (352, 88)}
IDS = torch.arange(20, 44).view(2, 12)


class Beside(nn.Module):
    """A block to which a small network adds what it makes of the block's input."""

    def __init__(self, block: nn.Module, size: float) -> None:
        super().__init__()
        self.block, self.size = block, size
        self.extra = nn.Linear(32, 32)

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        out = self.block(hidden_states, *args, **kwargs)
        return out + self.size * torch.tanh(self.extra(hidden_states))


def plain(checkpoint: Any, name: str = "llama") -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(checkpoint(name)).eval()


@pytest.mark.parametrize("family", BESIDE)
@pytest.mark.parametrize("site", ["post", "linear"])
def test_what_runs_beside_routed_experts_is_not_the_mlp(bridge, family: str, site: str) -> None:
    with pytest.raises(SiteError, match=r"layer 0 is a mixture of experts: .* not all.*'experts'"):
        find_site(bridge(family), site)
    assert all("mixture of experts" in row.verdict for row in site_table(bridge(family), site))


@pytest.mark.parametrize("family", BESIDE)
def test_it_is_the_shared_expert_beside_the_routed_ones(bridge, family: str) -> None:
    routed, shared = BESIDE[family]
    model = bridge(family)
    assert [p.width for p in find_site(model, "experts").points] == [routed] * 3
    assert [p.width for p in find_site(model, "shared").points] == [shared] * 3
    assert {p.kind for p in find_site(model, "shared").points} == {"shared"}


@pytest.mark.parametrize("family", ["gemma4-per-layer", "granite", "bloom", "bert", "cohere"])
def test_what_follows_or_scales_an_mlp_is_no_part_of_it(bridge, family: str) -> None:
    assert len(find_site(bridge(family)).points) == 3


class SparseExperts(Beside):
    """One whose name tells what it is."""


def test_experts_that_only_numbers_tell_of_are_called_by_name(checkpoint) -> None:
    model = plain(checkpoint)
    model.model.layers[2] = SparseExperts(model.model.layers[2], 1.0)
    with pytest.raises(SiteError, match=r"layer 2 is a mixture of experts \(SparseExperts\)"):
        find_site(as_model(model.eval()))


@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_a_network_beside_the_mlp_is_found_however_small(checkpoint, size: float) -> None:
    model = plain(checkpoint)
    model.model.layers[1] = Beside(model.model.layers[1], size)
    with pytest.raises(SiteError, match=r"layer 1 adds more .* not all"):
        find_site(as_model(model.eval()))


def test_an_adapter_on_the_down_projection_leaves_its_neurons_all(checkpoint) -> None:
    """Its output is another function of the same neurons."""
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(
        plain(checkpoint), peft.LoraConfig(target_modules=["down_proj"], init_lora_weights=False)
    )
    assert find_site(as_model(adapted.eval())).n_neurons == 3 * 88


def test_what_w_out_does_not_write_is_refused(checkpoint) -> None:
    model = load_model(checkpoint("llama"), device="cpu")
    down = model.module.blocks[1].mlp.out.original_component
    handle = down.register_forward_hook(lambda module, args, out: out + args[0][..., :32] ** 2)
    with pytest.raises(SiteError, match=r"layer 1: .* something else than W_out"):
        find_site(model)
    handle.remove()


@pytest.mark.parametrize("family", ["llama", "bert", "hunyuan-moe", "qwen2-moe"])
def test_finding_sites_leaves_the_model_as_it_was(checkpoint, family: str) -> None:
    model = load_model(checkpoint(family), device="cpu")
    with torch.inference_mode():
        logits = model(IDS)
    before = state_of(model)
    for site in ("post", "experts", "shared", "dense"):
        with suppress(SiteError):
            find_site(model, site)
    assert state_of(model) == before
    with torch.inference_mode():
        assert torch.equal(model(IDS), logits)


@pytest.mark.parametrize("family", ["llama", "qwen2-moe"])
def test_a_model_in_train_mode_stays_there(checkpoint, family: str) -> None:
    model = load_model(checkpoint(family), device="cpu").train()
    find_site(model, "dense")
    assert all(module.training for module in model.original_model.modules())


def test_hooks_of_others_see_nothing_of_it_and_change_nothing(checkpoint) -> None:
    model = load_model(checkpoint("llama"), device="cpu")
    seen: list[Tensor] = []

    def watch(z: Tensor, hook: Any) -> Tensor:
        seen.append(z)
        return torch.zeros_like(z)

    model.module.add_hook("blocks.0.hook_in", watch)
    assert find_site(model).n_neurons == 3 * 88
    assert not seen
    with torch.inference_mode():
        model(IDS)
    assert len(seen) == 1


def test_a_copy_of_a_model_is_looked_at_anew(checkpoint) -> None:
    model = load_model(checkpoint("llama"), device="cpu")
    find_site(model)
    copy = as_model(deepcopy(model.module))
    assert copy.facts is not model.facts and copy.facts.unaccounted is None


def test_recording_the_shared_expert_reads_its_down_projection(bridge, corpus) -> None:
    model = bridge("granite-shared")
    seen: list[Tensor] = []
    shared = model.original_model.model.layers[0].shared_mlp.output_linear
    handle = shared.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    recording = record(model, corpus, site="shared", batch_tokens=1, progress=False)
    handle.remove()
    found = recording.activations(recording.points[0])
    assert found.shape == (28, 88)
    by_hand = [z.view(-1, 88)[1:].amax(0) for z in seen if z.numel() > 88]  # <s> is no real token
    assert all(any(torch.equal(row, z) for z in by_hand) for row in found)


@pytest.mark.parametrize("site", ["experts", "shared"])
def test_points_inside_experts_are_there_as_long_as_somebody_wants_them(checkpoint, site) -> None:
    model = load_model(checkpoint("qwen2-moe"), device="cpu")
    with torch.inference_mode():
        logits = model(IDS)
    before = state_of(model)
    found = find_site(model, site)
    hooks = [point.hook for point in found.points]
    outer = opened(model, hooks)
    outer.__enter__()
    edit = ms.NeuronEdit("shift", found, torch.tensor([3]), torch.ones(1), torch.ones(1))
    with ms.steer(model, edit):
        outer.__exit__(None, None, None)  # scopes may end in any order
        assert set(hooks[:1]) <= set(model.hook_dict)
        with torch.inference_mode():
            assert not torch.equal(model(IDS), logits)
    assert state_of(model) == before
    with torch.inference_mode():
        assert torch.equal(model(IDS), logits)


@pytest.mark.parametrize(("family", "site"), [("llama", "post"), ("qwen2-moe", "experts")])
def test_threads_that_read_one_model_get_what_each_asked_for(bridge, family, site) -> None:
    model = bridge(family)
    hooks = [point.hook for point in find_site(model, site).points]

    def read_at(start: int) -> list[Tensor]:
        ids = torch.arange(start, start + 10 + start % 3).view(1, -1)
        seen: list[Tensor] = []
        with torch.inference_mode():
            read(model, ids, torch.ones_like(ids), dict.fromkeys(hooks, seen.append))
        return seen

    alone = [read_at(start) for start in range(20, 32)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(read_at, range(20, 32)))
    for one, other in zip(alone, together, strict=True):
        assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def state_of(model: Any) -> tuple[Any, ...]:
    """Every hook of PyTorch's in a model, replaced functions, and its configuration."""
    modules = [*model.original_model.modules(), *model.hook_dict.values()]
    hooks = [
        (list(m._forward_hooks), list(m._forward_pre_hooks), "forward" in vars(m), m.training)
        for m in modules
    ]
    config = model.original_model.config
    return hooks, config.to_dict(), config._experts_implementation, sorted(model.hook_dict)


def test_threads_that_embed_with_one_model_get_what_each_would_alone(bridge, corpus) -> None:
    model = bridge("llama")
    one = ms.embed(model, corpus, batch_tokens=64, progress=False)
    with ThreadPoolExecutor(3) as pool:
        runs = [
            pool.submit(ms.embed, model, corpus, batch_tokens=64, progress=False) for _ in range(3)
        ]
        assert all(torch.equal(run.result()[name], one[name]) for run in runs for name in one)
