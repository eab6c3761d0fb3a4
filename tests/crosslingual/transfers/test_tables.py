"""The table says what the predictions are: against scikit-learn, with intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from mechsteer.crosslingual.transfers.counting import Resamples
from mechsteer.crosslingual.transfers.tables import Judged, tabulate
from mechsteer.studies.conditions import BASE, Condition
from mechsteer.studies.results import COLUMNS

EDIT = Condition("edit", "clamp", "fra_Latn", 5, 1.0)
LANGUAGES = ("eng_Latn", "fra_Latn", "vie_Latn")


def predictions(seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 3, (2, 3, 3, 40))).short()


@pytest.fixture(scope="module")
def tested() -> Judged:
    y = np.arange(40) % 3
    return Judged(LANGUAGES, (0, 4), y, 4, Resamples.of(range(40), 200, seed=0))


def test_values_are_those_of_scikit_learn(tested: Judged) -> None:
    base, edit = predictions(0), predictions(1)
    table = tabulate({BASE: lambda: base, EDIT: lambda: edit}, tested)
    assert list(table.columns) == list(COLUMNS)
    for kind, found in (("base", base), ("edit", edit)):
        for number, layer in enumerate((0, 4)):
            for s, source in enumerate(LANGUAGES):
                for t, target in enumerate(LANGUAGES):
                    rows = table[(table["kind"] == kind) & (table["layer"] == layer)]
                    rows = rows[(rows["source"] == source) & (rows["target"] == target)]
                    value = rows.set_index("metric")["value"]
                    said = found[number, s, t].numpy()
                    assert value["accuracy"] == pytest.approx(accuracy_score(tested.y, said))
                    macro = f1_score(tested.y, said, average="macro")
                    assert value["macro_f1"] == pytest.approx(macro)


def test_means_leave_a_language_in_itself_out_and_differences_are_paired(tested: Judged) -> None:
    base, edit = predictions(0), predictions(1)
    table = tabulate({BASE: lambda: base, EDIT: lambda: edit}, tested)
    hits = (base[1].numpy() == tested.y).mean(-1)
    row = table[(table["kind"] == "base") & (table["layer"] == 4)]
    means = row[row["metric"].isin(["accuracy", "accuracy.within"])]
    of = means.set_index(["metric", "source", "target"])["value"]
    different = ~np.eye(3, dtype=bool)
    assert of["accuracy", "*", "*"] == pytest.approx(hits[different].mean())
    assert of["accuracy.within", "*", "*"] == pytest.approx(np.diag(hits).mean())
    assert of["accuracy", "fra_Latn", "*"] == pytest.approx((hits[1].sum() - hits[1, 1]) / 2)
    assert of["accuracy", "*", "fra_Latn"] == pytest.approx((hits[:, 1].sum() - hits[1, 1]) / 2)
    same = tabulate({BASE: lambda: base, EDIT: lambda: base}, tested)
    delta = same[same["metric"].str.endswith(".delta")]
    assert len(delta)
    assert (delta[["value", "ci_low", "ci_high"]] == 0).all(axis=None)


def test_intervals_are_those_of_resampled_groups() -> None:
    y = np.zeros(60, dtype=int)
    said = (np.arange(60) // 3 % 2)[None, None]  # groups of three are right or wrong as one
    alone = Resamples.of(range(60), 4000, seed=0).accuracy(said, y)[1:, 0, 0]
    together = Resamples.of([i // 3 for i in range(60)], 4000, seed=0).accuracy(said, y)[1:, 0, 0]
    assert alone.std() == pytest.approx(np.sqrt(0.25 / 60), rel=0.05)
    assert together.std() == pytest.approx(np.sqrt(0.25 / 20), rel=0.05)
