"""float16 that overflows: one line with layer, file and line, and what to type; never a NaN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer.corpus import LabelledCorpus
from mechsteer.costs import perplexity, sample
from mechsteer.errors import MechsteerError, ModelError
from mechsteer.interventions import NeuronEdit
from mechsteer.model.load import load_model
from mechsteer.model.sites import find_site
from mechsteer.recording import embed, record
from mechsteer.steering import embed_steered

CORPUS = LabelledCorpus(
    {"eng_Latn": ["the cat", "the dog sat"], "fra_Latn": ["le chat est assis", "le chien"]},
    sources={"eng_Latn": "eng.txt", "fra_Latn": "fra.txt"},
)
REMEDY = r"dtype=torch.bfloat16 or torch.float32 \(--dtype bfloat16 or float32\)"


@pytest.fixture(scope="module")
def overflowing(checkpoint: Callable[..., Path]) -> Any:
    """A model in float16 whose second block's neurons are too large for it."""
    model = load_model(checkpoint("llama"), device="cpu", dtype=torch.float16)
    with torch.no_grad():
        model.original_model.model.layers[1].mlp.up_proj.weight.mul_(60000)
        model.original_model.model.layers[1].mlp.gate_proj.weight.mul_(60000)
    return model


@pytest.mark.parametrize(
    "options",
    [
        {"pooling": "max"},
        {"pooling": ("mean", "last")},
        {"firing": True},
        {"embeddings": True},
        {"layers": (), "embeddings": True},
        {"layers": [1]},
    ],
)
def test_a_recording_names_layer_file_and_line(overflowing: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=rf"^(fra|eng)\.txt:\d: .*layer [12] .*{REMEDY}") as caught:
        record(overflowing, CORPUS, **options)
    assert "\n" not in str(caught.value)


def test_layers_before_the_overflow_are_recorded(overflowing: Any) -> None:
    assert record(overflowing, CORPUS, layers=[0]).activations(0).isfinite().all()


def test_the_sentence_that_overflows_is_named_and_no_other(checkpoint: Callable[..., Path]) -> None:
    model = load_model(checkpoint("llama"), device="cpu", dtype=torch.float16)
    words = [set(model.plain_tokenizer(text)["input_ids"]) for text in CORPUS.flatten()[0]]
    word = min(words[3] - words[0] - words[1] - words[2])
    with torch.no_grad():
        model.original_model.get_input_embeddings().weight[word] = float("inf")
    with pytest.raises(ModelError, match=r"^fra\.txt:2: an activation of layer 0 \(post\)"):
        record(model, CORPUS)
    with pytest.raises(ModelError, match=r"^fra\.txt:2: an activation of layer 0 \(residual\)"):
        embed(model, CORPUS)


@pytest.mark.parametrize(
    "run",
    [
        lambda model: ms.score(model, CORPUS),
        lambda model: embed(model, CORPUS),
        lambda model: embed_steered(model, CORPUS),
        lambda model: perplexity(model, ["the cat", "le chat"], progress=False),
        lambda model: sample(model, 2, max_new_tokens=2),
    ],
    ids=["score", "embed", "embed_steered", "perplexity", "sample"],
)
def test_every_function_that_runs_a_model_says_what_to_type(
    overflowing: Any, run: Callable[[Any], Any]
) -> None:
    with pytest.raises(ModelError, match=REMEDY):
        run(overflowing)


def test_a_text_that_cannot_be_predicted_is_named(overflowing: Any) -> None:
    with pytest.raises(ModelError, match="not finite on text 0"):
        perplexity(overflowing, ["the cat", "le chat"])


def test_an_edit_too_strong_for_float32_is_told_to_be_weaker(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    site = find_site(model)
    index = torch.arange(site.n_neurons)
    edit = NeuronEdit("hold", site, index, torch.zeros(len(index)), torch.full(index.shape, 3e38))
    message = r"^eng\.txt:\d: an activation of layer \d \(residual\).*take a smaller strength"
    with pytest.raises(ModelError, match=message):
        embed_steered(model, CORPUS, replace(edit, name="hold"))


def test_nothing_of_a_batch_that_overflows_is_kept(overflowing: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        record(overflowing, CORPUS, directory=tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize(
    "options",
    [{"n": 0}, {"n": 1.5}, {"n": True}, {"max_new_tokens": 0}, {"batch_size": -1},
     {"temperature": float("nan")}, {"temperature": float("inf")}, {"temperature": -1},
     {"top_p": 0}, {"top_p": float("nan")}, {"seed": -1}, {"seed": 2**63}, {"seed": 0.5}],
)  # fmt: skip
def test_options_out_of_range_are_refused(bridge: Callable[..., Any], options: Any) -> None:
    with pytest.raises(MechsteerError, match="expected"):
        sample(bridge("llama"), **options)


@pytest.mark.parametrize("options", [{"batch_tokens": 0}, {"batch_tokens": 1.5}, {"prefix": 1}])
def test_perplexity_reads_as_recordings_do(bridge: Callable[..., Any], options: Any) -> None:
    with pytest.raises(MechsteerError, match="expected"):
        perplexity(bridge("llama"), "the cat", **options)
