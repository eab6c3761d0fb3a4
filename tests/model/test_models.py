from __future__ import annotations

import json
import shutil

import pytest
import torch

from mechsteer.errors import ModelError
from mechsteer.model.checkpoint import require_faithful
from mechsteer.model.load import load_model
from mechsteer.model.sites import find_site
from mechsteer.model.wrap import as_model


def own(checkpoint, tmp_path, family="llama", **options):
    """A copy of a checkpoint that a test may change."""
    return shutil.copytree(checkpoint(family, **options), tmp_path / "copy")


def known(model):
    return model.identity()


def test_a_loaded_model_is_in_eval_mode_without_gradients_and_says_nothing(
    checkpoint, capfd
) -> None:
    folder = checkpoint("llama")
    capfd.readouterr()
    model = load_model(folder, device="cpu")
    model.require_eval()
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert capfd.readouterr() == ("", "")


def test_the_cpu_computes_in_float32_whatever_the_checkpoint(checkpoint, tmp_path) -> None:
    from transformers import AutoModelForCausalLM

    folder = own(checkpoint, tmp_path)
    AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    assert known(load_model(folder, device="cpu")).dtype == "float32"
    for dtype in (torch.bfloat16, "bfloat16"):
        assert known(load_model(folder, device="cpu", dtype=dtype)).dtype == "bfloat16"
    for wrong in ("auto", "float", torch.int8):
        with pytest.raises(ModelError, match="expected dtype float32 or bfloat16 or float16, got"):
            load_model(folder, device="cpu", dtype=wrong)


def test_xlm_roberta_loads_as_the_roberta_it_is(bridge) -> None:
    from transformers import AutoModelForMaskedLM

    model = bridge("xlmr")
    plain = AutoModelForMaskedLM.from_pretrained(
        model.cfg.model_name, attn_implementation="eager"
    ).eval()
    ids = torch.tensor([[1, 20, 30, 40, 2]])
    with torch.inference_mode():
        ours = model(ids, attention_mask=torch.ones_like(ids))
        assert torch.equal(ours, plain(ids, attention_mask=torch.ones_like(ids)).logits)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("./nowhere", "found nothing"),
        ("/nowhere/at/all", "found nothing"),
        ("nobody/has-this-model", "HF_HUB_OFFLINE"),
    ],
)
def test_a_model_that_is_not_there_is_refused_in_one_line(
    name: str, reason: str, monkeypatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=reason) as caught:
        load_model(name, device="cpu")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_gated_model_says_how_to_get_in(monkeypatch) -> None:
    from transformers import PreTrainedConfig

    def refuse(*args, **options):
        raise OSError("You are trying to access a gated repo.\nMake sure to have access to it.")

    monkeypatch.setattr(PreTrainedConfig, "get_config_dict", refuse)
    with pytest.raises(
        ModelError, match=r"gated repo; accept its licence.*hf auth login"
    ) as caught:
        load_model("somebody/gated")
    assert "\n" not in str(caught.value)


def test_the_embedded_model_is_the_default_and_goes_by_its_own_name() -> None:
    model = load_model(device="cpu")
    assert known(model).name == "mechsteer/embedded"
    assert find_site(model).n_neurons > 1000


def test_a_folder_without_a_checkpoint_is_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        load_model(tmp_path)


@pytest.mark.parametrize("damage", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_checkpoint_is_refused_in_one_line(checkpoint, tmp_path, damage: str) -> None:
    folder = own(checkpoint, tmp_path)
    content = (folder / damage).read_bytes()
    (folder / damage).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cannot load") as caught:
        load_model(folder, device="cpu")
    assert "\n" not in str(caught.value)


def test_remote_code_is_not_run(checkpoint, tmp_path) -> None:
    folder = own(checkpoint, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text("raise SystemExit('remote code ran')")
    with pytest.raises(ModelError, match="cannot load"):
        load_model(folder, device="cpu")


def test_the_plain_tokenizer_adds_what_the_checkpoint_adds_and_no_more(bridge) -> None:
    model = bridge("llama", template="$A")
    tokenizer = model.plain_tokenizer
    assert tokenizer("the cat")["input_ids"][0] != tokenizer.bos_token_id
    assert tokenizer.padding_side == "right"
    assert tokenizer.pad_token == tokenizer.eos_token


def test_the_tokenizer_of_a_model_of_the_users_own_is_found(checkpoint) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    folder = checkpoint("llama", template="$A")
    bridge = TransformerBridge.boot_transformers(str(folder), device="cpu")
    model = as_model(bridge)
    expected = load_model(folder, device="cpu").plain_tokenizer
    assert model.plain_tokenizer("the cat") == expected("the cat")
    assert as_model(bridge).plain_tokenizer is model.plain_tokenizer


def test_a_model_without_a_tokenizer_asks_for_one() -> None:
    from transformer_lens import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    sizes = {"d_model": 16, "d_head": 8, "n_heads": 2, "n_layers": 2, "n_ctx": 16, "d_mlp": 24}
    config = TransformerBridgeConfig(**sizes, d_vocab=50, act_fn="silu", seed=0)
    with pytest.raises(ModelError, match="pass tokenizer="):
        _ = as_model(TransformerBridge.boot_native(config)).plain_tokenizer


@pytest.mark.parametrize("part", ["model", "layer"])
def test_train_mode_is_refused(checkpoint, part: str) -> None:
    model = load_model(checkpoint("gpt2"), device="cpu")
    (model if part == "model" else model.blocks[1].mlp).train()
    with pytest.raises(ModelError, match=r"model\.eval\(\)"):
        model.require_eval()


def test_compatibility_mode_is_refused_where_the_residual_stream_matters(checkpoint) -> None:
    model = load_model(checkpoint("gpt2"), device="cpu")
    model.require_raw()
    model.enable_compatibility_mode()
    with pytest.raises(ModelError, match="compatibility mode"):
        model.require_raw()


def test_the_context_is_what_positions_allow(bridge) -> None:
    for family in ("llama", "gpt2", "bert", "xlmr"):
        model = bridge(family)
        assert model.context_length(model.plain_tokenizer) == 64


def test_a_tokenizer_may_know_a_shorter_context(bridge) -> None:
    class Short:
        model_max_length = 12

    assert bridge("llama").context_length(Short()) == 12


@pytest.mark.parametrize("family", ["llama", "bloom", "bert", "xlmr", "mt5", "mbart", "mixtral"])
def test_a_bridge_is_verified_against_the_plain_model(checkpoint, family: str) -> None:
    model = load_model(checkpoint(family), device="cpu", verify=True)
    assert not model.training


def test_a_bridge_that_computes_something_else_is_refused(checkpoint) -> None:
    folder = checkpoint("llama")
    model = load_model(folder, device="cpu")
    require_faithful(model, str(folder))
    model.original_model.model.layers[1].self_attn.q_proj.weight.mul_(1.1)
    with pytest.raises(ModelError, match="logits differ by"):
        require_faithful(model, str(folder))
