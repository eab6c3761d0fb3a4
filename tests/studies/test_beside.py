"""Differences of two studies against an independent computation from their sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mechsteer.errors import ArtifactError
from mechsteer.studies.beside import Side, common_arms, differences
from mechsteer.studies.conditions import BASE, CENTRING
from tests.studies.made import Model, made_study, text


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Side]:
    """Two studies of the same sentences, and one of others and fewer."""
    found = {}
    for name, options in {
        "first": {"model": Model(0), "ks": [4]},
        "second": {"model": Model(1), "ks": [9]},
        "other": {"model": Model(0), "ks": [4], "test": text("test", n=17)},
    }.items():
        folder = tmp_path_factory.mktemp(name)
        study = made_study(folder=folder, seeds=[0], targets=["fra_Latn"], **options)
        found[name] = Side(name, study, folder / "test")
    return found


def by_hand(side: Side, condition, metric: str, layer: int) -> np.ndarray:
    """Share of the ordered pairs that each sentence hits, one loop a pair."""
    kept = side.states / f"{condition.file_name}.safetensors"
    from safetensors.numpy import load_file

    hits = load_file(kept)[{"retrieval_top1": "top1", "mexa": "mexa"}[metric]][layer]
    n = len(hits)
    pairs = [hits[s, t] for s in range(n) for t in range(n) if s != t]
    return np.mean(pairs, axis=0)


def test_levels_and_changes_are_differences_of_means(sides: dict[str, Side]) -> None:
    first, second = sides["first"], sides["second"]
    found = differences(first, second)
    assert set(found["paired"]) == {True}
    assert set(found["of"]) == {"level", "change"}
    arms = {(c.arm, c.language or ""): (c, d) for c, d in common_arms(first, second)}
    assert len(found) == 2 * len(arms) * len(first.study.places)
    for row in found.itertuples():
        both = next(
            b
            for (arm, code), b in arms.items()
            if arm == (row.kind, row.edit) and code == row.language
        )
        values = []
        for side, condition in zip((first, second), both, strict=True):
            layer = side.study.places[row.place]
            own = by_hand(side, condition, row.metric, layer)
            base = by_hand(side, BASE, row.metric, layer)
            values.append(own if row.of == "level" else own - base)
        assert row.first == pytest.approx(values[0].mean(), abs=1e-12)
        assert row.second == pytest.approx(values[1].mean(), abs=1e-12)
        gap = values[1] - values[0]
        assert row.difference == pytest.approx(gap.mean(), abs=1e-12)
        draws = np.random.default_rng(1).choice(gap, (4000, len(gap))).mean(1)
        assert (row.low, row.high) == pytest.approx(np.quantile(draws, (0.025, 0.975)), abs=0.02)


def test_the_results_say_the_same_levels(sides: dict[str, Side]) -> None:
    found = differences(sides["first"], sides["second"])
    level = found[(found["of"] == "level") & (found["metric"] == "retrieval_top1")]
    for row in level.itertuples():
        side = sides["second"]
        told = side.means(BASE, "retrieval_top1")[side.study.places[row.place]]
        assert row.second == pytest.approx(told, abs=1e-12)


def test_other_sentences_are_not_paired_and_have_welchs_interval(sides: dict[str, Side]) -> None:
    from scipy.stats import ttest_ind

    first, other = sides["first"], sides["other"]
    found = differences(first, other)
    assert set(found["paired"]) == {False}
    row = found.query("of == 'level' and place == 'last_block' and metric == 'mexa'").iloc[0]
    layer = first.study.places["last_block"]
    x, y = (by_hand(side, BASE, "mexa", layer) for side in (first, other))
    expected = ttest_ind(y, x, equal_var=False).confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_a_study_differs_from_itself_by_exactly_nothing(sides: dict[str, Side]) -> None:
    found = differences(sides["first"], sides["first"])
    assert not found[["difference", "low", "high"]].to_numpy(dtype=float).any()


def test_without_sentences_there_are_no_differences(sides: dict[str, Side]) -> None:
    first, second = sides["first"], sides["second"]
    assert differences(first, replace(second, states=None)).empty
    gone = replace(second, states=Path("/nonexistent"))
    assert differences(first, gone).empty


def test_only_languages_of_both_are_compared(sides: dict[str, Side]) -> None:
    first, second = sides["first"], sides["second"]
    left = first.languages[:2]
    kept = [*left, "*"]
    rows = second.study.results
    fewer = rows[rows["source"].isin(kept) & rows["target"].isin(kept)]
    part = replace(second, study=replace(second.study, results=fewer))
    assert part.languages == left
    with pytest.raises(ArtifactError, match="not what the results of second were made from"):
        differences(first, part)  # what was kept is of other languages


def test_the_same_sentences_in_fewer_languages_are_paired(
    sides: dict[str, Side], tmp_path: Path
) -> None:
    first, codes = sides["first"], sides["first"].languages[:3]
    study = made_study(folder=tmp_path, seeds=[0], ks=[4], test=text("test", languages=codes))
    few = Side("few", study, tmp_path / "test")
    found = differences(few, first)
    assert set(found["paired"]) == {True} and set(found["pairs"]) == {6}
    assert not found["difference"].to_numpy(dtype=float).any()
    changed = replace(few, study=replace(study, provenance=study.provenance | {"test": {}}))
    assert set(differences(changed, first)["paired"]) == {False}


def test_sentences_that_do_not_belong_to_the_results_are_refused(sides: dict[str, Side]) -> None:
    first, second = sides["first"], sides["second"]
    with pytest.raises(ArtifactError, match="study again"):
        differences(first, replace(second, states=first.states))


def test_damaged_sentences_are_refused(sides: dict[str, Side], tmp_path: Path) -> None:
    name = f"{BASE.file_name}.safetensors"
    data = bytearray((sides["first"].states / name).read_bytes())
    data[-1] ^= 1
    (tmp_path / name).write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match="damaged"):
        differences(replace(sides["first"], states=tmp_path), sides["second"])


def test_baselines_of_both_are_compared(sides: dict[str, Side]) -> None:
    first, second = sides["first"], sides["second"]
    assert (CENTRING, CENTRING) in common_arms(first, second)
    bare = second.study.results.query("kind != 'centring'")
    without = replace(second, study=replace(second.study, results=bare))
    assert (CENTRING, CENTRING) not in common_arms(first, without)
    assert isinstance(differences(first, without), pd.DataFrame)
