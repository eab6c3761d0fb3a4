"""Concepts that overlap, and concepts in several languages, against scikit-learn and numpy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from mechsteer.corpus.labels.concepts import Concepts
from mechsteer.errors import MechsteerError
from mechsteer.experts.files import load_scores, save_scores
from mechsteer.experts.score import score_recording
from mechsteer.interventions.samples import rows_in
from mechsteer.recording import Recording
from tests.made import COUNTS, LANGUAGES, SITE, made_recording

LABELS = ("(none)", "rude", "rude + loud")
SETS = Concepts("tone", sets={"rude": ("rude", "rude + loud"), "loud": ("rude + loud",)})


def recording(concepts: Concepts) -> Recording:
    made = made_recording()
    assert len(LABELS) == len(LANGUAGES)
    for key, table in made._store.tables.items():  # type: ignore[attr-defined]
        made._store.tables[key] = table.float()  # type: ignore[attr-defined]
    return replace(made, languages=LABELS, concepts=concepts)


def values(made: Recording, how: str = "max") -> np.ndarray:
    return np.concatenate([made.activations(p, pooling=how).numpy() for p in SITE.points], axis=1)


def test_concepts_that_overlap_are_told_from_all_other_sentences(tmp_path: Path) -> None:
    made = recording(SETS)
    scores = score_recording(made)
    x, label = values(made), made.labels.numpy()
    members = {"rude": label > 0, "loud": label == 2}
    assert scores.languages == ("rude", "loud")
    assert scores.counts == (sum(COUNTS[1:]), COUNTS[2]) and scores.n_sentences == sum(COUNTS)
    for row, (name, member) in enumerate(members.items()):
        assert torch.equal(rows_in(made, name), torch.from_numpy(member))
        for neuron in range(SITE.n_neurons):
            column = x[:, neuron]
            assert scores.ap[row, neuron] == pytest.approx(
                average_precision_score(member, column), abs=1e-6
            )
            assert scores.auroc[row, neuron] == pytest.approx(roc_auc_score(member, column))
        own, rest = x[member], x[~member]
        mean = values(made, "mean")[member]
        for found, right in (
            (scores.mean, own.mean(0)), (scores.median, np.median(own, 0)),
            (scores.std, own.std(0, ddof=1)), (scores.rest_mean, rest.mean(0)),
            (scores.rest_std, rest.std(0, ddof=1)),
            (scores.beside["mean"].median, np.median(mean, 0)),
        ):  # fmt: skip
            np.testing.assert_allclose(found[row].numpy(), right, rtol=1e-5)
    save_scores(scores, tmp_path / "scores")
    again = load_scores(tmp_path / "scores")
    assert again.label == "tone" and torch.equal(again.ap, scores.ap)
    with pytest.raises(MechsteerError, match="label 'fr' was not scored"):
        scores.top("fr", 3)


def test_a_concept_in_several_languages_has_the_least_of_its_scores_within_each() -> None:
    spoken = {
        name: tuple("eng" if i % 2 else "fra" for i in range(count))
        for name, count in zip(LABELS, COUNTS, strict=True)
    }
    made = recording(Concepts("tone", languages=spoken))
    scores = score_recording(made)
    assert scores.languages == LABELS and scores.counts == COUNTS and not scores.scripts
    x, label = values(made), made.labels.numpy()
    language = np.concatenate([spoken[name] for name in LABELS])
    for row in range(len(LABELS)):
        for neuron in range(SITE.n_neurons):
            within = [
                average_precision_score(label[here] == row, x[here, neuron])
                for here in (language == "eng", language == "fra")
            ]
            assert scores.ap[row, neuron] == pytest.approx(min(within), abs=1e-6)
    own = x[label == 1]
    np.testing.assert_allclose(scores.median[1].numpy(), np.median(own, 0), rtol=1e-5)


def test_one_language_alone_gives_the_scores_of_plain_labels() -> None:
    spoken = {name: ("fra",) * count for name, count in zip(LABELS, COUNTS, strict=True)}
    plain = score_recording(recording(Concepts("tone")))
    within = score_recording(recording(Concepts("tone", languages=spoken)))
    for name in ("ap", "auroc", "mean", "median", "std", "rest_mean", "rest_std"):
        torch.testing.assert_close(getattr(within, name), getattr(plain, name))
    assert plain.label == "tone" and within.kind == "label"


def test_a_language_without_a_concept_is_named() -> None:
    spoken = {name: ("fra",) * count for name, count in zip(LABELS, COUNTS, strict=True)}
    spoken["rude"] = ("eng",) * COUNTS[1]
    with pytest.raises(MechsteerError, match=r"no sentence in fra has 'rude'"):
        score_recording(recording(Concepts("tone", languages=spoken)))


def test_labels_spelt_like_scripts_share_none() -> None:
    made = replace(
        made_recording(), languages=("very_formal", "less_formal", "no"), concepts=Concepts("tone")
    )
    assert not score_recording(made).scripts
    assert score_recording(made, negative_only=["no"]).languages == ("very_formal", "less_formal")
    with pytest.raises(MechsteerError, match="negative-only"):
        score_recording(made, negative_only=["never"])
