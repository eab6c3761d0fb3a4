"""A study that goes on: what is read back, and for which questions alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mechsteer.interventions import clamp, damp
from mechsteer.recording import Reading
from tests.studies.made import Model, made_study, text

OTHERS = {
    "an edit of the same name": {"edits": {"clamp": damp}},
    "another strength inside it": {"edits": {"clamp": lambda experts: clamp(experts).scaled(0.5)}},
    "another reading": {"reading": Reading(skip_first=True)},
    "another batch": {"reading": Reading(batch_tokens=8)},
    "another test text": {"test": text("test 2")},
    "another dev text": {"dev": text("dev 2")},
    "another criterion": {"by": "auroc"},
    "another target": {"targets": ["jpn_Jpan"]},
    "qualities": {"quality": True},
    "more sentences to tune on": {"tune": 8},
}


@pytest.mark.parametrize(
    "name", ["centring", "none", "base", "random", "random walk", "randomly", "a/b", "é" * 300]
)
def test_an_edit_may_have_any_name(name: str, tmp_path: Path) -> None:
    study = made_study(edits={name: clamp}, folder=tmp_path, ks=[4, 9])
    plain = made_study(edits={"clamp": clamp}, ks=[4, 9])
    own = study.results.replace({"edit": {name: "clamp"}})
    pd.testing.assert_frame_equal(own, plain.results)
    assert set(study.results.loc[study.results["kind"] == "random", "edit"]) == {name}


def test_two_edits_whose_names_look_alike_on_disk_are_two(tmp_path: Path) -> None:
    edits = {"a/b": clamp, "a-b": damp}
    study = made_study(edits=edits, folder=tmp_path)
    for name, make in edits.items():
        alone = made_study(edits={name: make}).results
        own = study.results[study.results["edit"] == name].reset_index(drop=True)
        expected = alone[alone["edit"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, expected)


def test_a_finished_study_asks_the_model_for_nothing(tmp_path: Path) -> None:
    costed, model = text("cost"), Model()
    first = made_study(folder=tmp_path, ks=[4, 9], costed=costed)
    again = made_study(model=model, folder=tmp_path, ks=[4, 9], costed=costed)
    assert model.asked == []
    pd.testing.assert_frame_equal(again.results, first.results)
    pd.testing.assert_frame_equal(again.doses, first.doses)


def test_a_damaged_measurement_is_measured_again(tmp_path: Path) -> None:
    first = made_study(folder=tmp_path, ks=[4, 9], costed=text("cost"))
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    for path in files[::2]:
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(data)
    again = made_study(folder=tmp_path, ks=[4, 9], costed=text("cost"))
    pd.testing.assert_frame_equal(again.results, first.results)
    pd.testing.assert_frame_equal(again.doses, first.doses)


@pytest.mark.parametrize("other", OTHERS)
def test_nothing_is_read_back_for_another_study(other: str, tmp_path: Path) -> None:
    made_study(folder=tmp_path, ks=[4, 9])
    model = Model()
    found = made_study(model=model, folder=tmp_path, ks=[4, 9], **OTHERS[other])
    assert model.asked
    fresh = made_study(ks=[4, 9], **OTHERS[other])
    pd.testing.assert_frame_equal(found.results, fresh.results)
    pd.testing.assert_frame_equal(found.doses, fresh.doses)


def test_the_reading_is_part_of_every_key(tmp_path: Path) -> None:
    made_study(folder=tmp_path, ks=[4, 9], costed=text("cost"))
    before = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    made_study(folder=tmp_path, ks=[4, 9], costed=text("cost"), reading=Reading(truncate=True))
    after = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in before)
