"""Cards against plain loops over plain forward passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve

import mechsteer as ms
from mechsteer.analysis.detection import activation_histogram, precision_recall
from mechsteer.cards import Cards, make_cards
from mechsteer.cards.make import Subject, named_subject, top_subjects
from mechsteer.errors import MechsteerError
from mechsteer.experts.score import score_recording
from mechsteer.experts.scores import NeuronScores
from mechsteer.model.load import load_model
from mechsteer.recording import Reading, Recording, record

LANGUAGES = ("arb_Arab", "fra_Latn", "jpn_Jpan")


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def corpus() -> ms.ParallelCorpus:
    return ms.ParallelCorpus.embedded("dev", languages=LANGUAGES).head(12)


@pytest.fixture(scope="module")
def recording(model: Any, corpus: ms.ParallelCorpus) -> Recording:
    return record(model, corpus)


@pytest.fixture(scope="module")
def scores(recording: Recording) -> NeuronScores:
    return score_recording(recording)


@pytest.fixture(scope="module")
def cards(model: Any, corpus: Any, recording: Recording, scores: NeuronScores) -> Cards:
    subjects = [named_subject(scores, "2:17"), *top_subjects(scores, LANGUAGES, 2)]
    return make_cards(model, corpus, recording, scores, subjects, n_sentences=3)


def test_a_card_for_every_subject_once(cards: Cards, scores: NeuronScores) -> None:
    assert len(cards) == 7
    first = cards.neurons.iloc[0]
    assert (first["layer"], first["neuron"]) == (2, 17)
    top = cards.neurons[cards.neurons["language"] == "fra_Latn"].query("rank <= 2")
    flat = scores.top("fra_Latn", 2).index.tolist()
    assert [scores.site.locate(f)[1:] for f in flat] == list(
        top[["layer", "neuron"]].itertuples(index=False, name=None)
    )


def test_scores_on_a_card_are_the_neurons_for_every_language(
    cards: Cards, scores: NeuronScores
) -> None:
    flat = scores.site.offsets[2] + 17
    own = cards.scores[cards.scores["card"] == 0].set_index("language")
    for row, language in enumerate(scores.languages):
        assert own.loc[language, "ap"] == scores.ap[row, flat].item()
        assert own.loc[language, "prevalence"] == pytest.approx(1 / 3)


def test_token_activations_are_those_of_a_plain_hook(model: Any, cards: Cards) -> None:
    tokenizer = model.plain_tokenizer
    for row in cards.sentences.itertuples():
        neuron = cards.neurons[cards.neurons["card"] == row.card].iloc[0]
        encoded = tokenizer(row.text, return_tensors="pt", return_special_tokens_mask=True)
        name = f"blocks.{neuron['layer']}.mlp.hook_post"
        seen: list[torch.Tensor] = []
        with torch.inference_mode():
            model.run_with_hooks(
                encoded["input_ids"],
                fwd_hooks=[(name, lambda z, hook, seen=seen: seen.append(z.clone()))],
            )
        values = seen[0][0, :, int(neuron["neuron"])]
        real = values[encoded["special_tokens_mask"][0] == 0]
        tokens = cards.tokens.query("card == @row.card and place == @row.place")
        # batches of other shapes round differently: the tolerance of a recording
        tolerance = 1e-5 * float(seen[0].abs().max())
        assert tokens["value"].max() == pytest.approx(float(real.max()), abs=tolerance)
        assert row.value == pytest.approx(float(real.max()), abs=tolerance)


def test_top_sentences_are_the_largest_in_falling_order(
    cards: Cards, corpus: Any, recording: Recording
) -> None:
    values = recording.activations(2)[:, 17]
    own = cards.sentences[cards.sentences["card"] == 0]
    assert own["value"].tolist() == values.sort(descending=True).values[:3].tolist()
    for row in own.itertuples():
        assert corpus.sentences[row.language][row.sentence] == row.text


def test_spans_lie_in_their_sentence(cards: Cards) -> None:
    texts = cards.sentences.set_index(["card", "place"])["text"]
    assert len(cards.tokens) > 100
    for row in cards.tokens.itertuples():
        assert 0 <= row.start < row.end <= len(texts[row.card, row.place])


def test_a_long_curve_keeps_its_ends() -> None:
    values = np.arange(1000.0)
    positive = values > 700
    whole, some = (precision_recall(values, positive, points=n) for n in (10_000, 50))
    assert len(some) == 50
    pd.testing.assert_frame_equal(some.iloc[[0, -1]].reset_index(drop=True),
                                  whole.iloc[[0, -1]].reset_index(drop=True))  # fmt: skip


def test_histogram_shares_are_of_their_own_class() -> None:
    values = np.array([0.0, 0.0, 1.0, 2.0, 4.0])
    table = activation_histogram(values, values > 1, bins=4)
    assert table["positives"].tolist() == [0, 0, 0.5, 0.5]
    assert table["negatives"].tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0])
    constant = activation_histogram(np.ones(4), np.array([True, False, False, True]))
    assert constant[["positives", "negatives"]].sum().tolist() == [1, 1]


def test_what_is_no_detector_is_refused() -> None:
    with pytest.raises(MechsteerError, match="of others"):
        precision_recall(np.ones(3), np.ones(3, dtype=bool))
    with pytest.raises(MechsteerError, match="finite"):
        activation_histogram(np.array([0.0, np.nan]), np.array([True, False]))


@pytest.mark.parametrize("name", ["7", "a:b", "99:1", "0:99999", "gate:0:1", "0:-1", "1:2:3:4"])
def test_a_neuron_that_is_not_there_is_refused(scores: NeuronScores, name: str) -> None:
    with pytest.raises(MechsteerError, match="expected"):
        named_subject(scores, name)


def test_cards_come_back_from_disk(cards: Cards, tmp_path: Path) -> None:
    files = cards.save(tmp_path)
    assert sorted(files) == sorted(p.name for p in tmp_path.iterdir())
    for name, frame in vars(Cards.load(tmp_path)).items():
        pd.testing.assert_frame_equal(frame, getattr(cards, name))


def test_repeated_subjects_make_one_card(
    model: Any, corpus: Any, recording: Recording, scores: NeuronScores
) -> None:
    twice = [Subject(3, "fra_Latn")] * 2
    assert len(make_cards(model, corpus, recording, scores, twice, n_sentences=1)) == 1


def test_cards_of_prefixed_sentences_show_the_sentences_alone(model: Any, corpus: Any) -> None:
    reading = Reading(prefix="query: ")
    recording = record(model, corpus, reading=reading)
    scores = score_recording(recording)
    subjects = top_subjects(scores, ["fra_Latn"], 1)
    cards = make_cards(model, corpus, recording, scores, subjects, reading=reading, n_sentences=2)
    for row in cards.sentences.itertuples():
        tokens = cards.tokens.query("place == @row.place")
        assert (tokens["start"].min(), tokens["end"].max()) == (0, len(row.text))
        assert tokens["value"].max() == pytest.approx(row.value, rel=1e-4)


@pytest.mark.parametrize("name", ["9" * 5000 + ":0", "0:" + "9" * 5000, "0:²", "0:x" + "y" * 999])
def test_numbers_that_no_neuron_has_are_refused_briefly(scores, name: str) -> None:
    with pytest.raises(MechsteerError, match="expected a neuron as LAYER:NEURON") as refused:
        named_subject(scores, name)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("ties", [False, True])
def test_the_curve_is_scikit_learns_and_its_area_the_average_precision(ties: bool) -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(90) < 0.3
    values = rng.normal(positive * 1.0, 1.0)
    values = values.round(0 if ties else 9)
    curve = precision_recall(values, positive, points=10_000)
    precision, recall, _ = precision_recall_curve(positive, values)
    np.testing.assert_array_equal(curve["precision"], precision[:-1][::-1])
    np.testing.assert_array_equal(curve["recall"], recall[:-1][::-1])
    area = (np.diff(np.append(0, curve["recall"])) * curve["precision"]).sum()
    assert area == pytest.approx(average_precision_score(positive, values), abs=1e-12)
