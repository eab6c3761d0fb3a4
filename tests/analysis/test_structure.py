"""Each measure against an independent implementation, and what it is and is not blind to."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group, pearsonr, skew
from sklearn.cluster import KMeans
from sklearn.metrics import v_measure_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from mechsteer import analysis
from mechsteer.errors import MechsteerError


def related(n: int = 60, d: int = 8, *, noise: float = 0.7, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return tuple(
        base + noise * torch.randn(n, d, generator=generator, dtype=torch.float64) for _ in "xy"
    )


def rotated(x: Tensor) -> Tensor:
    return x @ torch.from_numpy(ortho_group.rvs(x.shape[1], random_state=1))


MEASURES = {
    "anc": analysis.neuron_correlation,
    "procrustes": analysis.procrustes,
    "mutual neighbours": lambda x, y: float(analysis.mutual_neighbours(x, y, k=5).mean()),
    "translation auroc": analysis.translation_auroc,
    "raw translation auroc": lambda x, y: analysis.translation_auroc(x, y, centred=False),
    "debiased cka": analysis.debiased_cka,
}


@pytest.mark.parametrize("absolute", [False, True])
def test_anc_equals_scipy(absolute: bool) -> None:
    x, y = related()
    x[:, 3] = 2.0
    r = [pearsonr(a, b).statistic for k, (a, b) in enumerate(zip(x.T, y.T, strict=True)) if k != 3]
    expected = np.sum(np.abs(r) if absolute else r) / 8
    assert analysis.neuron_correlation(x, y, absolute=absolute) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [60, 6])
def test_procrustes_equals_scipy(n: int) -> None:
    x, y = related(n)
    u, v = x - x.mean(0), y - y.mean(0)
    _, scale = orthogonal_procrustes(u.numpy(), v.numpy())
    expected = scale / (u.norm() * v.norm())
    assert analysis.procrustes(x, y) == pytest.approx(float(expected), abs=1e-9)
    assert analysis.procrustes(x, rotated(x)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("n", [60, 6])
def test_biased_cka_equals_its_definition_and_names_its_bias(n: int) -> None:
    x, y = related(n)
    u, v = (x - x.mean(0)).numpy(), (y - y.mean(0)).numpy()
    top = np.linalg.norm(v.T @ u) ** 2
    expected = top / (np.linalg.norm(u.T @ u) * np.linalg.norm(v.T @ v))
    with pytest.warns(UserWarning, match=f"about {8 / (n + 8):.2f}"):
        assert analysis.biased_cka(x, y) == pytest.approx(expected, abs=1e-9)


def test_biased_cka_of_many_sentences_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert analysis.biased_cka(*related(19 * 8)) > 0.3


def test_mutual_neighbours_equal_scikit_learn() -> None:
    x, y = related(40)
    sets = []
    for space in (x, y):
        moved = (space - space.mean(0)).numpy()
        finder = NearestNeighbors(n_neighbors=7, metric="cosine").fit(moved)
        sets.append([set(row) for row in finder.kneighbors(return_distance=False)])
    expected = [len(a & b) / 7 for a, b in zip(*sets, strict=True)]
    assert analysis.mutual_neighbours(x, y, k=7).tolist() == expected


def test_translation_auroc_equals_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    x, y = related(25)
    x[3], y[3] = x[4], y[4]  # ties
    for centred in (True, False):
        u, v = ((e - e.mean(0) if centred else e) for e in (x, y))
        u, v = (e / e.norm(dim=1, keepdim=True) for e in (u, v))
        cosine = (u @ v.T).flatten().numpy().round(12)
        expected = roc_auc_score(np.eye(25, dtype=bool).ravel(), cosine)
        found = analysis.translation_auroc(x, y, centred=centred)
        assert found == pytest.approx(expected, abs=2e-4)  # rounding may part the planted ties


@pytest.mark.parametrize("name", MEASURES)
def test_scale_does_not_matter(name: str) -> None:
    x, y = related()
    assert MEASURES[name](3 * x, y) == pytest.approx(MEASURES[name](x, y), abs=1e-9)


@pytest.mark.parametrize("name", [name for name in MEASURES if not name.startswith("raw")])
def test_an_offset_of_one_language_does_not_matter(name: str) -> None:
    x, y = related()
    moved = x + 5 * torch.arange(8)
    assert MEASURES[name](moved, y) == pytest.approx(MEASURES[name](x, y), abs=1e-9)


def test_the_raw_translation_auroc_is_not_blind_to_an_offset() -> None:
    x, y = related()
    before = analysis.translation_auroc(x, y, centred=False)
    after = analysis.translation_auroc(x + 5 * torch.arange(8), y, centred=False)
    assert abs(before - after) > 0.05


@pytest.mark.parametrize("name", ["procrustes", "debiased cka", "mutual neighbours"])
def test_a_rotation_of_one_language_does_not_matter(name: str) -> None:
    x, y = related()
    assert MEASURES[name](rotated(x), y) == pytest.approx(MEASURES[name](x, y), abs=1e-9)


@pytest.mark.parametrize("name", ["anc", "translation auroc"])
def test_a_rotation_of_one_language_matters_where_dimensions_are_compared(name: str) -> None:
    x, y = related()
    assert abs(MEASURES[name](rotated(x), y) - MEASURES[name](x, y)) > 0.1


@pytest.mark.parametrize("name", MEASURES)
def test_spaces_that_have_no_structure_are_refused(name: str) -> None:
    x, y = related()
    x[2, 1] = float("nan")
    with pytest.raises(MechsteerError, match="NaN"):
        MEASURES[name](x, y)
    if not name.startswith("raw"):
        with pytest.raises(MechsteerError):
            MEASURES[name](torch.ones(6, 4), torch.randn(6, 4))
    with pytest.raises(MechsteerError, match="two sentences"):
        MEASURES[name](x[:1], y[:1])


def test_hubness_counts_equal_brute_force_and_planted_hubs_are_found() -> None:
    x, y = related(50)
    cosine = (x / x.norm(dim=1, keepdim=True)) @ (y / y.norm(dim=1, keepdim=True)).T
    expected = torch.bincount(cosine.topk(10, dim=1).indices.flatten(), minlength=50)
    found = analysis.k_occurrence(x, y)
    assert torch.equal(found, expected)
    assert analysis.skewness(found) == pytest.approx(skew(expected.numpy()))
    assert analysis.anti_hubs(found) == (expected == 0).double().mean()
    crowd = x + 4 * x[0]  # queries lean towards one sentence
    hubs = analysis.k_occurrence(crowd, torch.cat((x[:1], y)))
    assert hubs[0] == 50 and analysis.skewness(hubs) > analysis.skewness(found)


def test_isotropy_knows_the_extremes() -> None:
    generator = torch.Generator().manual_seed(0)
    round_ = torch.linalg.qr(torch.randn(400, 16, generator=generator, dtype=torch.float64)).Q
    round_ = torch.cat((round_, -round_))
    line = torch.outer(torch.randn(50, generator=generator), torch.ones(16)) + 1e-9
    assert analysis.iso_score(round_) == pytest.approx(1, abs=1e-9)
    assert analysis.participation_ratio(round_) == pytest.approx(16, abs=1e-9)
    assert analysis.iso_score(line) == pytest.approx(0, abs=1e-6)
    assert analysis.participation_ratio(line) == pytest.approx(1, abs=1e-6)
    assert abs(analysis.mean_cosine(round_)) < 0.01
    assert analysis.mean_cosine(round_ + 10) > 0.99


def test_isotropy_equals_its_definition() -> None:
    x, _ = related(30)
    values = np.linalg.eigvalsh(np.cov(x.numpy().T))
    assert analysis.participation_ratio(x) == pytest.approx(values.sum() ** 2 / (values**2).sum())
    d = 8
    hat = np.sqrt(d) * values / np.linalg.norm(values)
    delta = np.linalg.norm(hat - 1) / np.sqrt(2 * (d - np.sqrt(d)))
    phi = (d - delta**2 * (d - np.sqrt(d))) ** 2 / d**2
    assert analysis.iso_score(x) == pytest.approx((d * phi - 1) / (d - 1))
    unit = x / x.norm(dim=1, keepdim=True)
    cosine = (unit @ unit.T)[~torch.eye(30, dtype=torch.bool)]
    assert analysis.mean_cosine(x) == pytest.approx(float(cosine.mean()))


def test_ranks_equal_sorting_and_mrr_recall_follow() -> None:
    x, y = related(30, noise=1.5)
    u, v = (e / e.norm(dim=1, keepdim=True) for e in (x, y))
    order = (u @ v.T).argsort(dim=1, descending=True)
    expected = [order[i].tolist().index(i) + 1 for i in range(30)]
    ranks = analysis.translation_ranks(x, y)
    assert ranks[0].tolist() == expected
    assert torch.equal(analysis.hits_at(ranks, 1), analysis.top1_hits(x, y))
    assert analysis.reciprocal_ranks(ranks)[0].mean() == pytest.approx(
        np.mean(1 / np.array(expected))
    )
    collapsed = torch.ones(5, 3)
    assert analysis.translation_ranks(collapsed, collapsed).unique().tolist() == [5]
    with pytest.raises(MechsteerError, match="k of 1"):
        analysis.hits_at(ranks, 0)


def test_the_mixed_pool_is_lost_to_ones_own_language() -> None:
    x, y = related(30, noise=0.1)
    apart = {"x": x + 20, "y": y - 20}
    assert analysis.retrieval({k: e - e.mean(0) for k, e in apart.items()}).top1[0, 1].all()
    assert not analysis.mixed_pool_hits(apart).any()
    together = analysis.mixed_pool_hits({"x": x, "y": y})
    assert together[0, 1].all() and together[1, 0].all() and not together[0, 0].any()


def test_neutrality_tells_apart_from_mixed() -> None:
    generator = torch.Generator().manual_seed(0)
    mixed = {code: torch.randn(60, 6, generator=generator) for code in "abc"}
    apart = {code: x + 8 * torch.eye(6)[i] for i, (code, x) in enumerate(mixed.items())}
    for measure in (analysis.probe_accuracy, analysis.centroid_accuracy):
        assert measure(apart) > 0.98
        assert measure(mixed) == pytest.approx(1 / 3, abs=0.12)
    assert analysis.silhouette(apart) > 0.5
    assert analysis.silhouette(mixed) < 0.1
    assert analysis.v_measure(apart) > 0.9
    assert analysis.v_measure(mixed) < 0.1
    unit = torch.cat([x / x.norm(dim=1, keepdim=True) for x in apart.values()]).double().numpy()
    found = KMeans(3, n_init=10, random_state=0).fit_predict(unit)
    assert analysis.v_measure(apart) == pytest.approx(
        v_measure_score(np.arange(3).repeat(60), found)
    )
    with pytest.raises(MechsteerError, match="2 to 60 folds"):
        analysis.probe_accuracy(mixed, folds=61)


def test_a_probe_never_sees_a_translation_of_what_it_is_tested_on() -> None:
    # each sentence is a point of its own shared by the languages: only memory could tell them
    generator = torch.Generator().manual_seed(0)
    points = 50 * torch.randn(40, 12, generator=generator)
    embeddings = {code: points + 0.01 * torch.randn(40, 12, generator=generator) for code in "ab"}
    assert analysis.probe_accuracy(embeddings) < 0.75


def test_subspace_angles_know_equal_and_orthogonal() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(40, 8)
    x[:, :3] = torch.randn(40, 3, generator=generator)
    y = torch.zeros(40, 8)
    y[:, 3:6] = torch.randn(40, 3, generator=generator)
    assert analysis.subspace_angles(x, 2 * x + 1, rank=3).max() < 1e-6
    assert analysis.subspace_angles(x, y, rank=3).min() == pytest.approx(np.pi / 2)
    with pytest.raises(MechsteerError, match="from 1 to 3"):
        analysis.subspace_angles(x, y, rank=4)
