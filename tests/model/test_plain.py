"""Architectures TransformerLens does not read, against forward hooks put on by hand."""

from __future__ import annotations

from inspect import signature
from typing import Any

import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.errors import ModelError, SiteError
from mechsteer.model.load import load_model
from mechsteer.model.plain import PlainModel
from mechsteer.model.sites import find_site, residual_points, site_table
from mechsteer.recording import embed, record
from mechsteer.recording.batches import plan_batches
from tests.model.encoder_decoders import run_plain
from tests.model.plain_models import CONFIGS, DOWN, REFUSED

BOTH = "<s> $A </s>"
UNGATED = ("bert-headless", "distilbert", "deberta")


def hugging_face(checkpoint: Any, family: str) -> Any:
    import transformers

    cls = getattr(transformers, CONFIGS[family][1])
    folder = checkpoint(family, template=BOTH)
    return cls.from_pretrained(folder, attn_implementation="eager").eval()


@torch.inference_mode()
def by_hand(plain: Any, family: str, batch: Any, edit: Any = None) -> tuple[list[Tensor], Any]:
    """Neurons of every layer and the output, ``edit`` mapping the neurons of layer 1."""
    caught: list[Tensor] = []

    def hook(layer: int) -> Any:
        def catch(module: Any, args: tuple[Tensor]) -> tuple[Tensor]:
            z = edit(args[0]) if edit is not None and layer == 1 else args[0]
            caught.append(z.clone())
            return (z,)

        return catch

    n_layers = plain.config.num_hidden_layers
    handles = [
        DOWN[family](plain, layer).register_forward_pre_hook(hook(layer))
        for layer in range(n_layers)
    ]
    options = {"use_cache": False} if "use_cache" in signature(plain.forward).parameters else {}
    out = plain(batch.ids, attention_mask=batch.mask, output_hidden_states=True, **options)
    for handle in handles:
        handle.remove()
    return caught, out


@pytest.mark.parametrize("family", DOWN)
def test_recorded_neurons_are_those_of_hooks_by_hand(
    bridge, checkpoint, corpus, family: str
) -> None:
    model = bridge(family, template=BOTH)
    assert isinstance(model, PlainModel)
    assert {row.verdict for row in site_table(model)} == {"ok"}
    recording = record(model, corpus, batch_tokens=128)
    plain = hugging_face(checkpoint, family)
    plan = plan_batches(corpus, model.plain_tokenizer, context=64, batch_tokens=128)
    for number in range(len(plan.batches)):
        batch = plan.batch(number)
        caught, _ = by_hand(plain, family, batch)
        assert len(caught) == len(recording.points)
        for point, z in zip(recording.points, caught, strict=True):
            for i, row in enumerate(batch.rows.tolist()):
                expected = z[i][batch.real[i]].amax(0)
                assert torch.equal(recording.activations(point)[row], expected)


@pytest.mark.parametrize("family", DOWN)
def test_embeddings_are_the_hidden_states(bridge, checkpoint, corpus, family: str) -> None:
    model = bridge(family, template=BOTH)
    found = torch.cat(list(embed(model, corpus, batch_tokens=128).values()), dim=1)
    plain = hugging_face(checkpoint, family)
    plan = plan_batches(corpus, model.plain_tokenizer, context=64, batch_tokens=128)
    batch = plan.batch(0)
    _, out = by_hand(plain, family, batch)
    states = out.hidden_states
    last = getattr(out, "last_hidden_state", states[-1])
    rows = {0: states[0], 1: states[1], len(residual_points(model)) - 1: last}
    for i, row in enumerate(batch.rows.tolist()):
        for layer, state in rows.items():
            mean = state[i][batch.real[i]].mean(0)
            assert torch.allclose(found[layer, row], mean, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", DOWN)
def test_a_sentence_alone_is_as_in_its_batch(bridge, corpus, family: str) -> None:
    model = bridge(family, template=BOTH)
    alone, batched = (record(model, corpus, batch_tokens=n) for n in (1, 512))
    for point in alone.points:
        a, b = alone.activations(point), batched.activations(point)
        assert (a - b).abs().max() <= 1e-5 * a.abs().max()


@pytest.mark.parametrize("positions", ["all", "content"])
@pytest.mark.parametrize("family", DOWN)
def test_an_edit_equals_hooks_by_hand(bridge, checkpoint, corpus, family, positions) -> None:
    model = bridge(family, template=BOTH)
    plain = hugging_face(checkpoint, family)
    batch = plan_batches(corpus, model.plain_tokenizer, context=64).batch(0)
    where = batch.mask.bool() if positions == "all" else batch.real

    def clamp(z: Tensor) -> Tensor:
        z = z.clone()
        z[..., [3, 50]] = torch.where(where[..., None], 2.0, z[..., [3, 50]])
        return z

    _, expected = by_hand(plain, family, batch, clamp)
    site = find_site(model)
    index = site.offsets[1] + torch.tensor([3, 50])
    edit = ms.NeuronEdit("clamp", site, index, torch.zeros(2), torch.full((2,), 2.0))
    seen: list[Tensor] = []
    last = model.hook_dict[residual_points(model)[-1].hook]
    with torch.inference_mode(), ms.steer(model, edit, positions=positions):
        handle = last.add_hook(lambda h, hook: seen.append(h.clone()))
        model(batch.ids, attention_mask=batch.mask, use_cache=False)
    handle.hook.remove()
    wanted = getattr(expected, "last_hidden_state", expected.hidden_states[-1])
    assert torch.equal(seen[0][batch.real], wanted[batch.real])


@pytest.mark.parametrize("family", UNGATED)
def test_linear_is_every_linear_module_of_the_mlp(bridge, family: str) -> None:
    site = find_site(bridge(family, template=BOTH), "linear")
    assert [(p.component, p.width) for p in site.points] == [("up", 88), ("down", 32)] * 3


def test_a_gate_of_its_own_is_a_component(bridge) -> None:
    site = find_site(bridge("nomicbert", template=BOTH), "linear")
    assert [point.component for point in site.points] == ["gate", "up", "down"] * 3


def test_a_gate_fused_with_the_up_projection_is_not_told_apart(bridge) -> None:
    with pytest.raises(SiteError, match=r"gate and up are one module.*'post'"):
        find_site(bridge("modernbert", template=BOTH), "linear")


@pytest.mark.parametrize("family", ["umt5", "m2m100-uneven"])
def test_both_stacks_without_an_adapter(bridge, checkpoint, corpus, family: str) -> None:
    model = bridge(family, template="$A </s>")
    assert isinstance(model, PlainModel)
    import transformers

    folder = checkpoint(family, template="$A </s>")
    cls = getattr(transformers, CONFIGS[family][1])
    plain = cls.from_pretrained(folder, attn_implementation="eager").eval()
    recording = record(model, corpus, batch_tokens=512)
    plan = plan_batches(corpus, model.plain_tokenizer, context=64, batch_tokens=512)
    start = plain.config.decoder_start_token_id
    for number in range(len(plan.batches)):
        batch = plan.batch(number)
        caught, _ = run_plain(plain, batch.ids, batch.mask, start)
        for point in recording.points:
            z = caught[point.stack, point.layer].view(*batch.ids.shape, -1)
            for i, row in enumerate(batch.rows.tolist()):
                n = int(batch.mask[i].sum()) - 1
                real = z[i, 1 : n + 1] if point.stack == "decoder" else z[i, :n]
                assert torch.equal(recording.activations(point)[row], real.amax(0))


@pytest.mark.parametrize("family", REFUSED)
def test_what_is_not_certain_is_refused_by_name(checkpoint, family: str) -> None:
    name = CONFIGS[family][1]
    with pytest.raises(ModelError, match=rf"{name} is not supported.*{REFUSED[family]}"):
        load_model(checkpoint(family, template=BOTH), device="cpu")


def test_a_checkpoint_is_the_same_model_each_time(checkpoint) -> None:
    folder = checkpoint("xlmr-headless", template=BOTH)
    first, second = (load_model(folder, device="cpu") for _ in range(2))
    second.require_same(first.identity())


def test_a_checkpoint_that_lacks_weights_is_refused(checkpoint, tmp_path) -> None:
    from shutil import copytree

    from safetensors.torch import load_file, save_file

    folder = copytree(checkpoint("bert-headless", template=BOTH), tmp_path / "torn")
    file = folder / "model.safetensors"
    tensors = load_file(file)
    save_file({k: v for k, v in tensors.items() if "layer.1.output" not in k}, file)
    with pytest.raises(ModelError, match=r"lacks \d+ tensors of BertModel.*whole checkpoint"):
        load_model(folder, device="cpu")


def test_a_plain_decoder_generates_and_counts_bits(bridge) -> None:
    from mechsteer.costs.sampling import sample

    model = bridge("helium", template="<s> $A")
    edit = ms.NeuronEdit("up", find_site(model), torch.arange(9), torch.ones(9), torch.ones(9))
    ids = torch.tensor([[1, 20, 30]])
    runs = []
    with torch.inference_mode(), ms.steer(model, edit, positions="generated"):
        for cache in (True, False):
            options = {"max_new_tokens": 6, "do_sample": False, "use_cache": cache}
            runs.append(model.original_model.generate(ids, **options))
        written = sample(model, prompt="the cat", max_new_tokens=4)
    assert torch.equal(*runs)
    assert len(written.tokens[0]) <= 4
    assert ms.perplexity(model, ["the cat sat on the mat"]).bits_per_byte > 0
