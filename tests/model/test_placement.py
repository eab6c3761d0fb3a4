"""Precision and placement: half precision, packed weights, devices by module, offloading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import mechsteer as ms
from mechsteer.errors import ModelError
from mechsteer.model.load import load_model
from mechsteer.model.plain import PlainModel
from mechsteer.model.sites import find_site
from mechsteer.recording import embed, record
from mechsteer.recording.batches import plan_batches

TEMPLATES = {"t5": "$A </s>", "bert-headless": "<s> $A </s>", "llama": "<s> $A"}
OFFLOADED = {
    "llama": {
        **dict.fromkeys(("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head"), "cpu"),
        **{f"model.layers.{layer}": place for layer, place in enumerate(("cpu", "disk", "cpu"))},
    },
    "bert-headless": {"": "disk"},
}


@pytest.fixture
def folder(checkpoint: Callable[..., Path]) -> Callable[[str], Path]:
    return lambda family: checkpoint(family, template=TEMPLATES.get(family, "<s> $A"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["llama", "bert-headless", "t5", "qwen2-moe"])
def test_every_step_works_in_half_precision(folder, corpus, family: str, dtype) -> None:
    model = load_model(folder(family), device="cpu", dtype=dtype)
    site = "experts" if family == "qwen2-moe" else "post"
    scores = ms.score(model, corpus, site=site)
    assert scores.ap.dtype == scores.median.dtype == torch.float32
    before = embed(model, corpus)
    edit = ms.clamp(scores.top("fra_Latn", 20), value=2.0)
    with ms.steer(model, edit):
        after = embed(model, corpus) if family != "t5" else before
        recording = record(model, corpus, site=site, pooling=("max", "mean"))
    point, offset = site_of(edit)
    held = recording.activations(point, pooling="max")[:, edit.index[0] - offset]
    assert held.dtype == dtype
    if site == "post":  # an expert that no token of a sentence is routed to is held at nothing
        assert torch.equal(held, torch.full_like(held, 2.0))
    assert recording.activations(point, pooling="mean").dtype == torch.float32
    assert all(x.dtype == torch.float32 and x.isfinite().all() for x in after.values())


def site_of(edit: Any) -> tuple[Any, int]:
    """Hook point of an edit's first neuron, and the number of the first neuron there."""
    spans = zip(edit.site.points, edit.site.offsets, strict=True)
    return [span for span in spans if span[1] <= int(edit.index[0])][-1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_neurons_are_those_of_plain_hooks(folder, corpus, dtype) -> None:
    from transformers import AutoModel

    model = load_model(folder("bert-headless"), device="cpu", dtype=dtype)
    recording = record(model, corpus, batch_tokens=128)
    options = {"attn_implementation": "eager", "dtype": dtype}
    plain = AutoModel.from_pretrained(folder("bert-headless"), **options).eval()
    caught: list[Tensor] = []
    plain.encoder.layer[2].output.dense.register_forward_pre_hook(
        lambda module, args: caught.append(args[0])
    )
    plan = plan_batches(corpus, model.plain_tokenizer, context=64, batch_tokens=128)
    for number in range(len(plan.batches)):
        batch = plan.batch(number)
        with torch.inference_mode():
            plain(batch.ids, attention_mask=batch.mask)
        for i, row in enumerate(batch.rows.tolist()):
            expected = caught[-1][i][batch.real[i]].amax(0)
            assert torch.equal(recording.activations(2)[row], expected)


@pytest.mark.parametrize("device_map", ["auto", {"": "cpu"}])
@pytest.mark.parametrize("family", ["llama", "bert-headless", "t5"])
def test_a_device_map_gives_the_same_model(folder, corpus, family: str, device_map) -> None:
    model = load_model(folder(family), device_map=device_map)
    usual = load_model(folder(family), device="cpu")
    assert model.identity() == usual.identity()
    found, expected = record(model, corpus), record(usual, corpus)
    for point in found.points:
        assert torch.equal(found.activations(point), expected.activations(point))


def test_a_device_and_a_map_of_devices_are_refused(folder) -> None:
    with pytest.raises(ModelError, match="device or a device_map, got both"):
        load_model(folder("llama"), device="cpu", device_map="auto")


@pytest.mark.parametrize("family", OFFLOADED)
def test_offloaded_weights_give_the_same_numbers(folder, corpus, family: str) -> None:
    model = load_model(folder(family), device_map=OFFLOADED[family])
    assert any(parameter.is_meta for parameter in model.parameters())
    usual = load_model(folder(family), device="cpu")
    assert model.identity() == usual.identity()
    site = find_site(usual)
    edit = ms.NeuronEdit("clamp", site, torch.arange(0, 200, 7), torch.zeros(29), torch.ones(29))
    results = []
    for each in (model, usual):
        with ms.steer(each, edit):
            results.append(embed(each, corpus))
    assert all(torch.equal(results[0][code], results[1][code]) for code in corpus.languages)


class Packed(nn.Module):
    """Weights of 4 bits, two to a byte, as quantisation libraries keep them."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.scale = float(linear.weight.detach().abs().max()) / 7
        levels = ((linear.weight / self.scale).round() + 8).to(torch.uint8).flatten()
        self.weight = nn.Parameter((levels[::2] << 4 | levels[1::2])[:, None], requires_grad=False)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        levels = torch.stack([self.weight[:, 0] >> 4, self.weight[:, 0] & 15], dim=1)
        weight = (levels.view(self.out_features, self.in_features).float() - 8) * self.scale
        return functional.linear(x, weight, self.bias)


def packed(plain: Any) -> Any:
    """Pack every linear module of the blocks of a plain model."""
    for name, module in list(plain.named_modules()):
        if isinstance(module, nn.Linear) and "layer" in name:
            owner, _, leaf = name.rpartition(".")
            setattr(plain.get_submodule(owner), leaf, Packed(module))
    return plain


def as_plain(plain: Any, tokenizer: Any) -> Any:
    return PlainModel(plain, "packed")


def as_bridge(plain: Any, tokenizer: Any) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    return TransformerBridge.boot_transformers(
        "packed", hf_model=plain, tokenizer=tokenizer, device="cpu"
    ).eval()


@pytest.mark.parametrize(
    ("family", "wrap"), [("bert-headless", as_plain), ("llama", as_plain), ("llama", as_bridge)]
)
def test_packed_weights_are_read_by_what_their_modules_say(folder, corpus, family, wrap) -> None:
    import transformers

    cls = transformers.AutoModelForCausalLM if family == "llama" else transformers.AutoModel
    tokenizer = load_model(folder(family), device="cpu").plain_tokenizer
    loaded = [
        packed(cls.from_pretrained(folder(family), attn_implementation="eager").eval())
        for _ in range(2)
    ]
    model, plain = wrap(loaded[0], tokenizer), loaded[1]
    recording = record(model, corpus, tokenizer=tokenizer, batch_tokens=128)
    assert {point.width for point in recording.points} == {88}
    caught: list[Tensor] = []
    downs = [m for m in plain.modules() if isinstance(m, Packed) and m.in_features == 88]
    downs[1].register_forward_pre_hook(lambda module, args: caught.append(args[0]))
    batch = plan_batches(corpus, tokenizer, context=64, batch_tokens=128).batch(0)
    with torch.inference_mode():
        plain(batch.ids, attention_mask=batch.mask)
    for i, row in enumerate(batch.rows.tolist()):
        expected = caught[0][i][batch.real[i]].amax(0)
        assert torch.allclose(recording.activations(1)[row], expected, rtol=1e-5, atol=1e-6)
