"""A study of embeddings that lie on the disk is the study of those in memory, bit for bit."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from mechsteer.analysis import choose_k, language_means, largest_dimensions
from mechsteer.analysis.held import pairs
from mechsteer.corpus import ParallelCorpus
from mechsteer.interventions import Edit
from mechsteer.recording.on_disk import OnDisk
from mechsteer.studies.baselines import Baselines
from mechsteer.studies.conditions import CENTRING
from mechsteer.studies.measurements import measure
from mechsteer.studies.projection import Projection
from tests.studies.made import LAYERS, Model, N, made_study, space

ONE = LAYERS * N * 8 * 4  # bytes of a language


def on_disk(embeddings: dict[str, Tensor], room: int = 10 * ONE) -> OnDisk:
    return OnDisk.of(iter(embeddings.items()), room)


@pytest.mark.parametrize("room", [1, 10**9])
def test_what_is_measured_of_a_space_does_not_depend_on_where_it_lies(room: int) -> None:
    x, dev = space(0), space(1)
    held, held_dev = on_disk(x, room), on_disk(dev, room)
    projection = Projection.fit(dev, 2)
    bases, held_bases = Baselines.fit(dev), Baselines.fit(held_dev)
    assert torch.equal(bases.removed, held_bases.removed)
    for condition, apply in {"": lambda e: e, **bases.apply}.items():
        moved = held_bases.apply[condition](held) if condition else held
        assert isinstance(moved, OnDisk)
        probed = [2] if condition == CENTRING and room == 1 else []
        one, other = (measure(e, projection, probed=probed) for e in (apply(x), moved))
        for field in fields(one):
            mine, theirs = (getattr(own, field.name) for own in (one, other))
            same = (mine is None and theirs is None) or np.array_equal(mine, theirs, equal_nan=True)
            assert same, field.name


def test_what_is_fitted_on_dev_does_not_depend_on_where_it_lies() -> None:
    dev = space(3)
    held = on_disk(dev, 1)
    order = largest_dimensions(dev)
    assert torch.equal(order, largest_dimensions(held))
    assert torch.equal(choose_k(dev, order), choose_k(held, order))
    for language, mean in language_means(held).items():
        assert torch.equal(mean, language_means(dev)[language])
    exact, summed = Projection.fit(dev, 1), Projection.fit(held, 1)
    assert exact.fingerprint == Projection.fit(on_disk(dev), 1).fingerprint
    torch.testing.assert_close(exact.origin, summed.origin, rtol=0, atol=1e-12)
    torch.testing.assert_close(exact.axes, summed.axes, rtol=0, atol=1e-12)
    assert exact.explained == pytest.approx(summed.explained, abs=1e-12)


class FromDisk(Model):
    """The model of made studies, whose embeddings lie on the disk."""

    def embed(self, corpus: ParallelCorpus, edit: Edit | None) -> OnDisk:  # type: ignore[override]
        return on_disk(super().embed(corpus, edit))


def test_a_study_is_the_same_from_the_disk() -> None:
    options = {"tune": 10}
    whole, held = (made_study(model=model, **options) for model in (Model(), FromDisk()))
    for name in ("results", "doses", "experts", "projection", "hubness"):
        pd.testing.assert_frame_equal(
            getattr(whole, name), getattr(held, name), check_exact=True, obj=name
        )


def test_tiles_meet_every_pair_once_and_read_a_language_few_times() -> None:
    x = {f"l{i:02d}": torch.full((3, 2), float(i)) for i in range(13)}
    read: Counter[float] = Counter()

    def prepare(e: Tensor) -> float:
        read[float(e[0, 0])] += 1
        return float(e[0, 0])

    every = {(s, t) for s in range(13) for t in range(s + 1, 13)}
    for of, most in ((x, 1), (on_disk_2d(x, 2 * 4 * 24), 4), (on_disk_2d(x, 1), 13)):
        read.clear()
        met = list(pairs(of, prepare))
        assert len(met) == len(every)
        assert {(s, t) for s, t, *_ in met} == every
        assert all((one, other) == (s, t) for s, t, one, other in met)
        assert max(read.values()) <= most


def on_disk_2d(x: dict[str, Tensor], room: int):
    from mechsteer.analysis.held import at_layer

    return at_layer(OnDisk.of(((code, e[None]) for code, e in x.items()), room), 0)
