"""A damaged checkpoint folder is refused by the name of the file and what is wrong with it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from mechsteer.errors import ModelError
from mechsteer.model.folder import flaw, require_whole, weight_files
from mechsteer.model.load import load_model

INDEX = "model.safetensors.index.json"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n"
Damage = Callable[[Path], object]


def cut(name: str, size: int) -> Damage:
    return lambda d: (d / name).write_bytes((d / name).read_bytes()[:size])


def holds(name: str, content: bytes) -> Damage:
    return lambda d: (d / name).write_bytes(content)


def linked(name: str) -> Damage:
    return lambda d: ((d / name).unlink(), (d / name).symlink_to("/nowhere"))


def indexed(**changes: object) -> Damage:
    def change(d: Path) -> None:
        content = json.loads((d / INDEX).read_text())
        content["weight_map"] |= {k.replace("__", "."): v for k, v in changes.items()}
        (d / INDEX).write_text(json.dumps(content))

    return change


@pytest.fixture(scope="module")
def sharded(checkpoint, tmp_path_factory) -> Path:
    from transformers import AutoModelForCausalLM

    folder = copytree(checkpoint("llama"), tmp_path_factory.mktemp("sharded") / "llama")
    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="90KB")
    return folder


WHOLE = [
    (cut("model.safetensors", 5000), r"model\.safetensors has 5,000 bytes, and its header says"),
    (cut("model.safetensors", 4), r"model\.safetensors is cut off"),
    (cut("model.safetensors", 0), r"model\.safetensors is empty"),
    (holds("model.safetensors", LFS), r"model\.safetensors is a pointer of Git LFS.*git lfs pull"),
    (holds("model.safetensors", b"\5" + bytes(7) + b"{[]}}"), r"model\.safetensors is no safetens"),
    (linked("model.safetensors"), r"model\.safetensors is a link to nothing"),
    (holds("config.json", b"[]"), r"config\.json holds a list"),
    (holds("config.json", b"{}"), r"config\.json names no model_type"),
    (holds("config.json", b"\xff\xfe\0"), r"config\.json is no valid JSON"),
    (cut("config.json", 0), r"config\.json is empty"),
    (cut("config.json", 60), r"config\.json is no valid JSON"),
    (cut("tokenizer.json", 900), r"tokenizer\.json is no valid JSON"),
    (holds("tokenizer.json", LFS), r"tokenizer\.json is a pointer of Git LFS"),
    (cut("tokenizer_config.json", 0), r"tokenizer_config\.json is empty"),
    (
        lambda d: (d / "model.safetensors").rename(d / "model.fp16.safetensors"),
        r"no weights of a name that transformers reads, but model\.fp16\.safetensors",
    ),
    (lambda d: (d / "model.safetensors").unlink(), r"the folder has no weights"),
]
SHARDS = [
    (lambda d: shard(d).unlink(), r"00001-of-\d+\.safetensors is missing, which model.*index"),
    (lambda d: shard(d).write_bytes(LFS), r"00001-of-\d+\.safetensors is a pointer of Git LFS"),
    (lambda d: os.truncate(shard(d), 3000), r"00001-of-\d+\.safetensors has 3,000 bytes"),
    (lambda d: os.truncate(shard(d), 0), r"00001-of-\d+\.safetensors is empty"),
    (cut(INDEX, 40), r"index\.json is no valid JSON"),
    (cut(INDEX, 0), r"index\.json is empty"),
    (holds(INDEX, b"{}"), r"index\.json names no files of tensors"),
    (holds(INDEX, b'{"weight_map": [1]}'), r"index\.json names no files of tensors"),
    (indexed(a__b="../x.safetensors"), r"names '\.\./x\.safetensors', which is not in the folder"),
    (indexed(a__b="x.safetensors"), r"x\.safetensors is missing, which"),
    (lambda d: indexed(a__b=shard(d).name)(d), r"holds a\.b, which it does not"),
    (lambda d: (d / INDEX).unlink(), r"index\.json is not: copy it too"),
]


def shard(folder: Path) -> Path:
    return min(folder.glob("model-*.safetensors"))


@pytest.mark.parametrize(("damage", "reason"), WHOLE)
def test_a_damaged_folder_is_named(checkpoint, tmp_path, damage: Damage, reason: str) -> None:
    folder = copytree(checkpoint("llama"), tmp_path / "copy")
    damage(folder)
    with pytest.raises(ModelError, match=reason) as caught:
        load_model(folder, device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("damage", "reason"), SHARDS)
def test_damaged_shards_are_named(sharded, tmp_path, damage: Damage, reason: str) -> None:
    folder = copytree(sharded, tmp_path / "copy")
    damage(folder)
    with pytest.raises(ModelError, match=reason) as caught:
        require_whole(folder)
    assert "\n" not in str(caught.value)


def test_a_whole_folder_has_no_flaw(checkpoint, sharded) -> None:
    assert flaw(checkpoint("llama")) is None
    assert flaw(sharded) is None
    assert weight_files(sharded) == tuple(sorted(sharded.glob("model-*.safetensors")))


def test_a_bin_that_is_cut_off_is_named(checkpoint, tmp_path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = copytree(checkpoint("llama"), tmp_path / "copy")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert flaw(folder) is None
    os.truncate(folder / "pytorch_model.bin", 9000)
    with pytest.raises(ModelError, match=r"pytorch_model\.bin is cut off"):
        load_model(folder, device="cpu")
