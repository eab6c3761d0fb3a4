"""Experts asked again about copies, against scikit-learn on the very activations."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

import mechsteer as ms
from mechsteer.corpus import ParallelCorpus
from mechsteer.corpus.copies import _romaniser, shuffled
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.experts import script_overlap, survival
from mechsteer.experts.score import score_recording
from mechsteer.experts.scores import NeuronScores
from mechsteer.recording import Recording
from tests.made import made_recording

LANGUAGES = ["eng_Latn", "fra_Latn", "rus_Cyrl"]
K = 30


@pytest.fixture(scope="module")
def model() -> Any:
    return ms.load_model(device="cpu")


@pytest.fixture(scope="module")
def corpus() -> ParallelCorpus:
    return ParallelCorpus.embedded("dev", languages=LANGUAGES).head(12)


@pytest.fixture(scope="module")
def recording(model: Any, corpus: ParallelCorpus) -> Recording:
    return ms.record(model, corpus)


@pytest.fixture(scope="module")
def scores(recording: Recording) -> NeuronScores:
    return score_recording(recording)


@pytest.fixture
def latin_letters(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A romaniser of a few Cyrillic letters in the place of uroman, which CI may lack."""

    class Uroman:
        def romanize_string(self, text: str, lcode: str) -> str:
            assert lcode == "rus"
            return "".join(chr(97 + ord(c) % 26) if ord(c) > 127 else c for c in text)

    module = ModuleType("uroman")
    module.Uroman = Uroman  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uroman", module)
    _romaniser.cache_clear()
    yield
    _romaniser.cache_clear()


def test_what_survives_is_counted_as_scikit_learn_scores_it(
    model: Any, corpus: ParallelCorpus, recording: Recording, scores: NeuronScores,
    latin_letters: Any,
) -> None:  # fmt: skip
    found = survival(model, corpus, recording, scores, ["rus_Cyrl"], k=K, resamples=40)
    assert found.table["copy"].tolist() == ["romanised", "shuffled"]
    copies = shuffled(corpus.sentences["rus_Cyrl"])
    own = ms.record(model, ParallelCorpus({"rus_Cyrl": copies}, sources={"rus_Cyrl": "copy"}))
    points = range(len(recording.site.points))
    z = torch.cat([recording.activations(i) for i in points], dim=1).clone()
    z[recording.labels == 2] = torch.cat([own.activations(i) for i in points], dim=1)
    positive = recording.labels.numpy() == 2
    experts = scores.top("rus_Cyrl", K)
    every = np.array([average_precision_score(positive, column) for column in z.T.double().numpy()])
    row = found.table.set_index("copy").loc["shuffled"]
    mine = found.neurons[found.neurons["copy"] == "shuffled"]
    np.testing.assert_allclose(mine["copy_score"], every[experts.index], atol=1e-6)
    least = experts.ap.min().item()
    assert row["least"] == least
    assert row["kept"] == np.mean(every[experts.index].astype(np.float32) >= least)
    cut = np.sort(every)[-K]
    assert mine["in_top"].to_numpy()[every[experts.index] > cut + 1e-6].all()
    assert not mine["in_top"].to_numpy()[every[experts.index] < cut - 1e-6].any()
    assert row["in_top"] == mine["in_top"].mean()
    assert row["kept_low"] <= row["kept"] + 0.2 and row["kept_high"] >= row["kept"] - 0.2
    assert row["chance"] == K / scores.site.n_neurons
    assert (row["changed"], row["k"]) == (1.0, K)
    assert not found.table.isna().any(axis=None)


def test_the_sentences_themselves_all_survive(
    model: Any, corpus: ParallelCorpus, recording: Recording, scores: NeuronScores
) -> None:
    found = survival(
        model, corpus, recording, scores, ["fra_Latn"],
        others={"same": corpus.sentences}, copies=["shuffled"], k=K, within="script", resamples=40,
    ).table.set_index("copy")  # fmt: skip
    same = found.loc["same"]
    assert (same["kept"], same["in_top"], same["changed"]) == (1, 1, 0)
    assert same["copy_score"] == pytest.approx(same["score"], abs=1e-4)
    assert same["random"] < 0.5 and same["within"] == "script"


def test_recordings_of_copies_are_taken_up_again(
    model: Any, corpus: ParallelCorpus, recording: Recording, scores: NeuronScores, tmp_path: Path
) -> None:
    def ask(**options: Any) -> Any:
        return survival(
            model, corpus, recording, scores, ["fra_Latn"],
            copies=["shuffled"], resamples=40, directory=tmp_path, **options,
        ).table  # fmt: skip

    first = ask(k=K)
    times = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")}
    assert times
    assert ask(k=K).equals(first)
    assert ask(k=5)["k"].tolist() == [5]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")} == times
    assert ask(k=K, seed=1)["copy_score"][0] != first["copy_score"][0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"copies": ["translated"]}, "copies"),
        ({"k": 0}, "k"),
        ({"least": 1.5}, "least"),
        ({"within": "script"}, "rus_Cyrl has no other language in Cyrl"),
        ({"copy": "shuffled"}, "copies"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    corpus: ParallelCorpus, recording: Recording, options: dict[str, Any], message: str
) -> None:
    scores = score_recording(recording)
    with pytest.raises(MechsteerError, match=message):
        survival("unread", corpus, recording, scores, ["rus_Cyrl"], **options)
    with pytest.raises(MechsteerError, match="was not scored"):
        survival("unread", corpus, recording, scores, ["deu_Latn"])


def test_another_number_of_sentences_is_refused(recording: Recording) -> None:
    with pytest.raises(ArtifactError, match="12 sentences for fra_Latn"):
        recording.with_sentences("fra_Latn", recording)


def test_two_scripts_of_a_language_share_experts_or_not() -> None:
    names = ("arb_Arab", "arb_Latn", "deu_Latn", "zho_Hant", "zho_Hans")
    made = made_recording(1, counts=(6, 7, 8, 5, 9))
    scores = score_recording(replace(made, languages=names))
    table = script_overlap(scores, 8)
    assert table[["language", "script", "other"]].to_numpy().tolist() == [
        ["arb", "Arab", "Latn"],
        ["zho", "Hant", "Hans"],
    ]
    a, b = (set(scores.top(code, 8).index.tolist()) for code in ("arb_Arab", "arb_Latn"))
    assert table["shared"][0] == len(a & b) and table["jaccard"][0] == len(a & b) / len(a | b)
    assert table["chance"][0] == 64 / scores.site.n_neurons
    assert script_overlap(score_recording(made_recording()), 8).empty
