from __future__ import annotations

import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from mechsteer.analysis import (
    centre,
    debiased_cka,
    language_means,
    mean_distances,
    mexa_hits,
    pair_distances,
    retrieval,
    shift_to,
    top1_hits,
    translation_margin,
)
from mechsteer.analysis.margins import Pair, gold_margins
from mechsteer.analysis.similarity import directions
from mechsteer.errors import MechsteerError


def noisy_pair(seed=0, n=60, d=24, noise=0.8, offset=0.0):
    generator = torch.Generator().manual_seed(seed)
    meaning = torch.randn(n, d, generator=generator)
    x, y = (meaning + noise * torch.randn(n, d, generator=generator) + offset for _ in range(2))
    return x, y


def sklearn_margins(x, y):
    """Both directions' margins by Python loops over float64 scikit-learn cosines."""
    cosine = cosine_similarity(x.double().numpy(), y.double().numpy())
    n = len(cosine)
    rows = [cosine[i, i] - max(cosine[i, j] for j in range(n) if j != i) for i in range(n)]
    columns = [cosine[i, i] - max(cosine[j, i] for j in range(n) if j != i) for i in range(n)]
    return torch.tensor([rows, columns], dtype=torch.float64)


@pytest.mark.parametrize("offset", [0.0, 5.0, 1000.0])
def test_margins_equal_sklearn_cosines_within_float32_rounding(offset):
    x, y = noisy_pair(offset=offset)
    margins = Pair(*directions({"x": x, "y": y})).cosine_margins()
    # A margin is the difference of two float32 dot products of unit vectors, 6e-7 each at worst.
    torch.testing.assert_close(margins, sklearn_margins(x, y), rtol=0, atol=1.2e-6)


@pytest.mark.parametrize("offset", [1000.0, 3000.0])
def test_small_margins_are_those_of_float64(offset):
    x, y = noisy_pair(noise=0.01, offset=offset)
    truth = sklearn_margins(x, y)
    small = truth.abs() < 5e-6
    assert small.any()
    margins = Pair(*directions({"x": x, "y": y})).cosine_margins()
    # Float64 dot products of 24 terms and the norms: some 30 roundings of 1.1e-16 on values of 1.
    torch.testing.assert_close(margins[small], truth[small], rtol=0, atol=1e-14)


def test_hits_do_not_change_when_the_product_loses_precision():
    # Every sentence has a twin almost like it, so that bfloat16 takes the wrong one for some.
    generator = torch.Generator().manual_seed(0)
    meaning, accent = torch.randn(2, 100, 64, generator=generator).repeat(1, 2, 1)
    twins = 0.003 * torch.randn(2, 200, 64, generator=generator)
    x, y = meaning + twins[0], meaning + 2 * accent + twins[1]
    hits, mexa = top1_hits(x, y), mexa_hits(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        unit_x, unit_y = (side.unit for side in directions({"x": x, "y": y}))
        rough = gold_margins((unit_x @ unit_y.T).float())
        coarse, coarse_mexa = top1_hits(x, y), mexa_hits(x, y)
    assert (((rough > 0) != hits) & (rough != 0)).any()
    assert torch.equal(coarse, hits)
    assert torch.equal(coarse_mexa, mexa)


PAIR_FUNCTIONS = [top1_hits, mexa_hits, translation_margin, debiased_cka]
MAPPING_FUNCTIONS = [
    retrieval,
    pair_distances,
    mean_distances,
    language_means,
    lambda embeddings: centre(embeddings, {key: torch.zeros(1, 4) for key in embeddings}),
    lambda embeddings: shift_to(
        embeddings, {key: torch.zeros(1, 4) for key in embeddings}, target="x"
    ),
]
EVERY_FUNCTION = [
    *[lambda embeddings, f=f: f(embeddings["x"], embeddings["y"]) for f in PAIR_FUNCTIONS],
    *MAPPING_FUNCTIONS,
]


def spoiled(value, row):
    y = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))
    y[row] = value
    return y


@pytest.mark.parametrize("function", EVERY_FUNCTION)
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (spoiled(torch.nan, 2), "y: NaN or infinity in row 2"),
        (spoiled(torch.inf, 4), "y: NaN or infinity in row 4"),
        (spoiled(0.0, 5), "y: row 5 is zero"),
        (torch.ones(6, 4, dtype=torch.int64), "y: expected floating-point"),
    ],
)
def test_every_function_names_language_and_row_of_what_it_refuses(function, y, message):
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(4))
    with pytest.raises(MechsteerError, match=message):
        function({"x": x, "y": y})


@pytest.mark.parametrize("function", EVERY_FUNCTION)
def test_every_function_refuses_a_single_sentence(function):
    with pytest.raises(MechsteerError, match="two sentences or more"):
        function({"x": torch.ones(1, 4), "y": torch.ones(1, 4)})


@pytest.mark.parametrize("function", EVERY_FUNCTION[:7])
@pytest.mark.parametrize("shape", [(5, 4), (6, 3)])
def test_functions_on_parallel_text_refuse_shapes_that_differ(function, shape):
    with pytest.raises(MechsteerError, match="of one shape"):
        function({"x": torch.ones(6, 4), "y": torch.ones(shape)})


@pytest.mark.parametrize("function", [retrieval, pair_distances, mean_distances])
def test_functions_on_pairs_refuse_a_lone_language(function):
    with pytest.raises(MechsteerError, match="two languages or more, got 1"):
        function({"x": torch.ones(6, 4)})


def test_a_layer_axis_is_refused_where_one_layer_is_measured():
    layers = torch.ones(3, 6, 4)
    with pytest.raises(MechsteerError, match=r"\(3, 6, 4\)"):
        retrieval({"x": layers, "y": layers})
