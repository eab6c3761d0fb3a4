"""Checkpoints whose names or shapes do not fit are refused; what is legitimately absent is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import mechsteer as ms
from mechsteer.errors import MechsteerError, ModelError
from mechsteer.model.load import load_model
from mechsteer.model.plain import PlainModel
from mechsteer.recording import record

Rewrite = Callable[[str], str | None]


def rewritten(source: Path, folder: Path, name_of: Rewrite) -> Path:
    """A copy of a checkpoint with its tensors named anew; those named None are left out."""
    copytree(source, folder)
    tensors = load_file(source / "model.safetensors")
    named = {name_of(name): tensor for name, tensor in tensors.items()}
    kept = {name: tensor for name, tensor in named.items() if name is not None}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def without(part: str) -> Rewrite:
    return lambda name: None if part in name else name


def in_blocks(wrapper: str) -> Rewrite:
    return lambda name: re.sub(r"(layers?\.\d+\.)", rf"\1{wrapper}", name)


@pytest.mark.parametrize(
    ("prefix", "advice"),
    [
        ("_orig_mod.", "'_orig_mod.' from torch.compile: save model._orig_mod"),
        ("module.", "'module.' from DataParallel: save model.module"),
        ("base_model.model.", "'base_model.model.' from PEFT: save model.merge_and_unload"),
        ("_fsdp_wrapped_module.", "'_fsdp_wrapped_module.' from FSDP"),
        ("_forward_module.", "'_forward_module.' from Lightning"),
        ("module._orig_mod.", "'_orig_mod.' from torch.compile"),
        ("model.model.", "'model.model.' before them"),
        ("student.", "'student.' before them"),
    ],
)
@pytest.mark.parametrize("family", ["llama", "xlmr-headless"])
def test_names_with_a_prefix_are_refused_with_what_to_do(
    checkpoint, tmp_path, family: str, prefix: str, advice: str
) -> None:
    folder = rewritten(checkpoint(family), tmp_path / "copy", lambda name: prefix + name)
    with pytest.raises(ModelError, match=r"lacks \d+ tensors .* would be random") as caught:
        load_model(folder, device="cpu")
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("family", "wrong", "n"),
    [
        ("llama", without("layers.1.mlp.up_proj"), "1 tensor"),
        ("llama", without("model.norm"), "1 tensor"),
        ("llama", without("embed_tokens"), "1 tensor"),
        ("llama", without("layers.2."), "9 tensors"),
        ("llama", in_blocks("_fsdp_wrapped_module."), "27 tensors"),
        ("gpt2", without("h.1.mlp"), "4 tensors"),
        ("xlmr", without("layer.1.output.dense.bias"), "1 tensor"),
        ("distilbert", without("layer.2."), "16 tensors"),
        ("mt5", without("decoder.block.1"), "14 tensors"),
    ],
)
def test_missing_tensors_are_counted_and_named(checkpoint, tmp_path, family, wrong, n) -> None:
    folder = rewritten(checkpoint(family), tmp_path / "copy", wrong)
    with pytest.raises(ModelError, match=rf"lacks {n} of \w+, which would be random \(\w"):
        load_model(folder, device="cpu")


def test_a_tensor_of_another_shape_is_refused_by_name(checkpoint, tmp_path) -> None:
    folder = copytree(checkpoint("llama"), tmp_path / "copy")
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    tensors[name] = tensors[name][:-1].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=rf"shape: {name} is \[87, 32\].*\[88, 32\]"):
        load_model(folder, device="cpu")


@pytest.mark.parametrize("family", ["llama", "xlmr", "gpt2", "bert"])
def test_a_checkpoint_without_its_head_is_read_without_one(
    checkpoint, corpus, tmp_path, family: str
) -> None:
    head: Rewrite = lambda name: None if name.startswith(("lm_head.", "cls.")) else name  # noqa: E731
    whole, source = load_model(checkpoint(family), device="cpu"), checkpoint(family)
    model = load_model(rewritten(source, tmp_path / "copy", head), device="cpu")
    first, second = record(whole, corpus), record(model, corpus)
    for a, b in zip(first.points, second.points, strict=True):
        x, y = first.activations(a), second.activations(b)
        assert (x - y).abs().max() <= 1e-5 * x.abs().max()
    if family == "llama":  # its head is no tied one
        assert isinstance(model, PlainModel)
        with pytest.raises(MechsteerError, match="head"):
            ms.perplexity(model, ["the cat sat"])


def test_tied_weights_and_poolers_may_be_absent(checkpoint, tmp_path) -> None:
    pooled = rewritten(checkpoint("xlmr-headless"), tmp_path / "pooler", without("pooler"))
    model = load_model(pooled, device="cpu").original_model
    assert not model.pooler.dense.weight.any()
    tied = rewritten(checkpoint("gpt2"), tmp_path / "tied", without("lm_head"))
    inner = load_model(tied, device="cpu").original_model
    heads: list[Tensor] = [inner.lm_head.weight, inner.transformer.wte.weight]
    assert torch.equal(*heads)
