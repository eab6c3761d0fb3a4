"""Margin scores from one float32 product decide as their float64 definition does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mechsteer import analysis
from mechsteer.analysis.margins import Pair, gold_margins
from mechsteer.analysis.similarity import directions, exact_unit


def pair(n: int, d: int, *, offset: float, spread: float, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(n, d, generator=generator)
    x, y = (base + spread * torch.randn(n, d, generator=generator) for _ in range(2))
    return x + offset, y + offset


def exact_margins(x: Tensor, y: Tensor, k: int) -> Tensor:
    """The definition in float64, one sentence at a time."""
    cosine = exact_unit(x) @ exact_unit(y).T
    forth = [sorted(row.tolist())[-k:] for row in cosine]
    back = [sorted(column.tolist())[-k:] for column in cosine.T]
    level = torch.tensor(
        [[(sum(a) + sum(b)) / (2 * k) for b in back] for a in forth], dtype=torch.float64
    )
    return gold_margins(cosine / level if level.min() > 0 else cosine - level)


@pytest.mark.parametrize("offset", [0.0, 3.0])
@pytest.mark.parametrize(("n", "d", "spread"), [(7, 5, 0.5), (40, 16, 1.5), (64, 300, 2.0)])
def test_scaled_margins_equal_their_definition(
    n: int, d: int, spread: float, offset: float
) -> None:
    x, y = pair(n, d, offset=offset, spread=spread, seed=n)
    found = Pair(*directions({"x": x, "y": y})).scaled_margins(4)
    expected = exact_margins(x, y, 4)
    # float32 cosines off by 6e-7; a difference of two scores, over a level that may be small
    level = (exact_unit(x) @ exact_unit(y).T).topk(4, dim=1).values.mean(1).abs().amin()
    assert torch.allclose(found, expected, atol=1e-5 + 1e-5 / float(level) ** 2)
    assert torch.equal(found > 0, expected > 0)


def test_margins_that_rounding_could_turn_are_decided_in_float64() -> None:
    generator = torch.Generator().manual_seed(3)
    base = torch.randn(1, 64, generator=generator)
    # a collapsed space: all cosines agree to 1e-9, far below float32
    x, y = (base + 2e-5 * torch.randn(50, 64, generator=generator) for _ in range(2))
    found = Pair(*directions({"x": x, "y": y})).scaled_margins(4)
    expected = exact_margins(x, y, 4)
    assert expected.abs().max() < 1e-7
    assert torch.allclose(found, expected, atol=1e-14)


def test_margin_hits_equal_rescored_retrieval() -> None:
    x, y = pair(50, 12, offset=1.0, spread=1.2, seed=5)
    hits = analysis.retrieval({"x": x, "y": y})
    assert torch.equal(
        torch.stack((hits.margin[0, 1], hits.margin[1, 0])),
        analysis.top1_hits(x, y, rescore=analysis.ratio_margin),
    )


def test_without_a_ratio_the_difference_margin_decides() -> None:
    x, y = pair(6, 12, offset=4.0, spread=1.0, seed=5)
    opposed = {"x": x, "y": -y}
    hits = analysis.retrieval(opposed)
    with pytest.raises(ValueError, match="difference_margin"):
        analysis.top1_hits(*opposed.values(), rescore=analysis.ratio_margin)
    assert torch.equal(
        torch.stack((hits.margin[0, 1], hits.margin[1, 0])),
        analysis.top1_hits(*opposed.values(), rescore=analysis.difference_margin),
    )


def test_duplicates_are_misses_and_few_sentences_have_smaller_neighbourhoods() -> None:
    x = torch.eye(3)
    assert analysis.retrieval({"x": x, "y": x}).margin[0, 1].all()
    twice = torch.cat((x, x[:1]))
    hits = analysis.retrieval({"x": twice, "y": twice}).margin[0, 1]
    assert hits.tolist() == [False, True, True, False]


def test_the_pair_is_left_as_it_was() -> None:
    pair_ = Pair(*directions(dict(zip("xy", pair(9, 4, offset=0, spread=1, seed=1), strict=True))))
    before = pair_.cosine.clone()
    first = pair_.scaled_margins(4)
    pair_.cosine_margins()
    assert torch.equal(pair_.cosine, before)
    assert torch.equal(pair_.scaled_margins(4), first)
