"""Scores of the whole road, against scikit-learn on what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from mechsteer.corpus import LabelledCorpus, ParallelCorpus
from mechsteer.errors import ArtifactError, CorpusError, MechsteerError
from mechsteer.experts.files import describe, load_scores, save_scores
from mechsteer.experts.score import score, score_recording
from mechsteer.experts.scores import STATISTICS
from mechsteer.kernels import score as score_columns
from mechsteer.model.load import load_model
from mechsteer.recording import Recording, record
from tests.made import made_recording

OWN = [
    *("eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn", "rus_Cyrl", "ell_Grek"),
    *("jpn_Jpan", "zho_Hans", "kor_Hang", "vie_Latn", "fin_Latn", "arb_Arab"),
]


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def embedded(model: Any) -> Recording:
    corpus = ParallelCorpus.embedded("dev", languages=["eng_Latn", "jpn_Jpan", "arb_Arab"])
    return record(model, corpus.head(40), site="linear")


@pytest.fixture(scope="module")
def flores(model: Any, data_root: Path) -> Recording:
    """FLORES dev in the model's own languages: 11,964 sentences."""
    corpus = ParallelCorpus.from_dir(data_root / "flores200", languages=OWN, split="dev")
    return record(model, corpus, truncate=True)


def assert_equals_scikit_learn(z: torch.Tensor, labels: np.ndarray, neurons: list[int]) -> None:
    found = score_columns(z, torch.from_numpy(labels))
    for neuron in neurons:
        values = z[:, neuron].double().numpy()
        for c in np.unique(labels):
            # float64 scores rounded once to float32: 6e-8 for values up to 1
            ap = average_precision_score(labels == c, values)
            assert abs(found.ap[c, neuron] - ap) < 1e-6
            assert abs(found.auroc[c, neuron] - roc_auc_score(labels == c, values)) < 1e-6


def test_every_point_of_a_site_scores_as_scikit_learn_does(embedded: Recording) -> None:
    scores = score_recording(embedded)
    labels = embedded.labels.numpy()
    generator = np.random.default_rng(0)
    for flat in generator.choice(scores.site.n_neurons, 60, replace=False).tolist():
        _, _, neuron = scores.site.locate(flat)
        place = int(np.searchsorted(scores.site.offsets, flat, side="right")) - 1
        values = embedded.activations(place)[:, neuron].double().numpy()
        for row in range(3):
            ap = average_precision_score(labels == row, values)
            assert abs(scores.ap[row, flat] - ap) < 1e-6


def test_flores_scores_equal_scikit_learn(flores: Recording) -> None:
    labels = flores.labels.numpy()
    z = torch.cat([flores.activations(i) for i in range(len(flores.site.points))], dim=1)
    constant = (z.amax(0) == z.amin(0)).nonzero()[:, 0].tolist()
    random = np.random.default_rng(0).choice(z.shape[1], 300, replace=False).tolist()
    assert_equals_scikit_learn(z, labels, [*random, *constant])


def test_tied_flores_scores_equal_scikit_learn(flores: Recording) -> None:
    # in float32 hardly anything ties: a bfloat16 grid makes every column tie
    z = flores.activations(2)[:, :40].bfloat16()
    assert min(len(z) - len(column.unique()) for column in z.T) > 1000
    assert_equals_scikit_learn(z, flores.labels.numpy(), list(range(0, 40, 4)))


def test_flores_scores_of_every_neuron_equal_the_reference(flores: Recording) -> None:
    for place in range(len(flores.site.points)):
        z = flores.activations(place)
        found, truth = score_columns(z, flores.labels), reference(z, flores.labels)
        assert (found.ap.double() - truth[0]).abs().max() < 1e-6
        assert (found.auroc.double() - truth[1]).abs().max() < 1e-6


def reference(z: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """AP and AUROC by their definitions, from sorted copies; independent of the kernels."""
    ap = torch.empty(int(labels.max()) + 1, z.shape[1], dtype=torch.float64)
    auroc = torch.empty_like(ap)
    everything = z.T.double().sort(dim=1).values.contiguous()
    n = len(z)
    for c in range(len(ap)):
        own = z[labels == c].T.double().sort(dim=1).values.contiguous()
        p = own.shape[1]
        above = n - torch.searchsorted(everything, own)  # activations >= each positive's
        true = p - torch.searchsorted(own, own)
        ap[c] = (true / above).mean(1)
        below = torch.searchsorted(everything, own) - torch.searchsorted(own, own)
        until = torch.searchsorted(everything, own, right=True) - torch.searchsorted(
            own, own, right=True
        )
        auroc[c] = (below + until).double().mean(1) / 2 / (n - p)
    return ap, auroc


def test_scores_come_back_from_their_file(embedded: Recording, tmp_path: Path) -> None:
    scores = score_recording(embedded)
    path = tmp_path / "scores.safetensors"
    save_scores(scores, path)
    again = load_scores(path, describe(scores))
    assert (again.languages, again.site, again.model) == (
        scores.languages,
        scores.site,
        scores.model,
    )
    assert all(torch.equal(getattr(again, name), getattr(scores, name)) for name in STATISTICS)
    with pytest.raises(ArtifactError, match="languages, counts or poolings that no scores have"):
        load_scores(path, describe(scores) | {"languages": ["eng_Latn"]})


def test_the_file_holds_language_layer_neuron_tensors(model: Any, tmp_path: Path) -> None:
    from mechsteer.artifacts.files import read_tensors

    corpus = ParallelCorpus.embedded("dev", languages=["eng_Latn", "jpn_Jpan"]).head(9)
    scores = score(model, corpus)
    save_scores(scores, tmp_path / "scores.safetensors")
    tensors, _ = read_tensors(tmp_path / "scores.safetensors")
    width = scores.site.points[0].width
    assert {"ap", "auroc", "mean", "median", "std"} <= set(tensors)
    assert tensors["ap"].shape == (2, len(scores.site.points), width)
    assert tensors["ap"].dtype == torch.float32
    assert torch.equal(tensors["ap"][1, 2], scores.ap[1, 2 * width : 3 * width])


def test_negative_only_languages_count_and_get_no_row(embedded: Recording) -> None:
    whole = score_recording(embedded)
    part = score_recording(embedded, negative_only=["jpn_Jpan"])
    assert part.languages == ("eng_Latn", "arb_Arab")
    assert torch.equal(part.ap, whole.ap[[0, 2]])
    assert part.prevalence("arb_Arab") == whole.prevalence("arb_Arab")
    with pytest.raises(MechsteerError, match="not in the corpus"):
        score_recording(embedded, negative_only=["kor_Hang"])


def test_ragged_labelled_text_is_scored(model: Any) -> None:
    texts = {"eng_Latn": ["Good morning.", "It rains."], "deu_Latn": ["Guten Morgen."]}
    scores = score(model, LabelledCorpus(texts))
    assert scores.counts == (2, 1)


def test_one_language_is_refused(model: Any) -> None:
    with pytest.raises(CorpusError, match="at least two languages"):
        score(model, LabelledCorpus({"eng_Latn": ["One.", "Two."]}))


def test_counts_are_those_of_the_scored_languages() -> None:
    recording = made_recording()
    assert recording.languages == ("deu_Latn", "fra_Latn", "jpn_Jpan")
    for negative, counts in (((), (11, 7, 9)), (("deu_Latn",), (7, 9)), (("fra_Latn",), (11, 9))):
        scores = score_recording(recording, negative_only=negative)
        assert (scores.counts, scores.n_sentences) == (counts, 27)
        for language, count in zip(scores.languages, counts, strict=True):
            assert scores.prevalence(language) == count / 27
