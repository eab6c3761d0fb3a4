import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine as scipy_cosine_distance

from mechsteer.analysis import (
    debiased_cka,
    mean_distances,
    medoid,
    pair_distances,
    translation_margin,
)
from mechsteer.errors import MechsteerError


def pair(*, n=40, d=12, noise=0.7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator)
    return x, x + noise * torch.randn(n, d, generator=generator)


def three_languages(offset=0.0):
    generator = torch.Generator().manual_seed(7)
    meaning = torch.randn(30, 10, generator=generator)
    return {
        name: meaning + torch.randn(10, generator=generator) + offset
        for name in ("eng_Latn", "fra_Latn", "jpn_Jpan")
    }


def loop_margin(x, y, *, centred):
    x, y = x.double().numpy(), y.double().numpy()
    if centred:
        x, y = x - x.mean(0), y - y.mean(0)
    n = len(x)
    c = np.array([[1 - scipy_cosine_distance(a, b) for b in y] for a in x])
    return [
        c[i, i] - np.mean([(c[i, j] + c[j, i]) / 2 for j in range(n) if j != i]) for i in range(n)
    ]


@pytest.mark.parametrize("centred", [True, False])
def test_the_translation_margin_equals_a_loop_over_scipy_cosines(centred):
    x, y = pair()
    expected = torch.tensor(loop_margin(x, y, centred=centred), dtype=torch.float64)
    # Float64 sums of 40 unit vectors: below 1e-13.
    torch.testing.assert_close(
        translation_margin(x, y, centred=centred), expected, rtol=0, atol=1e-12
    )


def test_only_the_centred_margin_is_blind_to_an_offset():
    x, y = (side.double() for side in pair())
    moved = y + 5 * torch.ones(12, dtype=torch.float64)
    # Float64 rounding of values near 5 on unit cosines.
    torch.testing.assert_close(
        translation_margin(x, moved), translation_margin(x, y), rtol=0, atol=1e-13
    )
    raw, raw_moved = (translation_margin(x, side, centred=False).mean() for side in (y, moved))
    assert raw_moved < 0.7 * raw


def test_unrelated_sentences_have_no_translation_margin():
    x, y = torch.randn(2, 400, 50, generator=torch.Generator().manual_seed(1))
    # The mean of 400 cosines of deviation 1/sqrt(50) deviates by 0.007: five of those.
    assert abs(translation_margin(x, y).mean()) < 0.036


def test_the_centred_margin_refuses_a_sentence_on_its_language_mean():
    x = torch.full((5, 3), 0.1, dtype=torch.float64)
    with pytest.raises(MechsteerError, match="x: row 0 equals its language's mean"):
        translation_margin(x, x)


def loop_hsic(k, l):  # noqa: E741
    """Song et al. 2012, eq. 5, term by term."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    one = np.ones(n)
    trace = np.trace(k @ l)
    product = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return (trace + product - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3))


@pytest.mark.parametrize("n", [4, 5, 40])
def test_debiased_cka_equals_the_published_estimator(n):
    x, y = pair(n=n)
    k, l = (side.double().numpy() @ side.double().numpy().T for side in (x, y))  # noqa: E741
    expected = loop_hsic(k, l) / np.sqrt(loop_hsic(k, k) * loop_hsic(l, l))
    # Float64 on both sides; the estimator without U-centring cancels terms some 100 times its size.
    assert debiased_cka(x, y) == pytest.approx(expected, abs=1e-10)


def test_debiased_cka_is_one_under_rotation_scale_and_offset():
    x, _ = pair(n=30)
    rotation = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(2)))[0]
    # Float32 rotation and offset round each element by 6e-8 of values up to about 40.
    assert debiased_cka(x, 3 * x @ rotation + 10) == pytest.approx(1, abs=1e-5)


def test_debiased_cka_of_unrelated_spaces_is_near_zero_where_the_biased_form_is_not():
    x, y = torch.randn(2, 200, 600, generator=torch.Generator().manual_seed(3))
    centred_x, centred_y = x - x.mean(0), y - y.mean(0)
    k, l = centred_x @ centred_x.T, centred_y @ centred_y.T  # noqa: E741
    biased = (k * l).sum() / (k.norm() * l.norm())
    assert biased > 0.7
    # Correlation of n(n-3)/2 = 19,700 nearly independent entries deviates by 0.007: five of those.
    assert abs(debiased_cka(x, y)) < 0.036


def test_debiased_cka_needs_four_sentences():
    with pytest.raises(MechsteerError, match="four sentences or more, got 3"):
        debiased_cka(torch.eye(3), torch.eye(3))


@pytest.mark.parametrize("value", [1.0, 0.1])
def test_debiased_cka_refuses_a_space_without_variation(value):
    x = torch.full((6, 4), value, dtype=torch.float64)
    y = torch.randn(6, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    with pytest.raises(MechsteerError, match="all alike"):
        debiased_cka(x, y)


def test_pair_distances_equal_scipy_sentence_by_sentence():
    embeddings = three_languages()
    distances = pair_distances(embeddings)
    sides = [x.double().numpy() for x in embeddings.values()]
    expected = torch.tensor(
        [
            [[scipy_cosine_distance(a, b) for a, b in zip(s, t, strict=True)] for t in sides]
            for s in sides
        ]
    )
    # One float32 dot product of unit vectors: 6e-7 at worst.
    torch.testing.assert_close(distances.double(), expected.double(), rtol=0, atol=6e-7)


def test_mean_distances_equal_scipy_on_the_language_means():
    embeddings = three_languages()
    means = [x.double().mean(0).numpy() for x in embeddings.values()]
    expected = torch.tensor(
        [[scipy_cosine_distance(a, b) for b in means] for a in means], dtype=torch.float64
    )
    # Float64 throughout.
    torch.testing.assert_close(mean_distances(embeddings), expected, rtol=0, atol=1e-14)


def test_the_medoid_is_the_language_nearest_to_all_others():
    angles = {"far_left": 0.0, "middle": 0.5, "right": 0.7, "far_right": 1.3}
    embeddings = {
        name: torch.tensor([[np.cos(a), np.sin(a)]] * 3, dtype=torch.float64)
        for name, a in angles.items()
    }
    distances = mean_distances(embeddings)
    summed = {name: sum(1 - np.cos(a - b) for b in angles.values()) for name, a in angles.items()}
    assert list(angles)[medoid(distances)] == min(summed, key=summed.__getitem__)
    assert distances[0, 3].item() == pytest.approx(1 - np.cos(1.3), abs=1e-14)


def test_any_constant_offset_shrinks_all_three_distances():
    before, after = three_languages(), three_languages(offset=10.0)
    to_medoid_and_targets = mean_distances(before)
    off_diagonal = ~torch.eye(3, dtype=torch.bool)
    assert pair_distances(after).mean() < 0.1 * pair_distances(before).mean()
    shrunk = mean_distances(after)[off_diagonal] / to_medoid_and_targets[off_diagonal]
    assert (shrunk < 0.1).all()


def test_mean_distances_refuse_embeddings_centred_on_themselves():
    embeddings = {
        name: (x.double() - x.double().mean(0)).float() for name, x in three_languages().items()
    }
    with pytest.raises(MechsteerError, match="eng_Latn: the mean embedding is zero"):
        mean_distances(embeddings)
