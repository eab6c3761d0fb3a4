from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine as cosine_distance
from scipy.stats import ortho_group
from torch import Tensor

from mechsteer import analysis
from mechsteer.errors import MechsteerError

LANGUAGES = ("eng_Latn", "fra_Latn", "jpn_Jpan")


def spaces(n: int = 30, d: int = 8, *, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {code: torch.randn(n, d, generator=generator) for code in LANGUAGES}


def test_pair_distances_equal_scipy() -> None:
    embeddings = spaces()
    found = analysis.pair_distances(embeddings)
    for s, source in enumerate(LANGUAGES):
        for t, target in enumerate(LANGUAGES):
            for i in range(30):
                expected = cosine_distance(embeddings[source][i], embeddings[target][i])
                # float32 dot products of unit vectors: 8 terms, error below 1e-6
                assert found[s, t, i] == pytest.approx(expected if s != t else 0.0, abs=1e-6)


def test_mean_distances_and_the_medoid_equal_their_definition() -> None:
    embeddings = spaces()
    found = analysis.mean_distances(embeddings)
    means = [x.double().mean(0).numpy() for x in embeddings.values()]
    expected = np.array([[cosine_distance(a, b) for b in means] for a in means])
    assert np.allclose(found, expected, atol=1e-12)
    assert analysis.medoid(found) == expected.sum(1).argmin()


def test_a_common_offset_shrinks_every_distance_and_aligns_nothing() -> None:
    before = spaces(n=100)
    after = {code: x + 5 for code, x in before.items()}
    assert analysis.pair_distances(after).mean() < 0.2 * analysis.pair_distances(before).mean()
    assert analysis.mean_distances(after).max() < 0.2 * analysis.mean_distances(before).max()
    for code in ("fra_Latn", "jpn_Jpan"):
        margins = [analysis.translation_margin(e["eng_Latn"], e[code]) for e in (before, after)]
        # the offset 5 costs float32 rounding of 5 * 6e-8 relative to embeddings of size 1
        assert torch.allclose(*margins, atol=1e-5)
        cka = [analysis.debiased_cka(e["eng_Latn"], e[code]) for e in (before, after)]
        assert cka[0] == pytest.approx(cka[1], abs=1e-5)


@pytest.mark.parametrize("centred", [True, False])
def test_the_translation_margin_equals_a_double_loop(centred: bool) -> None:
    x, y = (e.double() for e in list(spaces().values())[:2])
    found = analysis.translation_margin(x, y, centred=centred)
    if centred:
        x, y = x - x.mean(0), y - y.mean(0)
    for i in range(len(x)):
        rivals = [
            (2 - cosine_distance(x[i], y[j]) - cosine_distance(x[j], y[i])) / 2
            for j in range(len(x))
            if j != i
        ]
        expected = 1 - cosine_distance(x[i], y[i]) - np.mean(rivals)
        assert found[i] == pytest.approx(expected, abs=1e-10)


def hsic(k: np.ndarray, m: np.ndarray) -> float:
    """Song et al. 2012, equation 5, term by term."""
    k, m = k.copy(), m.copy()
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    n = len(k)
    one = np.ones(n)
    cross = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ m) + cross - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))


def test_debiased_cka_equals_the_unbiased_hsic_formula() -> None:
    x, y = (e.double() for e in list(spaces(n=25).values())[:2])
    k, m = (x @ x.T).numpy(), (y @ y.T).numpy()
    expected = hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
    assert analysis.debiased_cka(x, y) == pytest.approx(expected, abs=1e-10)


def test_debiased_cka_is_one_up_to_rotation_scale_and_offset() -> None:
    x = spaces(n=60)["eng_Latn"].double()
    turn = torch.from_numpy(ortho_group.rvs(8, random_state=0))
    assert analysis.debiased_cka(x, 3 * x @ turn + 2) == pytest.approx(1, abs=1e-10)


def test_debiased_cka_is_near_zero_where_the_biased_form_is_not() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 100, 400, generator=generator, dtype=torch.float64)
    # the biased form would say about d / (n + d) = 0.8; the standard deviation here is about 0.01
    assert abs(analysis.debiased_cka(x, y)) < 0.05


def test_spaces_without_variation_and_too_few_sentences_are_refused() -> None:
    x = spaces()["eng_Latn"]
    with pytest.raises(MechsteerError, match="all alike"):
        analysis.debiased_cka(x, torch.ones_like(x))
    with pytest.raises(MechsteerError, match="four sentences"):
        analysis.debiased_cka(x[:3], x[:3])
    with pytest.raises(MechsteerError, match="mean embedding is zero"):
        analysis.mean_distances({"eng_Latn": x - x.mean(0), "fra_Latn": x})


def test_centring_is_fitted_on_one_split_and_applied_to_another() -> None:
    dev, test = spaces(seed=1), spaces(seed=2)
    centred = analysis.centre(test, analysis.language_means(dev))
    for code in LANGUAGES:
        assert torch.allclose(centred[code], test[code] - dev[code].mean(0), atol=1e-6)
    moved = analysis.shift_to(test, analysis.language_means(dev), target="jpn_Jpan")
    goal = dev["jpn_Jpan"].mean(0) - dev["fra_Latn"].mean(0)
    assert torch.allclose(moved["fra_Latn"], test["fra_Latn"] + goal, atol=1e-6)
    with pytest.raises(MechsteerError, match="no mean was fitted for deu_Latn"):
        analysis.centre({"deu_Latn": test["fra_Latn"]}, analysis.language_means(dev))


def test_only_the_centred_margin_is_blind_to_an_offset_of_one_language() -> None:
    x, y = (e.double() for e in list(spaces(n=40).values())[:2])
    y = x + 0.5 * y
    moved = y + 5
    # float64 rounding of values near 5 in cosines
    assert torch.allclose(
        analysis.translation_margin(x, moved), analysis.translation_margin(x, y), atol=1e-13
    )
    raw, raw_moved = (
        analysis.translation_margin(x, side, centred=False).mean() for side in (y, moved)
    )
    assert raw_moved < 0.7 * raw


# 0.1 is rounded in float64, so the mean of equal rows need not equal them
@pytest.mark.parametrize("value", [1.0, 0.1])
def test_sentences_on_their_mean_have_neither_margin_nor_cka(value: float) -> None:
    x, y = torch.full((6, 8), value, dtype=torch.float64), spaces(n=6)["eng_Latn"].double()
    with pytest.raises(MechsteerError, match="y: row 0 equals its language's mean"):
        analysis.translation_margin(y, x)
    with pytest.raises(MechsteerError, match="all alike"):
        analysis.debiased_cka(x, y)
