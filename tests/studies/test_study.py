from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import mechsteer as ms
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.model.load import load_model
from mechsteer.studies import bench
from mechsteer.studies.results import COLUMNS
from mechsteer.studies.states import Measures, State, measure
from mechsteer.studies.tabulate import tabulate

LANGUAGES = ("eng_Latn", "fra_Latn", "jpn_Jpan")


def made_measures(seed: int, *, n: int = 20, layers: int = 2) -> Measures:
    generator = torch.Generator().manual_seed(seed)
    return measure({code: torch.randn(layers, n, 8, generator=generator) + 1 for code in LANGUAGES})


def table(**states: Measures) -> pd.DataFrame:
    named = {"base": State(), "clamp": State("clamp", "fra_Latn", 5)}
    measured = {named[name]: measures for name, measures in states.items()}
    return tabulate(measured, LANGUAGES, targets=["fra_Latn"], resamples=200)


def cell(rows: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1, rows
    return rows.iloc[0]


def test_every_mean_equals_a_plain_loop_over_pairs() -> None:
    measures = made_measures(0)
    rows = table(base=measures)
    for layer in range(2):
        found: list[float] = []
        for s, source in enumerate(LANGUAGES):
            own = []
            for t, target in enumerate(LANGUAGES):
                if s != t:
                    value = measures.top1[layer, s, t].float().mean().item()
                    where = {"layer": layer, "metric": "retrieval_top1"}
                    pair = cell(rows, source=source, target=target, **where)
                    # means of 20 booleans: exact but for one rounding
                    assert pair["value"] == pytest.approx(value, abs=1e-6)
                    own.append(value)
            row = cell(rows, source=source, target="*", layer=layer, metric="retrieval_top1")
            assert row["value"] == pytest.approx(sum(own) / len(own), abs=1e-6)
            found += own
        row = cell(rows, source="*", target="*", layer=layer, metric="retrieval_top1")
        assert row["value"] == pytest.approx(sum(found) / len(found), abs=1e-6)
        assert row["ci_low"] <= row["value"] <= row["ci_high"]


def test_deltas_are_paired_with_the_untouched_model() -> None:
    base, edited = made_measures(0), made_measures(1)
    rows = table(base=base, clamp=edited)
    where = {"source": "fra_Latn", "target": "jpn_Jpan", "layer": 1, "edit": "clamp"}
    change = cell(rows, metric="mexa.delta", **where)["value"]
    expected = edited.mexa[1, 1, 2].float().mean() - base.mexa[1, 1, 2].float().mean()
    assert change == pytest.approx(expected.item(), abs=1e-6)


def test_an_edit_that_changes_nothing_has_a_change_of_exactly_zero() -> None:
    measures = made_measures(0)
    rows = table(base=measures, clamp=measures)
    changes = rows[rows["metric"].str.endswith(".delta")]
    assert len(changes)
    assert (changes[["value", "ci_low", "ci_high"]] == 0).all(axis=None)


def test_the_table_has_the_documented_columns_and_no_repeated_observation() -> None:
    rows = table(base=made_measures(0), clamp=made_measures(1))
    assert tuple(rows.columns) == COLUMNS
    assert not rows.duplicated(list(COLUMNS[:9])).any()
    assert rows["value"].notna().all()


def test_measures_come_back_from_disk_only_for_equal_inputs(tmp_path: Path) -> None:
    measures = made_measures(0)
    measures.save(tmp_path / "m.safetensors", "key")
    found = Measures.load(tmp_path / "m.safetensors", "key")
    assert found is not None
    assert torch.equal(found.top1, measures.top1)
    assert Measures.load(tmp_path / "m.safetensors", "another") is None
    (tmp_path / "m.safetensors").write_bytes(b"damaged")
    assert Measures.load(tmp_path / "m.safetensors", "key") is None


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def dev() -> ms.ParallelCorpus:
    return ms.ParallelCorpus.embedded("dev", languages=LANGUAGES).head(24)


@pytest.fixture(scope="module")
def test() -> ms.ParallelCorpus:
    return ms.ParallelCorpus.embedded("test", languages=LANGUAGES).head(24)


@pytest.fixture(scope="module")
def found(model: Any, dev: Any, test: Any, tmp_path_factory: Any) -> tuple[ms.Study, Path]:
    folder = tmp_path_factory.mktemp("study")
    study = ms.study(
        model, dev=dev, test=test, targets=["fra_Latn"], ks=[10, 40], seeds=[0, 1], directory=folder
    )
    return study, folder


def test_a_study_holds_every_state_once(found: tuple[ms.Study, Path]) -> None:
    rows = found[0].results
    states = set(rows[["edit", "language", "k", "seed"]].itertuples(index=False, name=None))
    k = found[0].chosen[0].k
    assert states == {
        ("none", "", 0, -1),
        ("centring", "", 0, -1),
        ("clamp", "fra_Latn", 10, -1),
        ("clamp", "fra_Latn", 40, -1),
        ("random", "fra_Latn", k, 0),
        ("random", "fra_Latn", k, 1),
    }


def test_the_k_chosen_is_the_best_on_dev(
    model: Any, dev: Any, found: tuple[ms.Study, Path]
) -> None:
    study, _ = found
    scores = ms.score(model, dev)
    value = {}
    for k in (10, 40):
        with ms.steer(model, ms.clamp(scores.top("fra_Latn", k))):
            hits = measure(ms.embed(model, dev)).top1[study.best_layer]
        value[k] = hits.double().sum().item()
    assert value[study.chosen[0].k] == max(value.values())


def test_a_finished_study_runs_no_model(
    model: Any, dev: Any, test: Any, found: tuple[ms.Study, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was run again")

    monkeypatch.setattr(bench, "embed", forward)
    again = ms.study(
        model, dev=dev, test=test, targets=["fra_Latn"], ks=[10, 40], seeds=[0, 1],
        directory=found[1],
    )  # fmt: skip
    pd.testing.assert_frame_equal(again.results, found[0].results)


def test_a_study_leaves_the_model_as_it_was(model: Any, found: tuple[ms.Study, Path]) -> None:
    del found
    assert not any(point.fwd_hooks for point in set(model.hook_dict.values()))


def test_experts_carry_the_value_they_are_held_at(found: tuple[ms.Study, Path]) -> None:
    experts = found[0].experts
    assert (experts["value"] == experts["median"]).all()
    assert set(experts["language"]) == {"fra_Latn"}


def test_corpora_that_do_not_fit_are_refused(model: Any, dev: Any, test: Any) -> None:
    with pytest.raises(CorpusError, match="the same sentences"):
        ms.study(model, dev=dev, test=dev)
    with pytest.raises(CorpusError, match=r"jpn_Jpan.*not in both"):
        ms.study(model, dev=dev.select(["eng_Latn", "fra_Latn"]), test=test)
    with pytest.raises(MechsteerError, match="'deu_Latn' was not scored"):
        ms.study(model, dev=dev, test=test, targets=["deu_Latn"])


def test_several_edits_have_a_control_each(model: Any, dev: Any, test: Any) -> None:
    edits = {
        "clamp": ms.clamp,
        "half": lambda experts: replace(ms.clamp(experts), name="half").scaled(0.5),
    }
    study = ms.study(
        model, dev=dev, test=test, targets=["jpn_Jpan"], edits=edits, ks=[10], seeds=[0]
    )
    assert set(study.results["edit"]) == {
        "none", "centring", "clamp", "half", "random clamp", "random half",
    }  # fmt: skip
