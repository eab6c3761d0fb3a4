from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import mechsteer as ms
from mechsteer.errors import MechsteerError
from mechsteer.experts.controls import displacements
from mechsteer.experts.scores import NeuronScores
from mechsteer.model.sites import HookSite, Site

WIDTHS = (60, 80, 40)
SITE = Site("post", tuple(HookSite("post", i, f"blocks.{i}", w) for i, w in enumerate(WIDTHS)))


def made(seed: int = 0) -> NeuronScores:
    """Half of the neurons have an AUROC next to a half."""
    random = torch.Generator().manual_seed(seed)
    n = SITE.n_neurons
    names = ("ap", "mean", "median", "std", "rest_mean", "rest_std")
    tables = {name: torch.rand(2, n, generator=random) for name in names}
    null = torch.rand(2, n, generator=random) < 0.5
    near = 0.45 + 0.1 * torch.rand(2, n, generator=random)
    auroc = torch.where(null, near, torch.rand(2, n, generator=random))
    languages = ("fra_Latn", "jpn_Jpan")
    return NeuronScores(languages, SITE, "max", (30, 50), 100, auroc=auroc, **tables)


def per_point(experts: ms.Experts) -> list[int]:
    layers = [SITE.locate(flat)[1] for flat in experts.index.tolist()]
    return np.bincount(layers, minlength=3).tolist()


@pytest.mark.parametrize("seed", range(4))
def test_random_neurons_can_take_the_values_of_the_experts(seed: int) -> None:
    scores = made()
    experts = scores.top("jpn_Jpan", 25)
    own = ms.experts.random_like(scores, experts, seed=seed)
    held = ms.experts.random_like(scores, experts, seed=seed, values_of="experts")
    assert torch.equal(held.index, own.index)
    assert torch.equal(own.mean, scores.mean[1, own.index])
    for layer in range(3):
        control, expert = held.in_layer(layer), experts.in_layer(layer)
        pairs = zip(control.mean.tolist(), control.median.tolist(), strict=True)
        assert sorted(pairs) == sorted(
            zip(expert.mean.tolist(), expert.median.tolist(), strict=True)
        )


def test_unknown_values_of_a_control_are_refused() -> None:
    scores = made()
    with pytest.raises(MechsteerError, match="'own' or 'experts'"):
        ms.experts.random_like(scores, scores.top("fra_Latn", 3), seed=0, values_of="others")


@pytest.mark.parametrize("seed", range(4))
def test_null_neurons_tell_nothing_and_move_as_far(seed: int) -> None:
    scores = made()
    experts = scores.top("fra_Latn", 20, by="auroc")
    control = ms.experts.null_like(scores, experts, seed=seed)
    assert ((control.auroc - 0.5).abs() < 0.05).all()
    assert not set(control.index.tolist()) & set(experts.index.tolist())
    assert per_point(control) == per_point(experts)
    rest = scores.rest_mean[0]
    for name in ("mean", "median"):
        moved = [getattr(e, name) - rest[e.index] for e in (experts, control)]
        # two float32 roundings of values below 2
        torch.testing.assert_close(moved[0], moved[1], rtol=0, atol=4e-7)
    assert torch.equal(ms.experts.null_like(scores, experts, seed=seed).index, control.index)


def test_null_neurons_are_among_the_nearest_in_deviation() -> None:
    scores = made()
    experts = scores.top("fra_Latn", 8, by="auroc")
    control = ms.experts.null_like(scores, experts, seed=1, nearest=1)
    spread, left = scores.rest_std[0], (scores.auroc[0] - 0.5).abs() < 0.05
    left[experts.index] = False
    for expert, chosen in zip(experts.index.tolist(), control.index.tolist(), strict=True):
        layer = SITE.locate(expert)[1]
        here = [m for m in left.nonzero()[:, 0].tolist() if SITE.locate(m)[1] == layer]
        assert chosen == min(here, key=lambda m: abs(float(spread[m] - spread[expert])))
        left[chosen] = False
    draws = {tuple(ms.experts.null_like(scores, experts, seed=s).index.tolist()) for s in range(5)}
    assert len(draws) == 5


def test_too_few_null_neurons_are_refused() -> None:
    scores = made()
    experts = scores.top("fra_Latn", 30, by="auroc")
    with pytest.raises(MechsteerError, match="0 neurons that tell nothing"):
        ms.experts.null_like(scores, experts, seed=0, tolerance=0)


def test_the_match_of_a_control_is_reported_pair_by_pair() -> None:
    scores = made()
    experts = scores.top("fra_Latn", 12, by="auroc")
    control = ms.experts.null_like(scores, experts, seed=3)
    table = displacements(scores, experts, control)
    assert table["expert"].tolist() == experts.index.tolist()
    assert table["control"].tolist() == control.index.tolist()
    assert table["layer"].tolist() == [SITE.locate(m)[1] for m in experts.index.tolist()]
    expected = scores.median[0, experts.index] - scores.rest_mean[0, experts.index]
    np.testing.assert_allclose(table["expert.d"], expected.numpy(), rtol=1e-6)
    np.testing.assert_allclose(table["control.d"], table["expert.d"], atol=4e-7)
    spread = scores.rest_std[0, control.index].numpy()
    np.testing.assert_allclose(
        table["control.sd"], table["control.d"].to_numpy() / spread, rtol=1e-6
    )
    with pytest.raises(MechsteerError, match="as many control neurons"):
        displacements(scores, experts, control.pick([0, 1]))
    with pytest.raises(MechsteerError, match="of one language"):
        displacements(scores, experts, replace(control, language="jpn_Jpan"))
