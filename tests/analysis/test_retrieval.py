import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from mechsteer.analysis import (
    by_pair,
    centre,
    csls,
    difference_margin,
    language_means,
    mexa_hits,
    pair_distances,
    ratio_margin,
    retrieval,
    top1_hits,
)
from mechsteer.analysis import similarity as similarity_module
from mechsteer.errors import MechsteerError


def languages(count=4, *, n=50, d=16, noise=0.9, offset=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    meaning = torch.randn(n, d, generator=generator)
    return {
        f"l{i}": meaning
        + noise * torch.randn(n, d, generator=generator)
        + offset * torch.randn(d, generator=generator)
        for i in range(count)
    }


def loop_top1(x, y):
    """Queries in x, one at a time, in Python: a rival within 1e-6 of the gold is a miss."""
    cosine = cosine_similarity(x.double().numpy(), y.double().numpy())
    hits = []
    for i, row in enumerate(cosine):
        rivals = [c for j, c in enumerate(row) if j != i]
        hits.append(all(row[i] - c > 1e-6 for c in rivals))
    return torch.tensor(hits)


def published_mexa(x, y):
    """The double loop of compute_mexa.py, hit by hit."""
    cosine = cosine_similarity(x.double().numpy(), y.double().numpy())
    hits = []
    for i in range(len(cosine)):
        row, column = np.delete(cosine[i], i), np.delete(cosine[:, i], i)
        hits.append(bool(cosine[i, i] > max(row)) and bool(cosine[i, i] > max(column)))
    return torch.tensor(hits)


@pytest.mark.parametrize("offset", [0.0, 3.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_retrieval_of_all_pairs_equals_loops_over_pairs_and_sentences(offset, dtype):
    embeddings = {name: x.to(dtype) for name, x in languages(offset=offset).items()}
    hits = retrieval(embeddings)
    assert 0 < by_pair(hits.top1).float().mean() < 1
    for (s, x), (t, y) in itertools.permutations(enumerate(embeddings.values()), 2):
        assert torch.equal(hits.top1[s, t], loop_top1(x, y))
        assert torch.equal(hits.mexa[s, t], published_mexa(x, y))


def test_retrieval_agrees_with_the_functions_on_one_pair():
    embeddings = languages(2)
    hits = retrieval(embeddings)
    x, y = embeddings.values()
    assert torch.equal(torch.stack((hits.top1[0, 1], hits.top1[1, 0])), top1_hits(x, y))
    assert torch.equal(hits.mexa[0, 1], mexa_hits(x, y))


def test_columns_of_by_pair_stand_in_the_order_of_pairs():
    hits = retrieval(languages(3))
    columns = by_pair(hits.top1)
    assert columns.shape == (50, 6)
    for column, (source, target) in zip(columns.T, hits.pairs, strict=True):
        s, t = hits.languages.index(source), hits.languages.index(target)
        assert torch.equal(column, hits.top1[s, t])


def test_a_language_is_not_retrieved_from_itself():
    hits = retrieval(languages(3))
    for matrix in (hits.top1, hits.mexa):
        assert not matrix[range(3), range(3)].any()


def test_one_product_serves_both_directions_and_both_rules(monkeypatch):
    calls = []
    original = similarity_module.cosine_margins

    def counted(x, y):
        calls.append(1)
        return original(x, y)

    monkeypatch.setattr("mechsteer.analysis.retrieval.cosine_margins", counted)
    retrieval(languages(5))
    assert len(calls) == 10


def test_perfectly_aligned_languages_are_always_found():
    x = torch.randn(40, 8, generator=torch.Generator().manual_seed(1))
    hits = retrieval({"a": x, "b": 3 * x, "c": x.clone()})
    assert by_pair(hits.top1).all()
    assert by_pair(hits.mexa).all()


def test_shuffled_sentences_are_found_at_chance():
    n, draws = 64, 60
    generator = torch.Generator().manual_seed(2)
    found = 0
    for _ in range(draws):
        x, y = torch.randn(2, n, 16, generator=generator)
        found += int(top1_hits(x, y)[0].sum())
    # Poisson with mean 60 (one hit a draw): six standard deviations of sqrt(60) = 7.7.
    assert abs(found - draws) < 47


def test_hits_survive_a_common_rotation_and_any_scale():
    x, y = languages(2).values()
    rotation = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(3)))[0]
    turned = top1_hits(x @ rotation, y @ rotation)
    lengths = torch.rand(50, 1, generator=torch.Generator().manual_seed(4)) + 0.1
    assert torch.equal(turned, top1_hits(x, y))
    assert torch.equal(top1_hits(x * lengths, y / lengths), top1_hits(x, y))


def test_duplicate_sentences_are_misses_under_both_rules():
    x = torch.randn(203, 37, generator=torch.Generator().manual_seed(5))
    x[200] = x[7]
    expected = torch.ones(203, dtype=torch.bool)
    expected[[7, 200]] = False
    assert torch.equal(top1_hits(x, x), torch.stack((expected, expected)))
    assert torch.equal(mexa_hits(x, x), expected)


@pytest.mark.parametrize(("gap", "hit"), [(0.5e-6, False), (2e-6, True), (-2e-6, False)])
def test_a_rival_within_a_millionth_of_the_gold_is_a_tie(gap, hit):
    def at(cosine):
        return torch.tensor([cosine, (1 - cosine**2) ** 0.5], dtype=torch.float64)

    x = torch.stack((at(1.0), at(-0.5)))
    y = torch.stack((at(0.6), at(0.6 - gap)))
    assert bool(top1_hits(x, y)[0, 0]) is hit


def test_mexa_has_no_tolerance_for_near_ties():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    angle = torch.tensor([0.78, 0.78 + 5e-7], dtype=torch.float64)
    y = torch.stack((angle.cos(), angle.sin()), 1)
    assert mexa_hits(x, y).tolist() == published_mexa(x, y).tolist() == [True, True]
    assert not top1_hits(x, y).any()


def test_mexa_needs_row_and_column():
    cosine_rows = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.5, 0.0], [0.0, 0.0, 1.0]])
    x, y = torch.eye(3), cosine_rows
    forth, back = top1_hits(x, y)
    assert not torch.equal(forth, back)
    assert torch.equal(mexa_hits(x, y), forth & back)


def test_a_constant_offset_shrinks_distance_and_centring_restores_what_it_broke():
    # Offsets differ between languages, which hurts retrieval; a large one common to all then
    # shrinks every distance while nothing gets better aligned (field knowledge: the paper's trap).
    dev, test = (languages(5, n=300, d=32, noise=0.8, seed=seed) for seed in (10, 11))
    generator = torch.Generator().manual_seed(12)
    offsets = {name: 1.5 * torch.randn(32, generator=generator) for name in test}
    common = 8 * torch.randn(32, generator=generator)
    dev, apart = ({name: x + offsets[name] for name, x in data.items()} for data in (dev, test))
    near = {name: x + common for name, x in apart.items()}
    near_dev = {name: x + common for name, x in dev.items()}

    def top1(embeddings):
        return by_pair(retrieval(embeddings).top1).float().mean().item()

    def distance(embeddings):
        return by_pair(pair_distances(embeddings)).mean().item()

    assert distance(near) < 0.2 * distance(apart)
    assert top1(near) < top1(apart)
    centred = top1(centre(near, language_means(near_dev)))
    assert centred > 1.2 * top1(apart)
    assert centred == pytest.approx(top1(centre(apart, language_means(dev))), abs=1e-3)


def loop_scores(cosine, k, combine: Callable[[float, float, float], float]):
    n = len(cosine)
    near_x = [np.mean(sorted(cosine[i])[-k:]) for i in range(n)]
    near_y = [np.mean(sorted(cosine[:, j])[-k:]) for j in range(n)]
    return [[combine(cosine[i, j], near_x[i], near_y[j]) for j in range(n)] for i in range(n)]


@pytest.mark.parametrize(
    ("score", "k", "combine"),
    [
        (ratio_margin, 4, lambda c, x, y: c / (x / 2 + y / 2)),
        (difference_margin, 4, lambda c, x, y: c - x / 2 - y / 2),
        (csls, 10, lambda c, x, y: 2 * c - x - y),
    ],
)
def test_margin_scores_equal_loops_over_neighbours(score, k, combine):
    x, y = languages(2, n=30, offset=1.0).values()
    cosine = cosine_similarity(x.double().numpy(), y.double().numpy())
    expected = torch.tensor(loop_scores(cosine, k, combine), dtype=torch.float64)
    # Sums of ten float64 cosines and one division: far below 1e-12.
    torch.testing.assert_close(score(torch.from_numpy(cosine)), expected, rtol=1e-12, atol=1e-12)
    gold, n = expected.diagonal(), len(expected)
    beaten = [[expected[i, j] >= gold[i] - 1e-6 for j in range(n) if j != i] for i in range(n)]
    hits = top1_hits(x, y, rescore=score)
    assert hits[0].tolist() == [not any(rivals) for rivals in beaten]


def test_margin_scoring_forgives_a_hub():
    x, y = languages(2, n=80, noise=0.3).values()
    hub = torch.zeros(80, dtype=torch.bool)
    hub[0] = True
    y = torch.where(hub[:, None], x.mean(0) + 0.25 * y, y + 4)
    x = x + 4
    y[0] = x.mean(0)
    assert top1_hits(x, y, rescore=csls)[0].sum() > top1_hits(x, y)[0].sum()


def test_the_ratio_margin_refuses_neighbourhoods_without_a_ratio():
    with pytest.raises(MechsteerError, match="use difference_margin"):
        ratio_margin(-torch.ones(5, 5))


@pytest.mark.parametrize("k", [0, 6])
def test_margins_refuse_more_neighbours_than_sentences(k):
    with pytest.raises(MechsteerError, match="from 1 to 5"):
        difference_margin(torch.ones(5, 5), k=k)
