"""Generation with a cache is refused where it is not what the model writes without one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer.costs.sampling import sample
from mechsteer.errors import ModelError
from mechsteer.model.cached import require_correct_cache
from mechsteer.model.load import load_model
from mechsteer.model.sites import find_site
from mechsteer.model.writing import write
from mechsteer.selftest import self_test

IDS = torch.arange(20, 32)[None]
BAMBA = {
    "attn_layer_indices": [1],
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 1,
    "mamba_d_state": 8,
    "mamba_expand": 2,
}


def broken(folder: Any) -> Any:
    """A model of which a step with a cache is wrong, as under a transformers that came later."""
    model = load_model(folder, device="cpu")

    def garble(module: Any, args: Any, out: Any) -> Any:
        first = out[0] if isinstance(out, tuple) else out
        return out if first.shape[1] > 1 else first.flip(-1)

    model.original_model.model.layers[0].register_forward_hook(garble)
    return model


def shift(model: Any, size: float = 3.0) -> Any:
    one = torch.ones(1)
    return ms.NeuronEdit("shift", find_site(model), torch.tensor([5]), one, one * size)


@pytest.fixture(scope="module")
def garbled(checkpoint: Any) -> Any:
    return broken(checkpoint("llama"))


CALLS = {
    "view": (lambda m, **o: m.generate(IDS, verbose=False, **o), "use_past_kv_cache"),
    "bridge": (lambda m, **o: m.module.generate(IDS, verbose=False, **o), "use_past_kv_cache"),
    "transformers": (lambda m, **o: m.original_model.generate(IDS, **o), "use_cache"),
    "hf_generate": (
        lambda m, **o: m.module.hf_generate(IDS, use_past_kv_cache="use_cache" not in o, **o),
        "use_cache",
    ),
    "stream": (
        lambda m, **o: list(m.module.generate_stream(IDS, verbose=False, **o)),
        "use_past_kv_cache",
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("size", [3.0, 0.0])
def test_a_wrong_cached_step_is_refused_in_a_scope(garbled, call: str, size: float) -> None:
    generate, option = CALLS[call]
    garbled.facts.cached.clear()
    with ms.steer(garbled, shift(garbled, size)):
        with pytest.raises(ModelError, match=rf"token 2 are off by .*transformers \d.*{option}=F"):
            generate(garbled, max_new_tokens=2)
        generate(garbled, max_new_tokens=2, **{option: False})


def test_commands_that_write_refuse_it_too(garbled, monkeypatch, tmp_path) -> None:
    from mechsteer.cli.do import edits

    for write_with in (lambda: sample(garbled, 2), lambda: garbled.generate(IDS, verbose=False)):
        with pytest.raises(ModelError, match="with a key-value cache is wrong"):
            write_with()
    monkeypatch.setattr(edits, "open_model", lambda *args: garbled)
    monkeypatch.setattr(edits, "edits_of", lambda *args: [shift(garbled)])
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat\n" * 3)
    for command in (
        lambda: edits.generate_command("m", ["f"], ["the cat"]),
        lambda: edits.cost_command("m", ["f"], text, language="eng_Latn", n=2, seeds=2),
    ):
        with pytest.raises(ModelError, match="with a key-value cache is wrong"):
            command()


def test_the_self_test_says_why(garbled) -> None:
    checks = [check for check in self_test(garbled) if check.name.startswith("generation")]
    assert [check.verdict for check in checks] == ["failed", "failed"]
    assert all("with a key-value cache is wrong" in check.reason for check in checks)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "mixtral", "t5", "helium"])
def test_a_right_one_is_looked_at_once(bridge, family: str) -> None:
    model = bridge(family)
    model.facts.cached.clear()
    passes: list[int] = []
    handle = model.original_model.register_forward_pre_hook(lambda *_: passes.append(1))
    require_correct_cache(model)
    first = len(passes)
    require_correct_cache(model)
    handle.remove()
    assert first == len(passes) > 0


def test_hooks_of_others_see_nothing_of_it(bridge) -> None:
    model = bridge("llama")
    model.facts.cached.clear()
    seen: list[int] = []
    model.module.add_hook("blocks.0.hook_in", lambda z, hook: seen.append(z.shape[1]))
    with ms.steer(model, shift(model), positions="generated"):
        model.generate(IDS, max_new_tokens=2, verbose=False)
    model.module.reset_hooks()
    assert seen == [12, 1]


@pytest.fixture(scope="module")
def bamba(tmp_path_factory: Any) -> Any:
    """Numbers positions from 0 in each pass that is not told them."""
    from tests.families.checkpoints import save_tiny
    from tests.families.roster import FAMILIES

    folder = tmp_path_factory.mktemp("bamba")
    sizes = {**FAMILIES["llama"].sizes, **BAMBA}
    return save_tiny("BambaConfig", "BambaForCausalLM", sizes, folder, template="<s> $A")


def test_transformers_prepares_what_a_step_needs(bamba) -> None:
    from transformers import AutoModelForCausalLM

    model = load_model(bamba, device="cpu")
    plain = AutoModelForCausalLM.from_pretrained(bamba, attn_implementation="eager").eval()
    ids = torch.tensor([model.plain_tokenizer("the cat sat")["input_ids"]])
    options = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None}
    expected = plain.generate(ids, **options)[0, ids.shape[1] :]
    assert torch.equal(write(model, ids, 12, lambda logits: logits.argmax(-1))[0], expected)
    found = sample(model, prompt="the cat sat", max_new_tokens=12, temperature=0).tokens[0]
    assert list(found) == expected[: len(found)].tolist() and len(found) > 3
    with ms.steer(model, shift(model)), pytest.raises(ModelError, match="let transformers write"):
        model.module.generate(ids, max_new_tokens=2, verbose=False)


@pytest.mark.parametrize("positions", ["all", "generated", "last"])
def test_edits_of_a_hybrid_count_alike_with_and_without_a_cache(bamba, positions: str) -> None:
    model = load_model(bamba, device="cpu")
    with ms.steer(model, shift(model), positions=positions):
        cached, uncached = (
            write(model, IDS, 8, lambda logits: logits.argmax(-1), cache=cache)
            for cache in (True, False)
        )
    assert torch.equal(cached, uncached)


def test_a_hybrid_passes_its_generation_checks(bamba) -> None:
    checks = [c for c in self_test(load_model(bamba, device="cpu")) if "generation" in c.name]
    assert [check.verdict for check in checks] == ["ok", "ok"]


def test_settings_of_a_checkpoint_do_not_change_what_is_drawn(checkpoint) -> None:
    model = load_model(checkpoint("llama"), device="cpu")
    before = sample(model, 2, prompt="the cat", max_new_tokens=8, seed=3)
    settings = model.original_model.generation_config
    settings.update(repetition_penalty=5.0, no_repeat_ngram_size=1, min_length=30, top_k=1)
    assert sample(model, 2, prompt="the cat", max_new_tokens=8, seed=3) == before
    assert model.original_model.generation_config is settings
