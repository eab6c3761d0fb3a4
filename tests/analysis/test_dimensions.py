from __future__ import annotations

import numpy as np
import pytest
import torch

from mechsteer.analysis import (
    choose_k,
    largest_dimensions,
    largest_share,
    standardisation,
    without_dimensions,
)
from mechsteer.errors import MechsteerError

LANGUAGES = ("deu_Latn", "fra_Latn", "jpn_Jpan")


def layered(*, layers: int = 2, n: int = 40, d: int = 24, massive: int = 0, size: float = 50.0):
    """Aligned sentences with noise; in layer 1 some dimensions are large and say nothing."""
    random = torch.Generator().manual_seed(3)
    meaning = torch.randn(layers, n, d, generator=random)
    found = {c: meaning + 0.8 * torch.randn(layers, n, d, generator=random) for c in LANGUAGES}
    for x in found.values():
        x[1, :, 5 : 5 + massive] = size * (1 + 0.1 * torch.randn(n, massive, generator=random))
    return found


def test_the_share_is_that_of_the_largest_sums_of_squares() -> None:
    x = layered(massive=2)["fra_Latn"][1]
    energy = np.sort((x.numpy().astype(np.float64) ** 2).sum(0))[::-1]
    for k in (1, 2, 24):
        assert largest_share(x, k=k) == pytest.approx(energy[:k].sum() / energy.sum(), rel=1e-12)
    assert largest_share(torch.ones(4, 8)) == pytest.approx(3 / 8)


def test_the_order_is_by_mean_square_of_languages_alike_and_the_first_of_equals() -> None:
    x = layered(massive=2)
    x["fra_Latn"] = x["fra_Latn"][:, :7]  # fewer sentences do not count less
    energy = np.mean([(e[1].double().numpy() ** 2).mean(0) for e in x.values()], axis=0)
    assert largest_dimensions(x)[1].tolist() == np.argsort(-energy, kind="stable").tolist()
    assert largest_dimensions({"fra_Latn": torch.ones(3, 5)}).tolist() == list(range(5))


def test_the_first_dimensions_of_each_layer_become_zero_and_no_others() -> None:
    x = layered(massive=2)
    order = largest_dimensions(x)
    moved = without_dimensions(x, order, torch.tensor([1, 3]))
    for language, e in x.items():
        for layer, k in enumerate((1, 3)):
            expected = e[layer].clone()
            expected[:, order[layer, :k]] = 0
            assert torch.equal(moved[language][layer], expected)
        assert torch.equal(without_dimensions(x, order, 0)[language], e)


def test_k_is_chosen_where_the_massive_dimensions_are_and_is_no_edge() -> None:
    with_them, without = layered(massive=3), layered()
    assert choose_k(with_them, largest_dimensions(with_them))[1] == 3
    # here a dimension is worth keeping
    assert choose_k(without, largest_dimensions(without)).tolist() == [0, 0]


def test_standardising_gives_every_dimension_mean_0_and_deviation_1_of_dev() -> None:
    x = layered(massive=2)
    x |= {language: torch.cat((e, torch.full((2, 40, 1), 7.0)), -1) for language, e in x.items()}
    pooled = torch.cat([*standardisation(x)(x).values()], dim=1).double()
    assert pooled.mean(1).abs().max() < 1e-5
    deviation = pooled.std(1, correction=0)
    torch.testing.assert_close(deviation[:, :-1], torch.ones(2, 24).double(), rtol=0, atol=1e-5)
    assert not pooled[..., -1].any()  # a constant says nothing, and divides by nothing


def test_what_does_not_fit_is_refused() -> None:
    x = layered()
    order = largest_dimensions(x)
    for k in (-1, 24):
        with pytest.raises(MechsteerError, match=rf"from 0 to 23 of 24 dimensions, got {k}"):
            without_dimensions(x, order, k)
    with pytest.raises(MechsteerError, match="from 1 to 24"):
        largest_share(x["fra_Latn"][0], k=0)
    other = {"fra_Latn": torch.ones(2, 3, 9)}
    for apply in (standardisation(x), lambda e: without_dimensions(e, order, 1)):
        with pytest.raises(MechsteerError, match="fra_Latn: the dimensions were fitted on"):
            apply(other)
