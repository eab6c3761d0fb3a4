"""Models with adapters: PEFT's models and folders, and low-rank parts beside a linear module."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mechsteer as ms
from mechsteer.errors import ModelError
from mechsteer.model import peft_models
from tests.model.plain_models import hugging_face


@pytest.fixture(scope="module")
def folder(checkpoint: Callable[..., Path]) -> Path:
    return checkpoint("llama")


class LoRA(nn.Module):
    """A linear module with a low-rank part beside it, as PEFT's are made."""

    def __init__(self, base: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.in_features, self.out_features = base.in_features, base.out_features
        self.base_layer = base
        self.lora_A = nn.ModuleDict({"own": nn.Linear(base.in_features, rank, bias=False)})
        self.lora_B = nn.ModuleDict({"own": nn.Linear(rank, base.out_features, bias=False)})
        self.merged, self.disable_adapters, self.active_adapters = False, False, ["own"]

    @property
    def weight(self) -> Tensor:
        return self.base_layer.weight

    def get_delta_weight(self, name: str) -> Tensor:
        return self.lora_B[name].weight @ self.lora_A[name].weight

    def forward(self, x: Tensor) -> Tensor:
        low: Tensor = self.lora_B["own"](self.lora_A["own"](x))
        return self.base_layer(x) + low


def with_lora(folder: Path, *, merged: bool) -> Any:
    model = hugging_face(folder)
    torch.manual_seed(0)
    for layer in model.model.layers:
        lora = LoRA(layer.mlp.down_proj)
        if merged:
            lora.base_layer.weight.data += lora.get_delta_weight("own")
        else:
            layer.mlp.down_proj = lora.eval()
    return model


def test_low_rank_parts_are_read_as_one_module(folder, corpus) -> None:
    apart, merged = (with_lora(folder, merged=how) for how in (False, True))
    found, wanted = (ms.record(each, corpus, progress=False) for each in (apart, merged))
    for point in wanted.points:
        z = wanted.activations(point)
        assert (found.activations(point) - z).abs().max() <= 1e-5 * z.abs().max()
    weights = [ms.wrap(each).stack("").blocks[1].mlp.W_out for each in (apart, merged)]
    assert torch.allclose(*weights, atol=1e-6)


@pytest.fixture
def peft_of_our_own(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with PEFT's classes, as far as they are looked at."""

    class PeftModel(nn.Module):
        def __init__(self, base: Any, *, prompt: bool = False) -> None:
            super().__init__()
            self.base = base
            self.active_adapter = "own"
            kind = types.SimpleNamespace(value="PROMPT_TUNING" if prompt else "LORA")
            config = types.SimpleNamespace(is_prompt_learning=prompt, peft_type=kind)
            self.peft_config = {"own": config}
            self.around = False

        def get_base_model(self) -> Any:
            return self.base

        def forward(self, **inputs: Any) -> Any:
            return self.base.forward(**inputs) if self.around else self.base(**inputs)

        def generate(self, *args: Any, **options: Any) -> Any:
            return self.base.generate(*args, **options)

    module = types.ModuleType("peft")
    module.PeftModel, module.PeftMixedModel = PeftModel, PeftModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "peft", module)
    return module


def test_a_peft_model_is_read_in_place(peft_of_our_own, folder, corpus) -> None:
    model = peft_of_our_own.PeftModel(with_lora(folder, merged=False)).eval()
    wanted = ms.score(with_lora(folder, merged=False), corpus)
    scores = ms.score(model, corpus)
    assert torch.equal(scores.ap, wanted.ap)
    assert scores.model is not None
    assert scores.model.name == f"{folder} + own"
    ids = torch.tensor([[1, 20, 30, 5]])
    plain = model(input_ids=ids).logits
    with ms.steer(model, ms.clamp(scores.top("fra_Latn", 20), value="mean")):
        assert not torch.equal(model(input_ids=ids).logits, plain)
    assert torch.equal(model(input_ids=ids).logits, plain)


def test_learned_prompts_and_a_peft_around_the_hooks_are_refused(peft_of_our_own, folder) -> None:
    with pytest.raises(ModelError, match="PROMPT_TUNING puts learned tokens before the text"):
        ms.wrap(peft_of_our_own.PeftModel(hugging_face(folder), prompt=True).eval())
    around = peft_of_our_own.PeftModel(hugging_face(folder)).eval()
    around.around = True
    with pytest.raises(ModelError, match="pip install -U peft"):
        ms.wrap(around)
    with pytest.raises(ModelError, match="a PEFT model of a Hugging Face model"):
        ms.wrap(peft_of_our_own.PeftModel(nn.Linear(2, 2)).eval())


def adapter_folder(path: Path, base: Any) -> Path:
    path.mkdir()
    (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    return path


def test_an_adapter_folder_without_peft_says_what_to_type(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(peft_models, "find_spec", lambda name: None)
    path = adapter_folder(tmp_path / "adapter", str(folder))
    for source in (path, str(path)):
        with pytest.raises(ModelError, match=r"adapter of .*pip install peft, or save the merged"):
            ms.load_model(source)


def test_an_adapter_folder_that_names_no_base_is_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match="names no base_model_name_or_path"):
        ms.load_model(adapter_folder(tmp_path / "adapter", None))
    broken = adapter_folder(tmp_path / "broken", "x")
    (broken / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"cannot read .*save the adapter again"):
        ms.load_model(broken)


def test_an_adapter_folder_is_its_base_with_the_adapter_merged(folder, corpus, tmp_path) -> None:
    peft = pytest.importorskip("peft", reason="needs peft, which mechsteer can do without")
    base = hugging_face(folder)
    config = peft.LoraConfig(target_modules=["down_proj", "q_proj"], init_lora_weights=False)
    model = peft.get_peft_model(base, config).eval()
    wanted = ms.score(model, corpus)
    model.save_pretrained(tmp_path)
    found = ms.score(tmp_path, corpus)
    assert (found.mean - wanted.mean).abs().max() <= 1e-5 * wanted.mean.abs().max()
    assert {check.verdict for check in ms.self_test(model)} <= {"ok", "not applicable"}
