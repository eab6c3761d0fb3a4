"""Retrieval and alignment against the published rules, rewritten as loops, and planted truths."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group
from sklearn.metrics.pairwise import cosine_similarity
from torch import Tensor

from mechsteer import analysis
from mechsteer.errors import MechsteerError

LANGUAGES = ("eng_Latn", "fra_Latn", "jpn_Jpan")


def related(n: int = 40, d: int = 12, *, noise: float = 1.0, seed: int = 0) -> dict[str, Tensor]:
    """Languages that share a meaning per row, plus noise of their own."""
    generator = torch.Generator().manual_seed(seed)
    meaning = torch.randn(n, d, generator=generator)
    return {code: meaning + noise * torch.randn(n, d, generator=generator) for code in LANGUAGES}


def loop_top1(x: Tensor, y: Tensor) -> list[bool]:
    cosine = cosine_similarity(x.double().numpy(), y.double().numpy())
    hits = []
    for i, row in enumerate(cosine):
        rivals = [c for j, c in enumerate(row) if j != i]
        hits.append(bool(row[i] > max(rivals) + 1e-6))
    return hits


def loop_mexa(x: Tensor, y: Tensor) -> list[bool]:
    """The published double loop: strictly greater than all of its row and its column."""
    cosine = cosine_similarity(x.double().numpy(), y.double().numpy())
    n = len(cosine)
    return [
        all(cosine[i, i] > cosine[i, j] and cosine[i, i] > cosine[j, i] for j in range(n) if j != i)
        for i in range(n)
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_hits_of_all_pairs_equal_the_loops(seed: int, noise: float) -> None:
    embeddings = related(noise=noise, seed=seed)
    found = analysis.retrieval(embeddings)
    for s, source in enumerate(LANGUAGES):
        for t, target in enumerate(LANGUAGES):
            x, y = embeddings[source], embeddings[target]
            expected = loop_top1(x, y) if s != t else [False] * len(x)
            assert found.top1[s, t].tolist() == expected
            if s != t:
                assert found.mexa[s, t].tolist() == loop_mexa(x, y)


def test_single_pair_functions_agree_with_all_pairs() -> None:
    embeddings = related()
    found = analysis.retrieval(embeddings)
    x, y = embeddings["eng_Latn"], embeddings["jpn_Jpan"]
    assert torch.equal(analysis.top1_hits(x, y), torch.stack((found.top1[0, 2], found.top1[2, 0])))
    assert torch.equal(analysis.mexa_hits(x, y), found.mexa[0, 2])


def test_a_tie_is_a_miss_and_so_is_a_near_tie() -> None:
    x = torch.eye(4)
    y = torch.eye(4)
    y[1] = y[0]  # a duplicate: row 0 finds two equal candidates
    assert analysis.top1_hits(x, y)[0].tolist() == [False, False, True, True]
    near = torch.eye(3, dtype=torch.float64)
    near[1] = torch.tensor([1.0, 1e-4, 0.0])  # cosine with row 0 is 1 - 5e-9: within 1e-6
    assert not analysis.top1_hits(near, torch.eye(3, dtype=torch.float64))[1, 0]
    apart = torch.eye(3, dtype=torch.float64)
    apart[1] = torch.tensor([1.0, 1e-2, 0.0])  # 1 - 5e-5: told apart
    assert analysis.top1_hits(apart, torch.eye(3, dtype=torch.float64))[1, 0]


def test_aligned_spaces_score_one_and_shuffled_ones_chance() -> None:
    embeddings = related(n=200, noise=0.0)
    x = embeddings["eng_Latn"]
    assert analysis.top1_hits(x, embeddings["fra_Latn"]).all()
    shuffled = x[torch.randperm(200, generator=torch.Generator().manual_seed(1))]
    # 200 sentences: about one hit expected by chance, ten would be a 1e-7 event
    assert analysis.top1_hits(x, shuffled).sum(1).max() < 10


def test_nothing_changes_under_rotation_and_positive_scaling() -> None:
    embeddings = related()
    turn = torch.from_numpy(ortho_group.rvs(12, random_state=0)).float()
    moved = {code: 7.5 * x @ turn for code, x in embeddings.items()}
    before, after = analysis.retrieval(embeddings), analysis.retrieval(moved)
    assert torch.equal(before.top1, after.top1)
    assert torch.equal(before.mexa, after.mexa)


def test_an_offset_changes_retrieval_and_centring_takes_it_away() -> None:
    embeddings = related(n=100, noise=0.7)
    generator = torch.Generator().manual_seed(5)
    offset = {code: x + 8 * torch.randn(12, generator=generator) for code, x in embeddings.items()}
    centred = analysis.centre(offset, analysis.language_means(offset))
    plain = analysis.centre(embeddings, analysis.language_means(embeddings))
    hits = {name: analysis.retrieval(e).top1.double().mean().item() for name, e in
            {"offset": offset, "centred": centred, "plain": plain}.items()}  # fmt: skip
    assert hits["offset"] < 0.6 * hits["centred"]
    assert hits["centred"] == pytest.approx(hits["plain"], abs=0.01)


def test_margins_and_csls_equal_their_formulas() -> None:
    cosine = torch.rand(15, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cosine_ = cosine.numpy()
    forth = np.sort(cosine.numpy(), axis=1)[:, -4:].mean(1)
    back = np.sort(cosine.numpy(), axis=0)[-4:].mean(0)
    scale = (forth[:, None] + back[None]) / 2
    assert np.allclose(analysis.ratio_margin(cosine, k=4), cosine_ / scale, atol=1e-12)
    assert np.allclose(analysis.difference_margin(cosine, k=4), cosine_ - scale, atol=1e-12)
    assert np.allclose(analysis.csls(cosine, k=4), 2 * cosine_ - 2 * scale, atol=1e-12)
    with pytest.raises(MechsteerError, match="difference_margin"):
        analysis.ratio_margin(-cosine)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x: x.index_fill(0, torch.tensor([3]), float("nan")), "fra_Latn: NaN .* row 3"),
        (lambda x: x.index_fill(0, torch.tensor([5]), float("inf")), "fra_Latn: NaN or infinity"),
        (lambda x: x.index_fill(0, torch.tensor([2]), 0.0), "fra_Latn: row 2 is zero"),
        (lambda x: x[:-1], "one shape"),
        (lambda x: x.long(), "floating-point"),
    ],
)
def test_what_has_no_cosine_is_refused_by_language_and_row(change: object, reason: str) -> None:
    embeddings = related()
    embeddings["fra_Latn"] = change(embeddings["fra_Latn"])  # type: ignore[operator]
    with pytest.raises(MechsteerError, match=reason):
        analysis.retrieval(embeddings)


def test_one_sentence_and_one_language_are_refused() -> None:
    with pytest.raises(MechsteerError, match="two sentences"):
        analysis.retrieval({code: x[:1] for code, x in related().items()})
    with pytest.raises(MechsteerError, match="two languages"):
        analysis.retrieval({"eng_Latn": torch.randn(4, 4)})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_hits_of_other_dtypes_equal_the_loops(dtype: torch.dtype) -> None:
    x, y, _ = (side.to(dtype) for side in related(n=60).values())
    assert analysis.top1_hits(x, y).tolist() == [loop_top1(x, y), loop_top1(y, x)]
    assert analysis.mexa_hits(x, y).tolist() == loop_mexa(x, y)


def test_duplicate_sentences_are_misses_under_both_rules() -> None:
    # 203 rows: equal rows fall into full and partial tiles of the product, whose roundings differ
    x = torch.randn(203, 37, generator=torch.Generator().manual_seed(5))
    x[200] = x[7]
    expected = torch.ones(203, dtype=torch.bool)
    expected[[7, 200]] = False
    assert torch.equal(analysis.top1_hits(x, x), torch.stack((expected, expected)))
    assert torch.equal(analysis.mexa_hits(x, x), expected)


def test_mexa_has_no_tolerance_for_near_ties() -> None:
    angle = torch.pi / 4 + torch.tensor([-2.5e-7, 2.5e-7], dtype=torch.float64)
    x, y = torch.eye(2, dtype=torch.float64), torch.stack((angle.cos(), angle.sin()), 1)
    assert analysis.mexa_hits(x, y).tolist() == loop_mexa(x, y) == [True, True]
    assert not analysis.top1_hits(x, y).any()


def test_mexa_needs_the_row_and_the_column() -> None:
    x, y = torch.eye(3), torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.5, 0.0], [0.0, 0.0, 1.0]])
    forth, back = analysis.top1_hits(x, y)
    assert not torch.equal(forth, back)
    assert torch.equal(analysis.mexa_hits(x, y), forth & back)


def test_columns_by_pair_stand_in_the_order_of_pairs() -> None:
    hits = analysis.retrieval(related())
    columns = analysis.by_pair(hits.top1)
    assert columns.shape == (40, 6)
    for column, (source, target) in zip(columns.T, hits.pairs, strict=True):
        s, t = LANGUAGES.index(source), LANGUAGES.index(target)
        assert torch.equal(column, hits.top1[s, t])


@pytest.mark.parametrize("rescore", [analysis.ratio_margin, analysis.difference_margin])
def test_rescored_hits_equal_a_loop_over_the_scores(rescore: object) -> None:
    x, y, _ = (side + 1 for side in related().values())
    cosine = torch.from_numpy(cosine_similarity(x.double().numpy(), y.double().numpy()))
    scores = rescore(cosine)  # type: ignore[operator]
    n = len(scores)
    expected = [
        [all(s[i, i] - s[i, j] > 1e-6 for j in range(n) if j != i) for i in range(n)]
        for s in (scores, scores.T)
    ]
    assert analysis.top1_hits(x, y, rescore=rescore).tolist() == expected  # type: ignore[arg-type]


def test_csls_sees_past_a_hub_that_takes_every_query() -> None:
    generator = torch.Generator().manual_seed(6)
    meaning, common = torch.randn(80, 32, generator=generator), 1.5 * torch.ones(32)
    x, y = meaning + common, meaning.clone()
    y[0] = common  # nearer to every x than its own translation
    found = analysis.top1_hits(x, y)[0].sum()
    assert found < 20
    assert analysis.top1_hits(x, y, rescore=analysis.csls)[0].sum() > 3 * found


@pytest.mark.parametrize("k", [0, 6])
def test_neighbours_beyond_the_sentences_are_refused(k: int) -> None:
    with pytest.raises(MechsteerError, match="from 1 to 5"):
        analysis.difference_margin(torch.ones(5, 5), k=k)


@pytest.mark.parametrize(("gap", "hit"), [(0.0, False), (5e-7, False), (2e-6, True)])
def test_a_near_tie_is_a_miss_in_retrieval_too(gap: float, hit: bool) -> None:
    """The rival of sentence 0 is ``gap`` further in cosine than its translation."""
    x = torch.zeros(3, 4, dtype=torch.float64)
    x[0, 0] = x[1, 1] = x[2, 2] = 1
    y = x.clone()
    y[0] = torch.tensor([0.6, 0.0, 0.0, 0.8])
    y[1] = torch.tensor([0.6 - gap, 0.8, 0.0, 0.0])
    found = analysis.retrieval({"deu_Latn": x, "fra_Latn": y})
    assert found.top1[0, 1, 0] == hit
    assert analysis.top1_hits(x, y)[0, 0] == hit
