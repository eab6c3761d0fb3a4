"""What cards say a neuron writes, against plain algebra on the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mechsteer.cards.writes import spelled, vocabulary_logits, written
from mechsteer.model.load import load_model
from mechsteer.model.sites import Site, find_site
from tests.model.autoencoders import made_weights, save


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


def in_words(model: Any, v: Tensor) -> Tensor:
    """Logits of a direction alone behind the final norm, in float64."""
    v, gain = v.double(), model.ln_final._original_component.weight.double()
    alone = gain * v / (v.square().mean() + model.cfg.eps).sqrt()
    return (alone @ model.unembed.W_U.double()).detach()


def latents(model: Any, folder: Path, hook: str, **said: Any) -> tuple[Site, Tensor]:
    """The site of a made autoencoder, and its decoder."""
    width = 256 if "resid" in hook else model.cfg.d_mlp
    weights = made_weights("relu", width)
    save(folder, "saelens", "relu", weights, hook_name=hook, **said)
    return find_site(model, f"sae:{folder}"), torch.from_numpy(weights["W_dec"])


def test_vocabulary_logits_are_the_row_of_w_out_through_norm_and_unembedding(model: Any) -> None:
    point = find_site(model).points[3]
    found = vocabulary_logits(model, point, 5)
    w = model.blocks[3].mlp.W_out[5].double()
    gain = model.ln_final._original_component.weight.double()
    eps = model.cfg.eps
    alone = gain * w / (w.square().mean() + eps).sqrt()
    expected = alone @ model.unembed.W_U.double()
    # float32 against float64 over a sum of 256 terms
    np.testing.assert_allclose(found, expected.detach(), rtol=1e-4, atol=1e-4)


def test_promoted_tokens_are_the_largest_logits(model: Any) -> None:
    tokenizer, point = model.plain_tokenizer, find_site(model).points[0]
    table = written(model, tokenizer, point, 3, count=4)
    logits = vocabulary_logits(model, point, 3)[: len(tokenizer)]
    promoted = table[table["direction"] == "promoted"]
    suppressed = table[table["direction"] == "suppressed"]
    assert promoted["logit"].tolist() == logits.sort(descending=True).values[:4].tolist()
    assert suppressed["logit"].tolist() == logits.sort().values[:4].tolist()


def test_tokens_are_spelled_as_text_or_as_their_bytes(model: Any) -> None:
    tokenizer = model.plain_tokenizer
    whole = tokenizer("日")["input_ids"]
    part = tokenizer.convert_tokens_to_ids("Ã")
    assert "日" in "".join(spelled(tokenizer, whole))
    assert spelled(tokenizer, [part]) == ["<C3>"]


def test_every_byte_has_its_letter() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    from mechsteer.cards.writes import _byte

    assert sorted(map(_byte, ByteLevel.alphabet())) == list(range(256))
    for byte, letter in ((0x20, "Ġ"), (0x0A, "Ċ"), (0xE3, "ã"), (0xAD, "Ń"), (0x41, "A")):
        assert _byte(letter) == byte


@pytest.mark.parametrize("hook", ["hook_resid_pre", "hook_resid_post"])
@pytest.mark.parametrize("layer", [0, 2, 5])
def test_a_latent_writes_its_row_to_the_stream(
    model: Any, tmp_path: Path, layer: int, hook: str
) -> None:
    site, decoder = latents(model, tmp_path / "sae", f"blocks.{layer}.{hook}")
    found = vocabulary_logits(model, site.points[0], 7)
    np.testing.assert_allclose(found, in_words(model, decoder[7]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("said", [{}, {"normalize_activations": "layer_norm"}])
def test_a_normalised_latent_writes_the_same_words(
    model: Any, tmp_path: Path, said: dict[str, Any]
) -> None:
    site, decoder = latents(model, tmp_path / "sae", "blocks.2.hook_resid_post", **said)
    table = written(model, model.plain_tokenizer, site.points[0], 3, count=5)
    best = in_words(model, decoder[3])[: len(model.plain_tokenizer)].topk(5).indices.tolist()
    assert table["token"].tolist()[:5] == spelled(model.plain_tokenizer, best)


def test_a_latent_of_neurons_writes_through_the_down_projection(model: Any, tmp_path: Path) -> None:
    site, decoder = latents(model, tmp_path / "sae", "blocks.3.mlp.hook_post")
    found = vocabulary_logits(model, site.points[0], 7)
    expected = in_words(model, decoder[7] @ model.blocks[3].mlp.W_out)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_dimension_writes_itself(model: Any) -> None:
    points = find_site(model, "residual").points
    for point in (points[0], points[-1]):
        found = vocabulary_logits(model, point, 11)
        expected = in_words(model, torch.eye(256)[11])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_what_has_no_one_direction_writes_nothing(model: Any) -> None:
    for site in ("head", "attention"):
        assert written(model, model.plain_tokenizer, find_site(model, site).points[0], 0).empty
