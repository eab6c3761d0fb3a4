"""The whole road on an encoder-decoder: nothing after recording knows of two stacks by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mechsteer as ms
from mechsteer import plots
from mechsteer.cards import make_cards
from mechsteer.cards.make import Subject, named_subject, top_subjects
from mechsteer.errors import MechsteerError, ModelError
from mechsteer.experts import select as selections
from mechsteer.experts.files import describe, load_scores, save_scores
from mechsteer.experts.lape import firing_rates, lape
from mechsteer.experts.score import score_recording
from mechsteer.experts.scores import NeuronScores
from mechsteer.recording import Recording, record
from mechsteer.studies.detail_tables import experts_per_layer
from tests.model.encoder_decoders import ENDS

LANGUAGES = ("eng_Latn", "fra_Latn", "jpn_Jpan")
LAYERS = [("encoder", 0), ("encoder", 1), ("decoder", 0), ("decoder", 1), ("decoder", 2)]


@pytest.fixture(scope="module")
def model(bridge: Any) -> Any:
    return bridge("t5", template=ENDS)


@pytest.fixture(scope="module")
def dev() -> ms.ParallelCorpus:
    return ms.ParallelCorpus.embedded("dev", languages=LANGUAGES).head(8)


@pytest.fixture(scope="module")
def recording(model: Any, dev: ms.ParallelCorpus) -> Recording:
    return record(model, dev, firing=True)


@pytest.fixture(scope="module")
def scores(recording: Recording) -> NeuronScores:
    return score_recording(recording)


def test_scores_come_back_from_their_file(scores: NeuronScores, tmp_path: Path) -> None:
    save_scores(scores, tmp_path / "scores.safetensors")
    loaded = load_scores(tmp_path / "scores.safetensors", describe(scores))
    assert loaded.site == scores.site
    assert torch.equal(loaded.ap, scores.ap) and torch.equal(loaded.rest_std, scores.rest_std)


def test_the_stacks_differ_and_so_do_their_scores(recording: Recording) -> None:
    first, second = (recording.activations(number) for number in (0, 2))
    assert not torch.allclose(first, second)


def test_experts_and_their_tables_name_the_stack(scores: NeuronScores) -> None:
    experts = scores.top("fra_Latn", 40)
    table = experts.table()
    assert set(table["component"]) == {"encoder.post", "decoder.post"}
    counts = experts_per_layer(scores, 40)
    own = counts[counts["language"] == "fra_Latn"]
    assert list(own[["stack", "layer"]].itertuples(index=False, name=None)) == LAYERS
    for (stack, layer), count in zip(LAYERS, own["count"], strict=True):
        here = table[(table["component"] == f"{stack}.post") & (table["layer"] == layer)]
        assert len(here) == count
    assert own["random"].tolist() == pytest.approx([8.0] * 5)


def test_the_best_of_each_layer_are_those_of_each_stack(scores: NeuronScores) -> None:
    table = selections.per_layer(scores, "fra_Latn", 3).table()
    assert table.groupby(["component", "layer"]).size().tolist() == [3] * 5


def test_random_neurons_match_the_layers_of_each_stack(scores: NeuronScores) -> None:
    experts = scores.top("fra_Latn", 40)
    control = ms.experts.random_like(scores, experts, seed=0)
    keys = ["component", "layer"]
    matched = [one.table().groupby(keys).size() for one in (experts, control)]
    assert matched[0].equals(matched[1])


def test_layers_of_both_stacks_are_drawn_side_by_side(scores: NeuronScores) -> None:
    counts = experts_per_layer(scores, 40)
    ax = plots.experts_per_layer(counts, language="fra_Latn")
    ax.figure.draw_without_rendering()
    shown = [text.get_text() for text in ax.get_xticklabels() if text.get_text()]
    assert shown == ["e0", "e1", "d0", "d1", "d2"]
    best = counts[counts["language"] == "fra_Latn"]["ap_max"].to_numpy()
    image = plots.layer_ap(counts).images[0].get_array()
    assert np.array_equal(np.asarray(image)[LANGUAGES.index("fra_Latn")], best)


def test_neurons_fire_as_often_in_either_stack_as_there_are_tokens(
    recording: Recording, scores: NeuronScores
) -> None:
    for number in (0, 4):
        tokens = recording.fired(number).double() * recording.n_tokens[:, None]
        assert torch.allclose(tokens, tokens.round(), atol=1e-3)
    rates = firing_rates(recording)
    assert rates.rate.shape == (3, 5 * 88)
    assert lape(scores, rates, share=0.1, bar=0.5)["fra_Latn"].site == scores.site


def test_cards_show_what_the_decoder_read_at_each_token(
    model: Any, dev: ms.ParallelCorpus, recording: Recording, scores: NeuronScores
) -> None:
    decoder = scores.site.offsets[3] + 7
    subjects = [Subject(decoder, "fra_Latn"), *top_subjects(scores, LANGUAGES, 2)]
    cards = make_cards(model, dev, recording, scores, subjects, n_sentences=2)
    assert cards.brief()["component"].iloc[0] == "decoder.post"
    tokens = cards.tokens.groupby(["card", "place"])["value"].max()
    for row in cards.sentences.itertuples():
        # the pooled maximum is that of the tokens, cut characters joined by magnitude
        assert tokens[row.card, row.place] == pytest.approx(row.value, rel=1e-4, abs=1e-4)
    writers = set(cards.neurons.loc[cards.neurons["card"].isin(cards.writes["card"]), "component"])
    assert writers == {"decoder.post"}


def test_a_neuron_of_two_stacks_must_be_named_whole(scores: NeuronScores) -> None:
    with pytest.raises(MechsteerError, match=r"encoder\.post:1:7, decoder\.post:1:7"):
        named_subject(scores, "1:7")
    assert named_subject(scores, "decoder.post:1:7").neuron == scores.site.offsets[3] + 7
    assert named_subject(scores, "2:7").neuron == scores.site.offsets[4] + 7


def test_a_study_runs_with_edits_of_both_stacks(
    model: Any, dev: ms.ParallelCorpus, tmp_path: Path
) -> None:
    test = ms.ParallelCorpus.embedded("test", languages=LANGUAGES).head(8)
    study = ms.study(model, dev=dev, test=test, targets=["fra_Latn"], ks=[20], seeds=[0])
    assert study.n_layers == 2  # the encoder's: embeddings are its own
    assert set(study.results["layer"]) == {0, 1, 2, 3}
    moved = study.results.query("kind == 'edit' and metric == 'retrieval_top1'")
    assert len(moved)
    edit = ms.clamp(ms.score(model, dev).top("fra_Latn", 20))
    ms.save_edit(edit, tmp_path / "edit.safetensors")
    assert ms.load_edit(tmp_path / "edit.safetensors").site == edit.site


def test_an_encoder_decoder_has_no_perplexity(model: Any) -> None:
    with pytest.raises(ModelError, match="encoder-decoder"):
        ms.perplexity(model, ["the cat sat on the mat"], tokenizer=model.plain_tokenizer)
