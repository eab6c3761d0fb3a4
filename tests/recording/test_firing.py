"""How often neurons fire, against plain forward hooks on the activation's input."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from mechsteer.errors import ArtifactError, MechsteerError, ModelError, SiteError
from mechsteer.model.load import load_model
from mechsteer.recording.batches import plan_batches
from mechsteer.recording.capture import record

# the linear module whose output the activation function takes
GATE = {
    "llama": lambda model, layer: model.model.layers[layer].mlp.gate_proj,
    "gpt2": lambda model, layer: model.transformer.h[layer].mlp.c_fc,
    "bloom": lambda model, layer: model.transformer.h[layer].mlp.dense_h_to_4h,
    "xglm": lambda model, layer: model.model.layers[layer].fc1,
}


@torch.inference_mode()
def counted(model, family: str, corpus, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens at which each neuron fires ``[sentence, neuron]``, and real tokens, by plain hooks."""
    from transformers import AutoModelForCausalLM

    copy = AutoModelForCausalLM.from_pretrained(model.cfg.model_name).eval()
    caught = {}
    GATE[family](copy, layer).register_forward_hook(
        lambda module, args, out: caught.update(pre=out.clone())
    )
    plan = plan_batches(corpus, model.plain_tokenizer, context=64, batch_tokens=128)
    fired = [None] * len(corpus)
    tokens = [0] * len(corpus)
    for number in range(len(plan.batches)):
        batch = plan.batch(number)
        copy(batch.ids, attention_mask=batch.mask)
        pre = caught["pre"].view(*batch.ids.shape, -1)
        for i, row in enumerate(batch.rows.tolist()):
            fired[row] = (pre[i][batch.real[i]] > 0).sum(0)
            tokens[row] = int(batch.real[i].sum())
    return torch.stack(fired), torch.tensor(tokens)


@pytest.mark.parametrize("family", GATE)
def test_neurons_fire_where_their_gate_is_positive(bridge, corpus, family: str) -> None:
    model = bridge(family)
    recording = record(model, corpus, firing=True, batch_tokens=128)
    for layer in (0, 2):
        fired, tokens = counted(model, family, corpus, layer)
        assert torch.equal(recording.n_tokens, tokens)
        found = (recording.fired(layer).double() * tokens[:, None]).round()
        # of two runs that differ by rounding, a gate next to 0 may fall on either side
        assert (found != fired).double().mean() < 1e-3
        assert 0.1 < float(recording.fired(layer).mean()) < 0.9


def test_firing_is_recorded_beside_the_neurons_without_changing_them(bridge, corpus) -> None:
    model = bridge("llama")
    plain, both = (record(model, corpus, firing=firing) for firing in (False, True))
    assert torch.equal(plain.activations(1), both.activations(1))
    with pytest.raises(ArtifactError, match="firing=True"):
        plain.fired(1)


def test_firing_on_disk_resumes_to_what_memory_has(bridge, corpus, tmp_path) -> None:
    model = bridge("gpt2")
    options = {"firing": True, "batch_tokens": 60}
    memory = record(model, corpus, **options)
    record(model, corpus, directory=tmp_path, **options)
    shards = sorted(tmp_path.glob("*.safetensors"))
    before = [shard.read_bytes() for shard in shards]
    shards[1].unlink()
    disk = record(model, corpus, directory=tmp_path, **options)
    assert [shard.read_bytes() for shard in shards] == before
    for layer in range(3):
        assert torch.equal(disk.fired(layer), memory.fired(layer))


def test_an_activation_that_does_not_keep_the_sign_is_refused(checkpoint, corpus) -> None:
    model = load_model(checkpoint("llama"), device="cpu")
    model.blocks[1].mlp.original_component.act_fn = torch.nn.Sigmoid().eval()
    with pytest.raises(SiteError, match="layer 1: the activation function does not keep the sign"):
        record(model, corpus, firing=True)


def test_firing_is_refused_while_hooks_are_on_and_of_other_sites(bridge, corpus) -> None:
    model = bridge("llama")
    with (
        model.hooks([("blocks.1.mlp.hook_post", lambda z, hook: z)]),
        pytest.raises(ModelError, match="hooks are on"),
    ):
        record(model, corpus, firing=True)
    with pytest.raises(SiteError, match="site 'post'"):
        record(model, corpus, site="linear", firing=True)


def test_some_layers_are_recorded_as_all_would_be(bridge, corpus, monkeypatch) -> None:
    model = bridge("llama")
    whole = record(model, corpus)
    reached = []
    last = model.blocks[2].original_component
    handle = last.register_forward_pre_hook(partial(_note, reached))
    try:
        part = record(model, corpus, layers=[1])
        assert not reached  # the pass ended after layer 1
        record(model, corpus, layers=[2])
        assert reached
    finally:
        handle.remove()
    assert torch.equal(part.activations(1), whole.activations(1))
    with pytest.raises(ArtifactError, match=r"layer 0 was not recorded, only layer 1"):
        part.activations(0)


def _note(reached: list[int], module, args) -> None:
    reached.append(1)


def test_embeddings_alone_are_those_beside_neurons(bridge, corpus) -> None:
    model = bridge("gpt2")
    alone = record(model, corpus, layers=(), embeddings=True)
    assert torch.equal(alone.embeddings, record(model, corpus, embeddings=True).embeddings)


@pytest.mark.parametrize("layers", [[3], [-1], [0, 7]])
def test_layers_must_exist(bridge, corpus, layers: list[int]) -> None:
    with pytest.raises(MechsteerError, match="layers from 0 to 2"):
        record(bridge("llama"), corpus, layers=layers)


def test_nothing_to_record_is_refused(bridge, corpus) -> None:
    with pytest.raises(MechsteerError, match="layers or embeddings"):
        record(bridge("llama"), corpus, layers=())
