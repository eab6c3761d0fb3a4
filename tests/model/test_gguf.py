"""GGUF files: the model they hold, and one clear line for what is none."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mechsteer.errors import ModelError
from mechsteer.model.gguf.models import dequantise
from mechsteer.model.load import load_model
from mechsteer.model.tokenizer import copied
from mechsteer.model.wrap import wrap

gguf = pytest.importorskip("gguf")
if importlib.util.find_spec("gguf"):
    from tests.model.gguf_made import write_gguf

TEXT = ["the cat sat on the mat", "le chien est à la porte 12"]


@pytest.fixture(scope="module")
def made(checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A GGUF file, made once: ``made("llama", kind="Q8_0")``."""
    root = tmp_path_factory.mktemp("gguf")

    def make(family: str, **options: Any) -> Path:
        path = root / f"{family}-{options.get('kind', 'F32')}.gguf"
        if not path.exists():
            write_gguf(checkpoint(family), path, family, **options)
        return path

    return make


def neurons(model: Any) -> dict[str, Tensor]:
    """Everything that is read of neurons and of the residual stream, for two padded sentences."""
    model.plain_tokenizer.pad_token = "</s>"  # the file names none, and some classes have their own
    inputs = model.plain_tokenizer(TEXT, padding=True, return_tensors="pt")
    seen: dict[str, Tensor] = {}
    handles = [
        point.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out.clone()}))
        for name, point in model.hook_dict.items()
        if name.endswith(("mlp.hook_post", "hook_resid_post", "mlp.hook_pre"))
    ]
    with torch.inference_mode():
        model.run(inputs["input_ids"], inputs["attention_mask"])
    for handle in handles:
        handle.remove()
    assert seen
    return seen


def equal(first: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return first.keys() == other.keys() and all(torch.equal(first[k], other[k]) for k in first)


ARCHITECTURES = ("llama", "qwen2", "qwen3", "phi3", "stablelm", "gpt2", "starcoder2", "falcon")


@pytest.mark.parametrize("architecture", (*ARCHITECTURES, "nemotron"))
def test_a_file_is_the_model_it_was_made_of(
    architecture: str, made: Any, bridge: Callable[..., Any]
) -> None:
    original, found = bridge(architecture), load_model(made(architecture), device="cpu")
    assert type(found) is type(original)
    assert equal(neurons(found), neurons(original))


@pytest.mark.parametrize("kind", ("BF16", "Q4_1", "Q5_0", "Q8_0"))
def test_file_folder_and_transformers_agree_bit_for_bit(
    kind: str, made: Any, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = made("llama", kind=kind)
    options = {"attn_implementation": "eager", "dtype": torch.float32}
    words = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    plain = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, **options)
    found, folder = load_model(path, device="cpu"), dequantise(path, tmp_path / "folder")
    again = AutoModelForCausalLM.from_pretrained(folder, **options)
    expected = neurons(found)
    assert equal(neurons(load_model(folder, device="cpu")), expected)
    for model in (plain, again):
        own = neurons(wrap(model.eval(), words))
        assert equal(own, {name: expected[name] for name in own})
    assert kind in found.identity().gguf


def test_the_file_and_its_folder_are_one_model(made: Any, tmp_path: Path) -> None:
    path = made("qwen2", kind="Q8_0", pre="qwen2")
    who = load_model(path, device="cpu").identity()
    assert who.weights_hash == f"checkpoint:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert who.gguf == f"{path.name} (20 Q8_0, 19 F32)"
    folder = dequantise(path, tmp_path / "folder")
    model = load_model(folder, device="cpu")
    same = model.identity()
    assert {**vars(same), "name": ""} == {**vars(who), "name": ""}
    model.require_same(who)
    with torch.no_grad():
        next(model.original_model.parameters()).add_(1)
    changed = model.identity()
    assert changed.gguf == "" and changed.weights_hash.startswith("memory:")


def test_a_folder_of_other_weights_is_not_that_of_the_file(made: Any, tmp_path: Path) -> None:
    folder = dequantise(made("llama", kind="Q8_0"), tmp_path / "folder")
    other = dequantise(made("llama", kind="Q4_0"), tmp_path / "other")
    (other / "gguf.json").write_bytes((folder / "gguf.json").read_bytes())
    who = load_model(other, device="cpu").identity()
    assert who.gguf == "" and who.weights_hash.startswith("checkpoint:")


def test_words_are_those_of_the_checkpoint(made: Any, bridge: Callable[..., Any]) -> None:
    own, found = bridge("llama").plain_tokenizer, load_model(made("llama")).plain_tokenizer
    texts = [*TEXT, "  two  spaces 2024", "<s> special", "кошка 猫 \n\t", ""]
    assert found(texts)["input_ids"] == own(texts)["input_ids"]


def test_what_lies_beside_a_file_is_not_read(
    made: Any, bridge: Callable[..., Any], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    other = checkpoint("gpt2", template="$A </s>")
    for path in other.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = write(tmp_path / "m.gguf", made("llama").read_bytes())
    model = load_model(path, device="cpu")
    assert model.cfg.architecture == "LlamaForCausalLM"
    words = copied(model.plain_tokenizer)
    assert words(TEXT)["input_ids"] == bridge("llama").plain_tokenizer(TEXT)["input_ids"]


def test_digits_stand_alone_where_the_file_says_so(checkpoint: Any, tmp_path: Path) -> None:
    path = write_gguf(checkpoint("llama"), tmp_path / "m.gguf", "llama", pre="smollm")
    words = load_model(path, device="cpu").plain_tokenizer
    pieces = [piece for piece, _ in words.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a  12")]
    assert pieces == ["a", "ĠĠ", "1", "2"]


def test_an_unknown_way_to_split_words_is_said(checkpoint: Any, tmp_path: Path) -> None:
    path = write_gguf(checkpoint("llama"), tmp_path / "m.gguf", "llama", pre="never-heard-of")
    with pytest.warns(UserWarning, match="'never-heard-of'"):
        load_model(path, device="cpu")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"rope.freq_base": 500_000.0}, None),  # of llama, which transformers reads
        ({"rope.scaling.type": "yarn"}, "rotary positions are scaled"),
        ({"attention.layer_norm_rms_epsilon": 1e-3}, None),
    ],
)
def test_settings_are_kept_or_refused(
    settings: dict[str, Any], named: str | None, checkpoint: Any, tmp_path: Path
) -> None:
    path = write_gguf(checkpoint("llama"), tmp_path / "m.gguf", "llama", settings=settings)
    if named is None:
        load_model(path, device="cpu")
        return
    with pytest.raises(ModelError, match=named):
        load_model(path, device="cpu")


def test_a_setting_that_transformers_forgets_is_refused(checkpoint: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write_gguf(checkpoint("starcoder2"), path, "starcoder2", settings={"rope.freq_base": 999999.0})
    with pytest.raises(ModelError, match=r"rope\.freq_base = 999999, and transformers takes 10000"):
        load_model(path, device="cpu")


@pytest.mark.parametrize(
    "settings", [{"block_count": 10**9}, {"feed_forward_length": 2**31}, {"block_count": 0}]
)
def test_sizes_that_the_file_does_not_hold_are_refused(
    checkpoint: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    path = write_gguf(checkpoint("llama"), tmp_path / "m.gguf", "llama", settings=settings)
    with pytest.raises(ModelError) as caught:
        load_model(path, device="cpu")
    assert next(iter(settings)) in str(caught.value) or "holds" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tensor_that_transformers_forgets_is_refused(checkpoint: Any, tmp_path: Path) -> None:
    extra = {"rope_freqs.weight": np.ones(4, np.float32)}
    path = write_gguf(checkpoint("llama"), tmp_path / "m.gguf", "llama", extra=extra)
    with pytest.raises(ModelError, match=r"4 weights more than LlamaForCausalLM .*rope_freqs"):
        load_model(path, device="cpu")


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda folder, whole: folder / "none.gguf", "found none"),
        (lambda folder, whole: write(folder / "m.gguf", b""), "is empty"),
        (lambda folder, whole: write(folder / "m.gguf", b"<html>no</html>"), "begins with b'<htm'"),
        (lambda folder, whole: write(folder / "m.gguf", b"GGUF\3\0\0\0" + b"\xff" * 99), "damaged"),
        (lambda folder, whole: write(folder / "m.gguf", whole[:-40]), "cut off or damaged"),
        (lambda folder, whole: write(folder / "m.gguf", whole[:3000]), "cut off or damaged"),
        (lambda folder, whole: write(folder / "m.gguf", whole[:30]), "cut off or damaged"),
        (
            lambda folder, whole: write(folder / "m-00001-of-00002.gguf", whole),
            "--merge m-00001-of-00002.gguf m.gguf",
        ),
        (lambda folder, whole: write(folder / "m.bin", whole), r"does not end in \.gguf"),
        (lambda folder, whole: write(folder / "m.txt", b"text"), "a file of another kind"),
        (lambda folder, whole: write(folder / "m.gguf", whole).parent, "but with m.gguf"),
    ],
)
def test_what_is_no_whole_file_is_refused_in_one_line(
    make: Callable[[Path, bytes], Path], named: str, made: Any, tmp_path: Path
) -> None:
    path = make(tmp_path, made("llama").read_bytes())
    for given in (path, str(path)):
        with pytest.raises(ModelError, match=named) as caught:
            load_model(given)
        assert "\n" not in str(caught.value)


def test_a_relative_name_that_is_not_there_is_no_published_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"expected a GGUF file at model\.gguf"):
        load_model("model.gguf")


@pytest.mark.parametrize("architecture", ("controlvector", "rwkv7", "clip", "never-heard-of"))
def test_an_unknown_architecture_is_refused(architecture: str, tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", architecture)
    writer.add_tensor("direction.1", np.ones(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelError, match=f"architecture {architecture!r}.*pip install -U"):
        load_model(tmp_path / "m.gguf")


def test_the_package_gguf_is_asked_for(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made("llama")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ModelError, match=r"pip install 'mechsteer\[gguf\]'"):
        load_model(path)


def test_a_file_has_no_revision(made: Any) -> None:
    with pytest.raises(ModelError, match="leave the revision out"):
        load_model(made("llama"), revision="main")


def test_it_is_verified_and_takes_another_precision(made: Any) -> None:
    model = load_model(made("llama", kind="Q8_0"), device="cpu", dtype=torch.bfloat16, verify=True)
    assert model.dtype == torch.bfloat16


def test_the_library_is_left_as_it_was(made: Any) -> None:
    reader = gguf.GGUFReader
    load_model(made("llama"))
    assert gguf.GGUFReader is reader
