"""What is measured of one condition, kept and read back."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from mechsteer.analysis import debiased_cka, probe_accuracy, retrieval, translation_margin
from mechsteer.errors import MechsteerError
from mechsteer.studies.measurements import Measurements, measure
from mechsteer.studies.projection import Projection
from mechsteer.studies.quality import CHEAP, COSTLY, QUALITIES, qualities
from tests.made import LANGUAGES
from tests.studies.made import LAYERS, N, measured, space


def test_a_measurement_comes_back_only_whole_and_for_equal_inputs(tmp_path: Path) -> None:
    own, path = measured(0), tmp_path / "m.safetensors"
    own.save(path, "key")
    found = Measurements.load(path, "key")
    assert found is not None
    for field in fields(own):
        mine, theirs = getattr(own, field.name), getattr(found, field.name)
        assert (mine is None and theirs is None) or torch.equal(mine, theirs)
    assert Measurements.load(path, "another") is None
    assert Measurements.load(tmp_path / "none", "key") is None
    whole = path.read_bytes()
    for place in (len(whole) - 1, len(whole) - 5000 % len(whole), 9):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert Measurements.load(path, "key") is None
    path.write_bytes(b"damaged")
    assert Measurements.load(path, "key") is None


def test_each_layer_is_measured_by_itself() -> None:
    x = space(0)
    own = measure(x)
    for layer in range(LAYERS):
        hits = retrieval({code: e[layer] for code, e in x.items()})
        assert torch.equal(own.top1[layer], hits.top1)
        assert torch.equal(own.margin[layer], hits.margin)
        assert torch.equal(own.mexa[layer], hits.mexa)
    assert own.mean_distance.shape == (LAYERS, 3, 3)
    centre = own.mean_distance.sum(2).argmin(1)
    assert torch.equal(own.medoid_distance, own.mean_distance[range(LAYERS), centre])


def test_hubs_and_places_are_there_with_a_projection_and_qualities_when_asked() -> None:
    x = space(0)
    bare, full = measure(x), measure(x, Projection.fit(x, 1), probed=[2])
    assert bare.occurrence is bare.coordinates is bare.quality is None
    assert int(full.occurrence.sum()) == 6 * N
    assert full.coordinates.shape == (3, N, 2)
    assert full.quality.shape == (len(QUALITIES), LAYERS)


def test_the_projection_is_that_of_the_base_at_its_layer() -> None:
    base, edited = space(0), space(1)
    projection = Projection.fit(base, 1)
    rows = torch.cat([x[1] for x in base.values()]).double().numpy()
    pca = PCA(2, svd_solver="full").fit(rows)
    assert projection.explained == pytest.approx(pca.explained_variance_ratio_.tolist())
    for own in (base, edited):
        place = projection.coordinates(own)
        for i, code in enumerate(LANGUAGES):
            expected = pca.transform(own[code][1].double().numpy())
            # two solvers in float64, stored in float32; both turn an axis by its largest entry
            np.testing.assert_allclose(place[i].numpy(), expected, atol=1e-5)
    prints = {Projection.fit(x, layer).fingerprint for x in (base, edited) for layer in (1, 2)}
    assert len(prints) == 4


@pytest.mark.parametrize("shape", [(2, 5, 1), (2, 5, 3)])
def test_sentences_on_no_plane_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(MechsteerError, match="no plane"):
        Projection.fit({code: torch.ones(shape) for code in LANGUAGES}, 1)


def test_qualities_are_those_of_the_metrics_the_costly_ones_where_asked() -> None:
    x = space(0)
    rows = dict(zip(QUALITIES, qualities(x, [1]), strict=True))
    assert all(rows[name].isfinite().all() for name in CHEAP)
    assert all(rows[name].isfinite().tolist() == [False, True, False, False] for name in COSTLY)
    at = {code: e[1] for code, e in x.items()}
    a, b, c = at.values()
    pairs = ((a, b), (a, c), (b, c))
    cka = sum(debiased_cka(*pair) for pair in pairs) / 3
    margin = sum(translation_margin(*pair).mean().item() for pair in pairs) / 3
    assert rows["cka_debiased"][1] == pytest.approx(cka, abs=1e-12)
    assert rows["translation_margin"][1] == pytest.approx(margin, abs=1e-12)
    assert rows["probe_accuracy"][1] == pytest.approx(probe_accuracy(at))
