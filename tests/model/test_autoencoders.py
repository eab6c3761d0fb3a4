"""Latents of sparse autoencoders: read, reconstructed, edited, and refused where uncertain."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from mechsteer.errors import SiteError
from mechsteer.interventions import NeuronEdit
from mechsteer.model.derived import load_autoencoder
from mechsteer.model.hooks import read
from mechsteer.model.sites import find_site
from mechsteer.steering import steer
from tests.model.autoencoders import (
    D_IN,
    HOOK,
    KINDS,
    LATENTS,
    LAYOUTS,
    K,
    made_weights,
    reference,
    save,
)

IDS = torch.arange(3, 15).view(2, 6)


def assert_close(found: torch.Tensor, expected: NDArray[Any]) -> None:
    """Equal to a millionth of the largest value."""
    assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.fixture(params=list(product(KINDS, LAYOUTS)), ids=" in ".join)
def made(request, tmp_path: Path) -> tuple[str, bool, dict[str, Any], Path]:
    kind, layout = request.param
    weights = made_weights(kind)
    return kind, layout == "saelens", weights, save(tmp_path, layout, kind, weights)


def run(model: Any, *hooks: str) -> list[torch.Tensor]:
    seen: dict[str, torch.Tensor] = {}
    keep = {hook: lambda z, hook=hook: seen.__setitem__(hook, z.clone()) for hook in hooks}
    with torch.inference_mode():
        read(model, IDS, torch.ones_like(IDS), keep)
    return [seen[hook] for hook in hooks]


def test_latents_and_reconstruction_are_those_of_an_independent_implementation(made) -> None:
    kind, centred, weights, folder = made
    x = np.random.default_rng(0).normal(size=(7, 3, D_IN)).astype(np.float32)
    z, again = reference(kind, weights, x, centred=centred)
    found = load_autoencoder(folder)
    assert 0 < (z > 0).mean() < 0.9
    assert_close(found.encode(torch.from_numpy(x)), z)
    assert_close(found.reconstruct(torch.from_numpy(x)), again)


def test_a_model_is_read_and_edited_through_its_latents(made, bridge) -> None:
    kind, centred, weights, folder = made
    model = bridge("llama")
    site = find_site(model, f"sae:{folder}")
    (point,) = site.points
    assert (point.component, point.layer, point.width) == ("sae", 1, LATENTS)
    h, z = run(model, HOOK, point.hook)
    expected, _ = reference(kind, weights, h.numpy(), centred=centred)
    assert_close(z, expected)
    edit = NeuronEdit("set", site, torch.tensor([4, 9]), a=torch.zeros(2), b=torch.tensor([3.0, 0]))
    with steer(model, edit):
        moved, new = run(model, HOOK, point.hook)
    expected[..., 4], expected[..., 9] = 3, 0
    assert_close(new, expected)
    delta = (expected - z.double().numpy()) @ weights["W_dec"].astype(np.float64)
    assert_close(moved, h.double().numpy() + delta)
    assert torch.equal(run(model, HOOK)[0], h)


def test_an_edit_of_nothing_keeps_every_bit(bridge, tmp_path) -> None:
    model = bridge("llama")
    site = find_site(model, f"sae:{save(tmp_path, 'saelens', 'relu', made_weights('relu'))}")
    edit = NeuronEdit("set", site, torch.arange(4), a=torch.zeros(4), b=torch.full((4,), 7.0))
    same = NeuronEdit("same", site, torch.arange(4), a=torch.ones(4), b=torch.zeros(4))
    logits = model(IDS)
    for nothing in (edit.scaled(0.0), same):
        with steer(model, nothing):
            assert torch.equal(model(IDS), logits)
    (silent,) = (z for z in run(model, site.points[0].hook))
    unmoved = (silent == 0).all(-1).all(0).all(0).nonzero().flatten()[:1]
    zero = NeuronEdit(
        "zero", site, unmoved, a=torch.zeros(len(unmoved)), b=torch.zeros(len(unmoved))
    )
    with steer(model, zero):  # it acts, on latents that are 0 everywhere
        assert torch.equal(model(IDS), logits)
    assert not any("sae" in name for name in model.hook_dict)


@pytest.mark.parametrize("kind", ["relu", "jumprelu", "topk", "gated"])
@pytest.mark.parametrize("norm", ["layer_norm", "constant_norm_rescale"])
def test_an_activation_is_normalised_as_in_training(kind: str, norm: str, tmp_path) -> None:
    weights = made_weights(kind)
    found = load_autoencoder(
        save(tmp_path / "sae", "saelens", kind, weights, normalize_activations=norm)
    )
    x = np.random.default_rng(0).normal(2, 5, size=(7, D_IN)).astype(np.float32)
    if norm == "layer_norm":
        shift, scale = x.mean(-1, keepdims=True), x.std(-1, ddof=1, keepdims=True)
        given = (x - shift) / (scale + 1e-5)
    else:
        shift, scale = 0, np.linalg.norm(x, axis=-1, keepdims=True) / D_IN**0.5
        given = x / scale
    z, again = reference(kind, weights, given, centred=True)
    assert_allclose(found.encode(torch.from_numpy(x)).numpy(), z, rtol=1e-5, atol=1e-5)
    again = again * scale + shift
    assert_allclose(found.reconstruct(torch.from_numpy(x)).numpy(), again, rtol=1e-5, atol=1e-4)
    new = found.encode(torch.from_numpy(x))
    new[:, 3] += 2
    moved = found.write(torch.from_numpy(x), found.encode(torch.from_numpy(x)), new)
    assert_allclose(moved.numpy(), x + 2 * weights["W_dec"][3] * scale, rtol=1e-5, atol=1e-4)


def test_top_k_in_units_of_the_decoder_rows_chooses_by_what_is_written(tmp_path) -> None:
    weights = made_weights("topk")
    folder = save(tmp_path / "sae", "saelens", "topk", weights, rescale_acts_by_decoder_norm=True)
    norms = np.linalg.norm(weights["W_dec"], axis=1)
    same = weights | {
        "W_enc": weights["W_enc"] * norms,
        "b_enc": weights["b_enc"] * norms,
        "W_dec": weights["W_dec"] / norms[:, None],
    }
    x = np.random.default_rng(0).normal(size=(7, D_IN)).astype(np.float32)
    z, again = reference("topk", same, x, centred=True)
    found = load_autoencoder(folder)
    assert_close(found.encode(torch.from_numpy(x)), z)
    assert_close(found.reconstruct(torch.from_numpy(x)), again)


@pytest.mark.parametrize(
    "said",
    [
        {"architecture": "standard", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}},
        {"architecture": "topk", "k": K, "hook_name": None, "metadata": {"hook_name": HOOK}},
        {"architecture": "topk", "k": float(K), "hook_name": None, "hook_point": HOOK},
    ],
)
def test_older_and_newer_settings_say_the_same(said: dict[str, Any], tmp_path) -> None:
    weights = made_weights("topk")
    plain = load_autoencoder(save(tmp_path / "plain", "saelens", "topk", weights))
    other = load_autoencoder(save(tmp_path / "other", "saelens", "topk", weights, **said))
    assert other.digest == plain.digest


@pytest.mark.parametrize(
    ("layout", "kind", "said", "message"),
    [
        ("saelens", "relu", {"architecture": "transcoder"}, "architecture 'transcoder' is not"),
        ("saelens", "relu", {"architecture": ["topk"]}, r"architecture \['topk'\] is not read"),
        ("saelens", "relu", {"architecture": "topk"}, "expected a whole number k"),
        ("saelens", "topk", {"k": 2.5}, "expected a whole number k"),
        ("saelens", "topk", {"k": LATENTS + 1}, f"k from 1 to {LATENTS}, got {LATENTS + 1}"),
        ("saelens", "relu", {"architecture": "jumprelu"}, "no threshold of a jumprelu"),
        ("saelens", "relu", {"architecture": "gated"}, "no b_gate, b_mag, r_mag of a gated"),
        ("saelens", "relu", {"activation_fn_str": "tanh-relu"}, "activation_fn 'tanh-relu'"),
        ("saelens", "relu", {"d_in": 64}, r"W_enc is \[32, 48\].*= \[64, 48\]"),
        ("saelens", "relu", {"normalize_activations": "expected_average_only_in"}, "fold it into"),
        ("saelens", "relu", {"hook_head_index": 2}, "one attention head alone"),
        ("saelens", "relu", {"hook_name_out": "blocks.1.hook_mlp_out"}, "a transcoder"),
        ("saelens", "relu", {"hook_name": None}, "does not say what it reads.*@blocks"),
        ("saelens", "relu", {"hook_name": "blocks.3.hook_resid_post"}, "made for another model"),
        ("saelens", "relu", {"hook_name": "decoder_blocks.1.hook_resid_post"}, "another model"),
        (
            "saelens",
            "relu",
            {"hook_name": "blocks.1.hook_mlp_out"},
            "reads 'blocks.1.hook_mlp_out'",
        ),
        ("saelens", "relu", {"hook_name": "hook_embed"}, "reads 'hook_embed', expected blocks"),
        ("saelens", "relu", {"hook_name": "blocks.1.mlp.hook_post"}, "takes 32 numbers.* has 88"),
        ("gemma scope", "relu", {"architecture": None, "width": 9}, "no threshold of a JumpReLU"),
        ("gemma scope 2", "jumprelu", {"type": "crosscoder"}, "is of type 'crosscoder'"),
        ("saelens", "relu", {"apply_b_dec_to_input": "false"}, "true or false, got 'false'"),
        ("saelens", "relu", {"metadata": {"hook_name": "hook_embed"}}, "under metadata, another"),
        ("saelens", "relu", {"metadata": [1]}, "is no JSON object"),
        ("saelens", "relu", {"d_out": 64}, "a transcoder"),
        ("saelens", "relu", {"hook_layer": 0}, "hook_layer is 0, and reads blocks.1"),
        ("saelens", "jumprelu", {"activation_fn": "topk"}, "'jumprelu' and .* 'topk' differ"),
        ("saelens", "relu", {"rescale_acts_by_decoder_norm": True}, "is read of 'topk'"),
        ("gemma scope 2", "jumprelu", {"hf_hook_point_out": "elsewhere"}, "a transcoder"),
    ],
)
def test_settings_that_are_not_certain_are_refused(
    layout: str, kind: str, said: dict[str, Any], message: str, *, bridge, tmp_path
) -> None:
    folder = save(tmp_path, layout, kind, made_weights(kind), **said)
    with pytest.raises(SiteError, match=message):
        find_site(bridge("llama"), f"sae:{folder}")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["W_enc", "W_dec", "b_enc", "b_dec", "threshold"])
def test_missing_and_misshapen_weights_are_refused(layout: str, name: str, tmp_path) -> None:
    whole = made_weights("jumprelu")
    lacking = {key: weight for key, weight in whole.items() if key != name}
    if name != "W_enc":
        folder = save(tmp_path / "lacking", layout, "jumprelu", lacking)
        with pytest.raises(SiteError, match=f"no {name} of a jumprelu|no threshold"):
            load_autoencoder(folder)
    longer = {**lacking, name: np.concatenate([whole[name], whole[name][:1]])}
    folder = save(tmp_path / "longer", layout, "jumprelu", longer)
    with pytest.raises(SiteError, match="expected"):
        load_autoencoder(folder)
    holed = {**lacking, name: np.full_like(whole[name], np.nan)}
    folder = save(tmp_path / "holed", layout, "jumprelu", holed)
    with pytest.raises(SiteError, match=f"{name} is not finite"):
        load_autoencoder(folder)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_no_autoencoder_by_its_weights_or_place_is_refused(layout: str, tmp_path) -> None:
    whole = made_weights("jumprelu")
    for name, weight, said in (
        ("W_skip", np.zeros((D_IN, D_IN), np.float32), "W_skip beside the weights"),
        ("b_enc", np.ones(LATENTS, np.int32), "b_enc is torch.int32, expected floats"),
    ):
        with pytest.raises(SiteError, match=said):
            load_autoencoder(save(tmp_path / name, layout, "jumprelu", {**whole, name: weight}))
    if layout != "saelens":
        folder = save(tmp_path / "gemma-scope-2b-pt-transcoders", layout, "jumprelu", whole)
        with pytest.raises(SiteError, match="lies in gemma-scope-2b-pt-transcoders"):
            load_autoencoder(folder)


def test_a_decoder_row_of_nothing_writes_nothing(tmp_path) -> None:
    weights = made_weights("topk")
    weights["W_dec"][:] = 0
    folder = save(tmp_path, "saelens", "topk", weights, rescale_acts_by_decoder_norm=True)
    again = load_autoencoder(folder).reconstruct(torch.ones(2, D_IN))
    assert torch.equal(again, torch.from_numpy(weights["b_dec"]).expand(2, -1))


def test_what_is_no_folder_of_an_autoencoder_is_refused(tmp_path) -> None:
    with pytest.raises(SiteError, match=r"is no folder: expected site 'sae:FOLDER'"):
        load_autoencoder(tmp_path / "nowhere")
    (tmp_path / "ae.pt").write_bytes(b"")
    with pytest.raises(SiteError, match=r"holds ae.pt: expected one of sae_weights"):
        load_autoencoder(tmp_path)
    (tmp_path / "params.npz").write_bytes(b"no archive")
    with pytest.raises(SiteError, match=r"params.npz cannot be read"):
        load_autoencoder(tmp_path)
    (tmp_path / "sae_weights.safetensors").write_bytes(b"")
    with pytest.raises(SiteError, match=r"holds sae_weights.safetensors, params.npz"):
        load_autoencoder(tmp_path)
    (tmp_path / "params.npz").unlink()
    with pytest.raises(SiteError, match=r"without cfg\.json"):
        load_autoencoder(tmp_path)
    (tmp_path / "cfg.json").write_text("[1]")
    with pytest.raises(SiteError, match="is no JSON object"):
        load_autoencoder(tmp_path)


def test_one_of_another_width_was_made_for_another_model(bridge, tmp_path) -> None:
    folder = save(tmp_path, "saelens", "relu", made_weights("relu", d_in=40))
    with pytest.raises(SiteError, match=r"takes 40 numbers.*has 32: it was made for another model"):
        find_site(bridge("llama"), f"sae:{folder}")


def test_the_hook_point_can_be_said_and_must_not_differ(bridge, tmp_path) -> None:
    model, weights = bridge("llama"), made_weights("relu")
    silent = save(tmp_path / "a@b", "saelens", "relu", weights, hook_name=None)
    for said, layer, base in (
        ("blocks.2.hook_resid_pre", 2, HOOK),
        ("blocks.0.hook_resid_pre", 0, "blocks.0.hook_resid_pre"),
        ("blocks.2.hook_resid_post", 2, "blocks.2.hook_resid_post"),
        ("model.layers.0.output", 0, "blocks.0.hook_resid_post"),
    ):
        (point,) = find_site(model, f"sae:{silent}@{said}").points
        assert (point.layer, point.hook.partition(".sae:")[0]) == (layer, base)
    loud = save(tmp_path / "loud", "saelens", "relu", weights)
    assert find_site(model, f"sae:{loud}@{HOOK}").points == find_site(model, f"sae:{loud}").points
    with pytest.raises(SiteError, match=r"reads blocks\.1\.hook_resid_post by its own files"):
        find_site(model, f"sae:{loud}@blocks.0.hook_resid_post")


def test_another_autoencoder_in_the_same_folder_is_another_site(bridge, tmp_path) -> None:
    model, weights = bridge("llama"), made_weights("relu")
    folder = save(tmp_path / "sae", "saelens", "relu", weights)
    site = find_site(model, f"sae:{folder}")
    edit = NeuronEdit("zero", site, torch.tensor([1]), a=torch.zeros(1), b=torch.ones(1))
    save(tmp_path / "new", "saelens", "relu", weights | {"b_dec": weights["b_dec"] + 1})
    for file in (tmp_path / "new").iterdir():
        file.replace(folder / file.name)
    with pytest.raises(SiteError, match="made for another"), steer(model, edit):
        pass
    with pytest.raises(SiteError, match="holds another autoencoder than it did"):
        run(model, site.points[0].hook)
