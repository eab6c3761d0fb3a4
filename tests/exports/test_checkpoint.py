"""Checkpoints with edits in their weights, beside the hooked model and beside exact arithmetic."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import mechsteer as ms
from mechsteer.exports import checkpoint
from mechsteer.exports.baking import bake
from mechsteer.exports.constant import constants
from mechsteer.exports.plain import plain_copy
from mechsteer.interventions import Edit, NeuronEdit
from mechsteer.model.sites import find_site
from tests.exports.by_hand import clamped, exact, logits, own_rounding, shifted
from tests.families.checkpoints import save_checkpoint

# a bias that is there, one by a switch, of a parallel attention; both stacks
FAMILIES = ("gpt2", "llama", "cohere", "m2m100")
Made = Callable[..., Any]


@pytest.mark.parametrize("family", FAMILIES)
def test_baked_weights_are_the_edits_in_exact_arithmetic(bridge: Made, family: str) -> None:
    model = bridge(family)
    edits: list[Edit] = [clamped(model, strength=0.5), clamped(model), shifted(model)]
    for chosen in (edits[:1], edits[1:]):
        wanted = exact(model, chosen)
        baked = bake(model, plain_copy(model).double(), constants(chosen)).plain
        assert (logits(baked) - wanted).abs().max() <= 1e-12 * wanted.abs().max()
    plainly = logits(plain_copy(model).double())
    assert (plainly - wanted).abs().max() > 1e-4 * wanted.abs().max()  # they do something


@pytest.mark.parametrize(
    ("family", "dtype"),
    [
        ("llama", "float32"),
        ("bert_model", "bfloat16"),
    ],
)
def test_a_checkpoint_is_the_hooked_model_within_twice_its_rounding(
    checkpoint: Made, family: str, dtype: str, tmp_path: Path
) -> None:
    model = ms.load_model(checkpoint(family), device="cpu", dtype=getattr(torch, dtype))
    edits = [clamped(model), shifted(model)][: 1 if dtype == "bfloat16" else 2]
    made = ms.exports.checkpoint(model, edits, tmp_path / "baked")
    assert made.ulps is not None and made.ulps <= 2 * max(own_rounding(model, edits), 1.0)
    if dtype == "bfloat16":
        assert made.ulps <= 2.0


@pytest.fixture(scope="module")
def written(bridge: Made, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Baked folders, prompts, and what the hooked models write after them, greedily."""
    found: dict[str, Any] = {}
    for family, make in (("qwen2", clamped), ("m2m100", clamped), ("gemma3", shifted)):
        model, folder = bridge(family), tmp_path_factory.mktemp("baked") / family
        edit = make(model)
        checkpoint(model, edit, folder, verify=False)
        ids = torch.tensor([[5, 40, 77, 120]])
        with ms.steer(model, edit), torch.inference_mode():
            hooked = model.original_model.generate(ids, max_new_tokens=12, do_sample=False)
        found[family] = (str(folder), ids.tolist(), hooked.tolist())
    return found


def test_a_folder_opens_in_the_attention_that_was_compared(written: dict[str, Any]) -> None:
    for folder, _, _ in written.values():
        config = transformers.AutoConfig.from_pretrained(folder)
        hf = getattr(transformers, config.architectures[0]).from_pretrained(folder)
        assert hf.config._attn_implementation == "eager"


_WITHOUT = """
import json, sys
sys.modules["mechsteer"] = sys.modules["transformer_lens"] = None  # as if not installed
import torch, transformers
for folder, ids, _ in json.loads(sys.argv[1]).values():
    config = transformers.AutoConfig.from_pretrained(folder)
    model = getattr(transformers, config.architectures[0]).from_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(folder)
    print(model.eval().generate(torch.tensor(ids), max_new_tokens=12, do_sample=False).tolist())
"""


def test_plain_transformers_writes_the_hooked_models_text(
    written: dict[str, Any], tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _WITHOUT, json.dumps(written)],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [json.loads(line) for line in ran.stdout.splitlines()] == [
        text for _, _, text in written.values()
    ]


@pytest.mark.parametrize("family", ["gemma3"])
def test_what_scales_alone_needs_no_bias(bridge: Made, family: str, tmp_path: Path) -> None:
    model = bridge(family)
    damped = replace(clamped(model), a=torch.full((12,), 0.25), b=torch.zeros(12))
    made = checkpoint(model, damped, tmp_path / "baked")
    assert made.switches == () and made.carriers == ()
    baked = bake(model, plain_copy(model).double(), constants([damped])).plain
    wanted = exact(model, [damped])
    assert (logits(baked) - wanted).abs().max() <= 1e-12 * wanted.abs().max()


def test_more_neurons_are_a_constant_where_nothing_has_a_bias(
    checkpoint: Made, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, Gemma3ForCausalLM

    folder = checkpoint("gemma3")
    hf = Gemma3ForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    # a norm that lets the MLP see nothing of a dimension, as Gemma 3 has them
    hf.model.layers[1].pre_feedforward_layernorm.weight.data[7] = -1
    model = ms.wrap(hf, tokenizer=AutoTokenizer.from_pretrained(folder))
    with pytest.raises(ms.MechsteerError, match=r"\(--widen\), 64 more neurons"):
        ms.exports.checkpoint(model, clamped(model), tmp_path / "baked")
    wide = {"widen": True, "tolerance": 32.0}
    made = ms.exports.checkpoint(model, clamped(model), tmp_path / "baked", **wide)
    assert made.widened == 64 and made.switches == ("intermediate_size",)
    assert made.ulps is not None and made.ulps < 32
    again = Gemma3ForCausalLM.from_pretrained(tmp_path / "baked")
    assert again.model.layers[0].mlp.gate_proj.weight.shape == (88 + 64, 32)


@pytest.mark.parametrize(("family", "table"), [("gpt2", "wpe"), ("llama", "embed_tokens")])
def test_the_embedding_can_be_moved_and_the_words_stay(
    bridge: Made, family: str, table: str
) -> None:
    model = bridge(family)
    edit = shifted(model, slice(0, 1))
    baked = bake(model, plain_copy(model).double(), constants([edit]), layers=False)
    assert baked.carriers[0].endswith(table)
    wanted = exact(model, [edit])
    assert (logits(baked.plain) - wanted).abs().max() <= 1e-12 * wanted.abs().max()


def test_a_final_norm_with_a_bias_carries_a_shift(bridge: Made) -> None:
    model = bridge("gpt2")
    edit = shifted(model, slice(-1, None))
    baked = bake(model, plain_copy(model).double(), constants([edit])).plain
    wanted = exact(model, [edit])
    assert (logits(baked) - wanted).abs().max() <= 1e-12 * wanted.abs().max()


@pytest.mark.parametrize("component", ["down"])
def test_outputs_of_linear_modules_are_rows(bridge: Made, component: str, tmp_path: Path) -> None:
    model = bridge("llama")
    site = find_site(model, "linear")
    first = site.offsets[[point.component for point in site.points].index(component)]
    edit = NeuronEdit("c", site, torch.tensor([first + 3]), torch.zeros(1), torch.full((1,), 0.5))
    made = checkpoint(model, edit, tmp_path / "baked")
    assert made.switches == ("mlp_bias",) and made.ulps is not None and made.ulps < 20
    assert made.carriers[0].endswith(f"{component}_proj")


def test_edits_of_one_point_act_one_after_the_other(bridge: Made) -> None:
    model = bridge("llama")
    first, second = clamped(model), replace(clamped(model), a=torch.full((12,), 0.5))
    (part,) = (p for p in constants([first, second]) if p.point.layer == 0)
    moved = first.index[first.index < part.point.width]
    assert torch.equal(part.a[moved], torch.zeros(len(moved)).double())
    expected = 1.5 * first.b[first.index < part.point.width].double()
    assert torch.allclose(part.b[moved], expected, rtol=1e-12, atol=0)


def test_the_model_and_its_weights_stay_as_they_were(bridge: Made, tmp_path: Path) -> None:
    model = bridge("bert_model")
    before = {name: p.clone() for name, p in model.original_model.named_parameters()}
    checkpoint(model, clamped(model), tmp_path / "baked")
    after = dict(model.original_model.named_parameters())
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_model_in_memory_is_exported_with_the_weights_it_has(
    checkpoint: Made, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, LlamaForCausalLM

    folder = checkpoint("llama")
    hf = LlamaForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    hf.model.layers[0].mlp.down_proj.weight.data *= 1.5
    model = ms.wrap(hf, tokenizer=AutoTokenizer.from_pretrained(folder))
    made = ms.exports.checkpoint(model, clamped(model), tmp_path / "baked")
    again = LlamaForCausalLM.from_pretrained(tmp_path / "baked")
    assert made.ulps is not None and made.ulps < 20
    kept = again.model.layers[0].mlp.down_proj.weight[:, 5]
    assert torch.equal(kept, hf.model.layers[0].mlp.down_proj.weight[:, 5])


def test_a_wrapped_models_final_norm_carries_a_shift(checkpoint: Made, tmp_path: Path) -> None:
    hf = transformers.GPT2LMHeadModel.from_pretrained(checkpoint("gpt2")).eval()
    model = ms.wrap(hf, tokenizer=transformers.AutoTokenizer.from_pretrained(checkpoint("gpt2")))
    made = ms.exports.checkpoint(model, shifted(model, slice(-1, None)), tmp_path / "baked")
    assert made.carriers == ("transformer.ln_f",) and made.ulps == 0


@pytest.mark.parametrize("family", ["bert_model", "bart"])
def test_two_rows_of_one_point_are_one_vector(bridge: Made, family: str, tmp_path: Path) -> None:
    model = bridge(family)
    made = ms.exports.checkpoint(model, shifted(model, slice(-2, None)), tmp_path / "both")
    assert made.ulps is not None and made.ulps <= 2.0
    alone = ms.exports.checkpoint(model, shifted(model, slice(-2, -1)), tmp_path / "alone")
    assert made.carriers == alone.carriers


def test_a_model_with_a_head_for_whole_texts_is_compared_by_that(
    checkpoint: Made, tmp_path: Path
) -> None:
    kind, folder = transformers.BertForSequenceClassification, checkpoint("bert_model")
    hf = kind.from_pretrained(folder, num_labels=5, attn_implementation="eager").eval()
    model = ms.wrap(hf, tokenizer=transformers.AutoTokenizer.from_pretrained(folder))
    edits = [clamped(model), shifted(model)]
    made = ms.exports.checkpoint(model, edits, tmp_path / "baked")
    assert made.ulps is not None and made.ulps <= 2.0
    again, ids = kind.from_pretrained(tmp_path / "baked").eval(), torch.arange(3, 15).view(2, 6)
    with ms.steer(model, *edits), torch.inference_mode():
        wanted = hf(ids).logits
    with torch.inference_mode():
        found, plainly = again(ids).logits, hf(ids).logits
    assert torch.allclose(found, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))
    assert found.shape == (2, 5) and not torch.allclose(found, plainly, rtol=0, atol=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_tokenizer_pads_where_it_did(checkpoint: Made, side: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint("llama"), tmp_path / "model"))
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"padding_side": side}))
    model = ms.load_model(folder, device="cpu")
    ms.exports.checkpoint(model, clamped(model), tmp_path / "baked", verify=False)
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "baked").padding_side == side
    assert model.plain_tokenizer.padding_side == "right"


def test_a_link_to_an_empty_folder_is_filled(bridge: Made, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    checkpoint(bridge("llama"), clamped(bridge("llama")), tmp_path / "link", verify=False)
    assert (tmp_path / "real" / "config.json").is_file() and (tmp_path / "link").is_symlink()


def test_a_distance_that_an_edit_makes_larger_is_the_models_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint("gptneo", tmp_path / "model")
    model = ms.load_model(tmp_path / "model", device="cpu")  # a bridge sums elsewhere
    made = checkpoint(model, shifted(model), tmp_path / "baked", tolerance=0.1)
    assert made.ulps is not None and made.ulps == pytest.approx(made.own, rel=1e-5)
    module = sys.modules["mechsteer.exports.checkpoint"]
    monkeypatch.setattr(module, "carried_distance", lambda *_: 0.0)
    with pytest.raises(ms.MechsteerError, match=r"0\.1 are allowed"):
        checkpoint(model, shifted(model), tmp_path / "again", tolerance=0.1)
