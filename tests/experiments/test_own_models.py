"""Pairs and layers of measured models, on numbers whose means are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from experiments.linguistic_similarity.measure import cosines, pairs, write_layers
from experiments.linguistic_similarity.own import matrices, named
from mechsteer.typology import read_layers

CODES = ("deu_Latn", "fra_Latn", "rus_Cyrl")


def test_cosines_of_translations_survive_the_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    embeddings = {code: torch.randn(2, 4, 8) for code in CODES}
    values = cosines(embeddings)
    expected = torch.cosine_similarity(embeddings["deu_Latn"], embeddings["rus_Cyrl"], dim=-1)
    np.testing.assert_allclose(values[:, 0, 2], expected.mean(1).numpy(), atol=1e-6)
    write_layers(tmp_path / "m_flores200", CODES, values)
    held = read_layers(tmp_path / "m_flores200")
    assert (held.languages, held.layers, held.notes) == (CODES, (0, 1), ())
    np.testing.assert_allclose(held.values[1, 0, 1], values[1, 0, 1], atol=1e-5)


def test_pairs_of_a_study_become_columns_and_matrices() -> None:
    told = {"source": "deu_Latn", "target": "fra_Latn", "layer": 3, "language": "", "edit": ""}
    base = told | {"kind": "base", "metric": "top1", "value": 0.5}
    gain = {"kind": "edit", "edit": "clamp", "language": "fra_Latn", "metric": "top1.delta"}
    rows = [
        base,
        base | {"target": "rus_Cyrl", "value": 0.25},
        base | {"target": "deu_Latn", "value": 9.0},  # a language with itself
        base | {"source": "*", "value": 9.0},
        base | {"layer": 1, "value": 9.0},
        base | {"kind": "random", "metric": "top1.delta", "value": 9.0},
        told | gain | {"value": 0.125},
    ]
    table = pairs(pd.DataFrame(rows), {3: "last_block"}, ["top1"])
    found = matrices(table, CODES)
    assert list(found) == ["none; top1; last_block", "clamp fra_Latn; top1.delta; last_block"]
    assert found["none; top1; last_block"][0].tolist()[1:] == [0.5, 0.25]
    assert np.isnan(found["none; top1; last_block"]).sum() == 7
    assert found["clamp fra_Latn; top1.delta; last_block"][0, 1] == 0.125
    parts = named(pd.DataFrame({"response": list(found), "r2": [0.1, 0.2]}))
    assert parts.iloc[1].tolist() == ["clamp fra_Latn", "top1.delta", "last_block", 0.2]
