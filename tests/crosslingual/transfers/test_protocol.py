"""Probes find the transfer that is there, and nothing where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mechsteer.corpus import ParallelCorpus
from mechsteer.crosslingual.similarities import read_matrix
from mechsteer.crosslingual.transfers.division import held_out
from mechsteer.crosslingual.transfers.findings import Transfer
from mechsteer.crosslingual.transfers.predicting import Lesson
from mechsteer.crosslingual.transfers.probe import Learning
from mechsteer.crosslingual.transfers.protocol import Inputs, run
from mechsteer.errors import MechsteerError
from mechsteer.interventions import Edit, clamp
from mechsteer.studies.conditions import CENTRING, Condition
from tests.crosslingual.transfers.made import LANGUAGES, space, task
from tests.made import made_scores

TASK = task(90)
EDIT = Condition("edit", "clamp", strength=1.0)
RELATED = {"eng_Latn", "deu_Latn", "fra_Latn"}


class Model:
    """Embeds by arithmetic: an edit takes the languages' offsets away."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, corpus: ParallelCorpus, edit: Edit | None) -> dict[str, Tensor]:
        self.asked.append("base" if edit is None else "edit")
        return space(TASK, offset=5.0 if edit is None else 0.0)


def found(model: Model, folder: Path | None = None, *, name: str = "one") -> Transfer:
    scores = made_scores()
    edit = clamp(scores.top(scores.languages[0], 3))
    lesson = Lesson(held_out(TASK, 0.4, 0), (0, 1), Learning())
    inputs = Inputs(model, lesson, {EDIT: edit}, True, {"model": name}, folder)
    return run(inputs, resamples=100, seed=0, provenance={})


@pytest.fixture(scope="module")
def transfer() -> Transfer:
    return found(Model())


def test_related_languages_transfer_and_the_one_apart_does_not(transfer: Transfer) -> None:
    table = transfer.matrix(1, condition=EDIT)
    assert list(table.index) == list(table.columns) == list(LANGUAGES)
    for source in LANGUAGES:
        for target in LANGUAGES:
            related = source == target or {source, target} <= RELATED
            assert (table.loc[source, target] > 0.9) == related
    noise = transfer.matrix(0).to_numpy()
    assert 0.1 < noise.mean() < 0.55


def test_an_offset_of_each_language_hides_it_and_centring_shows_it(transfer: Transfer) -> None:
    base, centred = transfer.matrix(1), transfer.matrix(1, condition=CENTRING)
    related = [(s, t) for s in RELATED for t in RELATED if s != t]
    assert sum(base.loc[s, t] for s, t in related) / 6 < 0.7
    assert all(centred.loc[s, t] > 0.9 for s, t in related)


def test_the_short_table_has_chance_majority_and_the_difference(transfer: Transfer) -> None:
    table = transfer.table()
    assert len(table) == 2 * 3
    assert set(table["chance"]) == {1 / 3}
    assert set(table["majority"]) == {1 / 3}
    by = table.set_index(["kind", "layer"])
    assert by.loc[("edit", 1), "delta_low"] > 0
    assert by.loc[("base", 1), "delta"] == 0
    assert by.loc[("edit", 1), "value"] - by.loc[("base", 1), "value"] == pytest.approx(
        by.loc[("edit", 1), "delta"]
    )
    assert "4 languages, 3 classes" in repr(transfer)


def test_the_matrix_is_a_measure_of_pairs(transfer: Transfer) -> None:
    long = transfer.measure(1, metric="accuracy.delta", condition=EDIT)
    assert list(long.columns) == ["source", "target", "value"]
    assert len(long) == 12
    with pytest.raises(MechsteerError, match=r"expected a layer of \[0, 1\], got None"):
        transfer.matrix()
    with pytest.raises(MechsteerError, match="was not probed"):
        transfer.matrix(1, condition=Condition("edit", "zero", strength=1.0))
    with pytest.raises(MechsteerError, match="expected a metric of accuracy"):
        transfer.matrix(1, metric="f1")


@pytest.mark.parametrize("square", [True, False])
def test_a_written_measure_is_read_back_as_a_response(
    transfer: Transfer, square: bool, tmp_path: Path
) -> None:
    path = tmp_path / "measure.csv"
    matrix = transfer.matrix(1, condition=EDIT)
    if square:
        matrix.to_csv(path)
    else:
        transfer.measure(1, condition=EDIT).to_csv(path, index=False)
    read = read_matrix(path, LANGUAGES[::-1])
    off = ~np.eye(len(LANGUAGES), dtype=bool)
    np.testing.assert_allclose(read[off], matrix.to_numpy()[::-1, ::-1][off])


def test_a_folder_spares_what_was_measured_and_only_that(tmp_path: Path) -> None:
    first, again, other, damaged = Model(), Model(), Model(), Model()
    one = found(first, tmp_path)
    assert first.asked == ["base", "edit"]  # the base and centring share a pass
    assert found(again, tmp_path).results.equals(one.results)
    assert again.asked == []
    for file in tmp_path.glob("clamp*"):
        file.write_bytes(b"no longer")
    assert found(damaged, tmp_path).results.equals(one.results)
    assert damaged.asked == ["edit"]
    found(other, tmp_path, name="another")
    assert other.asked == ["base", "edit"]


def test_layers_that_are_not_there_are_refused() -> None:
    lesson = Lesson(held_out(TASK, 0.4, 0), (7,), Learning())
    with pytest.raises(MechsteerError, match="expected layers from 0 to 1"):
        lesson.predictions(space(TASK))


def test_centring_fits_its_means_on_training_sentences_alone() -> None:
    lesson = Lesson(held_out(TASK, 0.4, 0), (1,), Learning())
    x = space(TASK, offset=2.0)
    changed = {code: rows.clone() for code, rows in x.items()}
    changed["fra_Latn"][:, list(lesson.division.test)] += 9
    train = list(lesson.division.train)
    one, other = lesson.centred(x), lesson.centred(changed)
    torch.testing.assert_close(one["fra_Latn"][:, train], other["fra_Latn"][:, train])
    assert one["fra_Latn"][:, train].mean(1).abs().max() < 1e-6
