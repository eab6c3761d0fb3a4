"""Scores among the languages of one script, against scikit-learn on their sentences alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

import mechsteer as ms
from mechsteer.errors import MechsteerError
from mechsteer.experts.files import describe, load_scores, save_scores
from mechsteer.experts.score import score_recording
from mechsteer.experts.scores import STATISTICS, NeuronScores
from mechsteer.experts.significance import significance_of
from mechsteer.experts.top import top_of_recording
from mechsteer.recording import Recording
from tests.made import SITE, made_recording

# two of Latin, two of Cyrillic with Latin between, and two Chinese scripts of one language each
LANGUAGES = ("deu_Latn", "rus_Cyrl", "fra_Latn", "ukr_Cyrl", "zho_Hans", "zho_Hant")
COUNTS = (11, 7, 9, 8, 6, 5)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return named(LANGUAGES, COUNTS)


@pytest.fixture(scope="module")
def scores(recording: Recording) -> NeuronScores:
    return score_recording(recording)


def named(languages: tuple[str, ...], counts: tuple[int, ...]) -> Recording:
    return replace(made_recording(3, counts=counts), languages=languages)


def values(recording: Recording) -> np.ndarray:
    return torch.cat([recording.activations(i, pooling="max") for i in (0, 1)], dim=1).numpy()


@pytest.mark.parametrize("language", LANGUAGES[:4])
def test_a_script_scores_as_scikit_learn_on_its_sentences_alone(
    recording: Recording, scores: NeuronScores, language: str
) -> None:
    labels, z = recording.labels.numpy(), values(recording)
    peers = [i for i, name in enumerate(LANGUAGES) if name[4:] == language[4:]]
    rows = np.isin(labels, peers)
    positive = labels[rows] == LANGUAGES.index(language)
    own = scores.among(language, "script")
    row = own.row(language)
    for neuron in range(SITE.n_neurons):
        column = z[rows, neuron]
        assert own.ap[row, neuron] == pytest.approx(average_precision_score(positive, column), 1e-6)
        assert own.auroc[row, neuron] == pytest.approx(roc_auc_score(positive, column), abs=1e-6)
        rest = column[~positive]
        assert own.rest_mean[row, neuron] == pytest.approx(rest.mean(), rel=1e-5, abs=1e-6)
        assert own.median[row, neuron] == pytest.approx(np.median(column[positive]), rel=1e-5)
    assert own.prevalence(language) == positive.mean()
    assert scores.prevalence(language, within="script") == positive.mean()


def test_scores_against_all_do_not_change(recording: Recording, scores: NeuronScores) -> None:
    labels, z = recording.labels.numpy(), values(recording)
    for row in range(len(LANGUAGES)):
        for neuron in range(0, SITE.n_neurons, 7):
            ap = average_precision_score(labels == row, z[:, neuron])
            assert scores.ap[row, neuron] == pytest.approx(ap, abs=1e-6)


@pytest.mark.parametrize("by", ["ap", "auroc"])
def test_experts_may_be_ranked_among_one_script_and_have_both_scores(
    scores: NeuronScores, by: Any
) -> None:
    own = scores.among("fra_Latn", "script")
    score = getattr(own, by)[own.row("fra_Latn")].numpy()
    effect = own.effect_size[own.row("fra_Latn")].numpy()
    expected = sorted(range(SITE.n_neurons), key=lambda i: (-score[i], -effect[i], i))[:9]
    experts = scores.top("fra_Latn", 9, by=by, within="script")
    assert experts.index.tolist() == expected
    assert experts.selection == f"top 9 by {by} among languages in Latn"
    assert experts.script_ap is not None
    assert experts.script_ap.tolist() == own.ap[own.row("fra_Latn"), experts.index].tolist()
    assert experts.ap.tolist() == scores.ap[scores.row("fra_Latn"), experts.index].tolist()
    assert experts.table().columns[-1] == "script_ap"
    best = ms.experts.threshold(
        scores, "fra_Latn", float(score[expected[8]]), by=by, within="script"
    )
    assert set(expected) <= set(best.index.tolist())
    every = ms.experts.per_layer(scores, "fra_Latn", 2, by=by, within="script").index.tolist()
    assert every[0] == expected[0] and len(every) == 4
    both = ms.experts.top_and_bottom(scores, "fra_Latn", 2, by=by, within="script").index.tolist()
    assert both[:2] == expected[:2] and score[both[-1]] == score.min()


def test_a_language_alone_in_its_script_has_no_such_score(scores: NeuronScores) -> None:
    assert sorted(scores.scripts) == ["Cyrl", "Latn"]  # Hans and Hant are two scripts
    experts = scores.top("zho_Hans", 5)
    assert experts.script_ap is None and "script_ap" not in experts.table()
    assert not scores.has_peers("zho_Hans")
    for ask in (
        lambda: scores.top("zho_Hans", 5, within="script"),
        lambda: scores.prevalence("zho_Hant", within="script"),
        lambda: ms.experts.threshold(scores, "zho_Hans", 0.5, within="script"),
    ):
        with pytest.raises(MechsteerError, match=r"has no other language in Han[st] beside it"):
            ask()
    with pytest.raises(MechsteerError, match="expected within='all' or within='script'"):
        scores.top("fra_Latn", 5, within="family")  # type: ignore[arg-type]


def test_negative_only_languages_count_among_their_script(recording: Recording) -> None:
    scores = score_recording(recording, negative_only=("deu_Latn", "rus_Cyrl", "ukr_Cyrl"))
    assert list(scores.scripts) == ["Latn"]
    own = scores.among("fra_Latn", "script")
    assert own.languages == ("fra_Latn",) and (own.counts, own.n_sentences) == ((9,), 20)
    whole = score_recording(recording).among("fra_Latn", "script")
    assert torch.equal(own.ap[0], whole.ap[whole.row("fra_Latn")])


@pytest.mark.parametrize("names", [LANGUAGES, tuple(f"{c}_Latn" for c in ("deu", "fra", "spa"))])
def test_they_are_saved_and_read_back(names: tuple[str, ...], tmp_path: Path) -> None:
    scores = score_recording(named(names, COUNTS[: len(names)]))
    save_scores(scores, tmp_path / "scores.safetensors")
    again = load_scores(tmp_path / "scores.safetensors", describe(scores))
    assert list(again.scripts) == list(scores.scripts)
    for script, own in scores.scripts.items():
        read = again.scripts[script]
        assert (read.languages, read.counts) == (own.languages, own.counts)
        assert read.n_sentences == own.n_sentences
        assert all(torch.equal(getattr(read, name), getattr(own, name)) for name in STATISTICS)


@pytest.mark.parametrize("language", ["ukr_Cyrl", "zho_Hant"])
def test_a_search_without_a_table_finds_the_same(
    recording: Recording, scores: NeuronScores, language: str
) -> None:
    for within in ("all", "script")[: 1 + scores.has_peers(language)]:
        found = top_of_recording(recording, language, 6, within=within)
        expected = scores.top(language, 6, within=within)
        assert found.index.tolist() == expected.index.tolist()
        assert found.selection == expected.selection
        pair = (found.script_ap, expected.script_ap)
        assert pair == (None, None) or torch.equal(*pair)


def test_significance_within_a_script_is_that_of_its_sentences_alone() -> None:
    made = named(LANGUAGES[:4], (9, 9, 9, 9))
    store = made._store
    store.tables = {key: x.float() for key, x in store.tables.items()}  # type: ignore[attr-defined]
    recording = made
    found = significance_of(recording, "fra_Latn", pooling="max", within="script", draws=199)
    rows = torch.isin(recording.labels, torch.tensor([0, 2])).nonzero().flatten()
    tables = {key: x[rows] for key, x in recording._store.tables.items()}  # type: ignore[attr-defined]
    alone = replace(
        recording,
        languages=("deu_Latn", "fra_Latn"),
        labels=recording.labels[rows] // 2,
        n_tokens=recording.n_tokens[rows],
        _store=replace(recording._store, tables=tables),  # type: ignore[type-var]
    )
    expected = significance_of(alone, "fra_Latn", pooling="max", draws=199)
    assert torch.equal(found.p, expected.p)
    everyone = score_recording(recording)
    chosen = ms.experts.by_significance(
        recording, everyone, "fra_Latn", level=0.9, min_effect=0, within="script", draws=199
    )
    assert chosen.selection.endswith("among languages in Latn")


def test_sets_keep_both_scores(scores: NeuronScores) -> None:
    french, german = scores.top("fra_Latn", 6), scores.top("deu_Latn", 6)
    both = ms.experts.union(french, german)
    assert both.script_ap is not None and french.script_ap is not None
    assert both.script_ap[:6].tolist() == french.script_ap.tolist()
    assert ms.experts.union(french, scores.top("zho_Hans", 3)).script_ap is None
    rest = ms.experts.difference(french, german)
    assert rest.script_ap is not None and len(rest.script_ap) == len(rest)
