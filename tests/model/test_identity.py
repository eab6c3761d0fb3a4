"""Who a model is: its checkpoint in any precision, or the weights that it holds now."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import normalizers, processors

from mechsteer.errors import ArtifactError
from mechsteer.model import words
from mechsteer.model.load import load_model
from mechsteer.model.tokenizer import copied
from mechsteer.model.wrap import as_model

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
MLP = "model.layers.1.mlp.down_proj.weight"


def own(checkpoint: Any, tmp_path: Path, family: str = "llama", **options: Any) -> Path:
    """A copy of a checkpoint that a test may change."""
    return shutil.copytree(checkpoint(family, **options), tmp_path / "copy")


def known(model: Any) -> Any:
    return model.identity()


def weight(model: Any, name: str = MLP) -> torch.Tensor:
    """A parameter by its name in the checkpoint."""
    named = dict(model.original_model.named_parameters())
    found = {key.replace("._original_component", ""): value for key, value in named.items()}
    return found[name]


@pytest.mark.parametrize("stored", DTYPES)
def test_a_checkpoint_is_one_model_in_every_precision(checkpoint, tmp_path, stored: str) -> None:
    from transformers import AutoModelForCausalLM

    folder = own(checkpoint, tmp_path)
    AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPES[stored]).save_pretrained(folder)
    found = [load_model(folder, device="cpu", dtype=dtype) for dtype in DTYPES.values()]
    identities = [model.identity() for model in found]
    assert [who.dtype for who in identities] == list(DTYPES)
    assert len({who.weights_hash for who in identities}) == 1
    for model in found:
        for who in identities:
            model.require_same(who)


def zero_most(w: torch.Tensor) -> None:
    w[:, torch.arange(w.shape[1]) % 8 != 0] = 0  # all but a lattice of neurons


@pytest.mark.parametrize(
    "change",
    [
        zero_most,
        lambda w: w.zero_(),
        lambda w: w[3, 5].add_(1e-3),
        lambda w: w.copy_(w.clone().flip(0)),
        lambda w: w.copy_(w.clone().flip(1)),
        lambda w: w.neg_(),
        lambda w: w.mul_(1 + 2**-20),
    ],
)
@pytest.mark.parametrize("family", ["llama", "distilbert"])
def test_any_change_in_memory_is_another_model(checkpoint, family: str, change: Any) -> None:
    model = load_model(checkpoint(family), device="cpu")
    name = MLP if family == "llama" else "transformer.layer.1.ffn.lin2.weight"
    before, kept = model.identity(), weight(model, name).clone()
    change(weight(model, name).data)
    assert model.identity().weights_hash.startswith("memory:")
    with pytest.raises(ArtifactError, match=r"other weights \(they were changed after loading"):
        model.require_same(before)
    model.require_same(model.identity())
    weight(model, name).data.copy_(kept)
    assert model.identity() == before


def test_a_large_table_is_summed_along_and_across() -> None:
    from mechsteer.model.weights import sums

    table = torch.nn.Linear(4096, 64, bias=False)
    with torch.no_grad():
        before, kept = sums(table), table.weight.clone()
        for rows, columns in (
            (torch.randperm(64), slice(None)),
            (slice(None), torch.arange(4096) ^ 2048),
        ):
            table.weight.copy_(kept[rows][:, columns])
            assert sums(table) != before
        table.weight.copy_(kept)
        assert sums(table) == before


def test_another_file_is_another_model_and_other_shards_are_not(checkpoint, tmp_path) -> None:
    from transformers import AutoModelForCausalLM

    folder = own(checkpoint, tmp_path)
    before = known(load_model(folder, device="cpu"))
    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="90KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    load_model(folder, device="cpu").require_same(before)
    first = min(folder.glob("*.safetensors"))
    tensors = load_file(first)
    next(iter(tensors.values())).view(-1)[0] += 1e-3
    save_file(tensors, first, metadata={"format": "pt"})
    with pytest.raises(ArtifactError, match="other weights: load that model"):
        load_model(folder, device="cpu").require_same(before)


def test_a_file_that_changes_after_loading_names_nobody(checkpoint, tmp_path) -> None:
    folder = own(checkpoint, tmp_path)
    model = load_model(folder, device="cpu")
    tensors = load_file(folder / "model.safetensors")
    tensors[MLP][0, 0] += 1
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert model.identity().weights_hash.startswith("memory:")


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_model_that_others_loaded_is_that_of_its_checkpoint(checkpoint, family: str) -> None:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoModelForCausalLM

    folder = checkpoint(family)
    expected = load_model(folder, device="cpu").identity()
    as_model(AutoModelForCausalLM.from_pretrained(folder)).require_same(expected)
    as_model(TransformerBridge.boot_transformers(str(folder), device="cpu")).require_same(expected)
    changed = AutoModelForCausalLM.from_pretrained(folder)
    next(changed.parameters()).data.mul_(2)
    assert as_model(changed).fingerprint().weights_hash.startswith("memory:")


def test_a_model_of_no_checkpoint_is_known_by_what_it_holds() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 88, "vocab_size": 99}
    plain = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4)).eval()
    first = as_model(plain).fingerprint()
    assert first.weights_hash.startswith("memory:")
    next(plain.parameters()).data[0, 0] += 1
    assert as_model(plain).fingerprint() != first


def test_weights_that_were_quantised_while_loading_say_so(checkpoint) -> None:
    model = load_model(checkpoint("llama"), device="cpu")
    before = model.identity()
    method = SimpleNamespace(quant_method="bitsandbytes")
    model.original_model.hf_quantizer = SimpleNamespace(quantization_config=method)
    with pytest.raises(ArtifactError, match=r"other weights \(quantised by bitsandbytes\)"):
        model.require_same(before)
    model.original_model.hf_quantizer.pre_quantized = True  # as its checkpoint is
    model.require_same(before)


def test_a_sample_of_weights_is_not_enough(bridge) -> None:
    old = dataclasses.replace(known(bridge("llama")), weights_hash="0" * 64)
    with pytest.raises(ArtifactError, match="older mechsteer knew by a sample") as caught:
        bridge("llama").require_same(old)
    assert "\n" not in str(caught.value)


def test_a_hash_that_is_remembered_is_not_taken_again(checkpoint, tmp_path) -> None:
    folder = own(checkpoint, tmp_path)
    first = load_model(folder, device="cpu").origin.checkpoint
    record = json.loads(json.dumps(first.record()))
    again = load_model(folder, device="cpu").origin.checkpoint
    again.recall(record | {"hash": "checkpoint:told"})
    assert again.hash() == "checkpoint:told"
    (folder / "model.safetensors").touch()
    other = load_model(folder, device="cpu").origin.checkpoint
    other.recall(record | {"hash": "checkpoint:told"})
    assert other.hash() == first.hash()


def test_two_loadings_of_a_checkpoint_are_the_same_model(checkpoint, tmp_path) -> None:
    first = known(load_model(checkpoint("llama"), device="cpu"))
    second = known(load_model(own(checkpoint, tmp_path), device="cpu"))
    assert dataclasses.replace(second, name=first.name) == first


def test_tokenizing_does_not_change_who_a_model_is(checkpoint) -> None:
    model = load_model(checkpoint("llama"), device="cpu")
    before = known(model)
    texts = ["the cat sat", "a"]
    model.plain_tokenizer(texts, padding=True, truncation=True, max_length=2)
    assert known(model) == before


def test_another_weight_is_another_model(checkpoint) -> None:
    model = load_model(checkpoint("gpt2"), device="cpu")
    before = known(model)
    model.blocks[2].mlp.out.original_component.weight.data[0, 0] += 1
    after = known(model)
    assert after.weights_hash != before.weights_hash
    assert after.config_hash == before.config_hash
    with pytest.raises(ArtifactError, match="other weights"):
        model.require_same(before)
    model.require_same(after)


def test_another_configuration_is_another_model(checkpoint, tmp_path) -> None:
    folder = own(checkpoint, tmp_path)
    before = known(load_model(folder, device="cpu"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.1}))
    model = load_model(folder, device="cpu")
    assert known(model).config_hash != before.config_hash
    assert known(model).weights_hash == before.weights_hash
    with pytest.raises(ArtifactError, match="other configuration"):
        model.require_same(before)


def test_another_tokenizer_is_another_model(bridge) -> None:
    model = bridge("llama")
    other = bridge("llama", template="<s> $A </s>").plain_tokenizer
    assert model.identity(other).tokenizer_hash != known(model).tokenizer_hash


def test_words_are_hashed_once_and_again_when_they_change(bridge, monkeypatch) -> None:
    taken: list[Any] = []
    hashed = words._hash
    monkeypatch.setattr(words, "_hash", lambda t: taken.append(t) or hashed(t))
    model = bridge("llama")
    tokenizer = copied(model.plain_tokenizer)
    first = model.identity(tokenizer).tokenizer_hash
    tokenizer(["a", "a longer text"], padding=True, truncation=True, max_length=4)
    assert {model.identity(tokenizer).tokenizer_hash for _ in range(3)} == {first}
    assert len(taken) <= 1
    seen = {first}
    for change in (
        lambda t: t.add_tokens(["wort"]),
        lambda t: t.add_special_tokens({"sep_token": "<sep>"}),
        lambda t: setattr(t.backend_tokenizer, "normalizer", normalizers.Lowercase()),
        lambda t: setattr(t.backend_tokenizer, "post_processor", processors.ByteLevel()),
        lambda t: setattr(t, "bos_token", "<sep>"),
    ):
        change(tokenizer)
        seen.add(model.identity(tokenizer).tokenizer_hash)
    assert len(seen) == 6
    assert words.tokenizer_hash(tokenizer) == hashed(tokenizer)


def test_a_model_of_json_and_back_is_itself(bridge) -> None:
    who = known(bridge("llama"))
    assert type(who)(**json.loads(json.dumps(dataclasses.asdict(who)))) == who
    assert (who.architecture, who.n_layers, who.d_model) == ("LlamaForCausalLM", 3, 32)
