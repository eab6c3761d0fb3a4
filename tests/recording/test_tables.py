"""A recording in one line, as an array and as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mechsteer as ms
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.recording import tables

CORPUS = {"fra_Latn": ["le chat", "un chien dort"], "eng_Latn": ["the cat", "a dog", "rain"]}


@pytest.fixture(scope="module")
def recording(bridge: Any) -> ms.Recording:
    return ms.record(bridge("llama"), CORPUS, pooling=("max", "mean"), layers=[0, 2])


def test_an_array_holds_each_layer_beside_the_next(recording: ms.Recording) -> None:
    found = recording.to_numpy(pooling="mean")
    layers = [recording.activations(layer, pooling="mean").numpy() for layer in (0, 2)]
    assert found.dtype == np.float32 and np.array_equal(found, np.hstack(layers))
    first = recording.activations(0, pooling="max").numpy()
    assert np.array_equal(recording.to_numpy()[:, : first.shape[1]], first)


def test_a_table_names_sentences_and_neurons(recording: ms.Recording) -> None:
    found = recording.to_pandas()
    assert found.index.names == ["language", "sentence"]
    assert found.index.tolist()[-1] == (recording.languages[-1], found.index[-1][1])
    assert found.columns.names == ["component", "layer", "neuron"]
    row = recording.labels.tolist().index(recording.languages.index("eng_Latn")) + 1
    expected = recording.activations(2)[row, 17].item()
    assert found.loc[("eng_Latn", 1), ("post", 2, 17)] == expected


def test_it_says_itself_in_one_line_and_a_short_table(recording: ms.Recording) -> None:
    line = repr(recording)
    assert "max+mean of 176 neurons of post, 5 sentences: " in line and "\n" not in line
    html = recording._repr_html_()
    assert "tokens a sentence" in html and html.count("<tr") == 3


def test_what_does_not_fit_or_is_not_there_is_refused(
    recording: ms.Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArtifactError, match="'last' was not recorded"):
        recording.to_numpy(pooling="last")
    monkeypatch.setattr(tables, "available_memory", lambda: 6000)
    with pytest.raises(MechsteerError, match=r"read one layer with recording\.activations"):
        recording.to_pandas()
