"""Experts by significance, on activations where it is known which neurons tell the language."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.cli.do.score import score_command
from mechsteer.cli.do.significance import significance_command
from mechsteer.cli.requests import ScoreRequest
from mechsteer.corpus import ParallelCorpus
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.experts.score import score_recording
from mechsteer.experts.significance import significance_of
from mechsteer.model.sites import HookSite, Site
from mechsteer.recording import Recording
from mechsteer.recording.store import Memory
from tests.made import LANGUAGES, MODEL

N = 50
SITE = Site(
    "post", tuple(HookSite("post", i, f"blocks.{i}", width) for i, width in ((0, 40), (1, 60)))
)
LARGE, SMALL = slice(0, 8), slice(8, 16)  # neurons of the first layer


def recording(
    seed: int = 0, *, large: float = 0.0, small: float = 0.0, counts: tuple[int, ...] = (N, N, N)
) -> Recording:
    """Sentences vary more than languages do; French alone moves the planted neurons."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.tensor(counts))
    meaning = 2 * torch.randn(max(counts), SITE.n_neurons, generator=generator)
    place = torch.cat([torch.arange(n) for n in counts])
    z = meaning[place] + torch.randn(len(labels), SITE.n_neurons, generator=generator)
    french = labels == LANGUAGES.index("fra_Latn")
    z[french, LARGE] += large
    z[french, SMALL] += small
    return _recorded(z, labels)


def _recorded(z: Tensor, labels: Tensor) -> Recording:
    store = Memory(1, len(z))
    layers = zip(SITE.points, z.split([40, 60], dim=1), strict=True)
    store.add(0, torch.arange(len(z)), {(point, "max"): part for point, part in layers})
    ones = torch.ones(len(z), dtype=torch.int64)
    return Recording(
        SITE, ("max",), LANGUAGES, labels, ones, SITE.points, False, MODEL, {}, 0, store
    )


@pytest.mark.parametrize("parallel", [True, False])
def test_without_an_effect_discoveries_come_as_rarely_as_the_level_says(parallel: bool) -> None:
    p, with_any = [], 0
    for seed in range(60):
        made = recording(seed)
        z = torch.cat([made.activations(i) for i in (0, 1)], dim=1)
        if not parallel:  # exchangeable sentences
            order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed))
            made = _recorded(z[order], made.labels)
        found = significance_of(
            made, "fra_Latn", level=0.2, parallel=parallel, draws=600, seed=seed
        )
        p.append(found.p)
        with_any += int((found.q <= 0.2).any())
    # where all is null, the false discovery rate is the chance of any: 12 of 60, deviation 3.1
    assert with_any <= 21
    # and the p-values are uniform; the neurons of 60 seeds are 6,000, far from 0.02 by chance
    assert torch.cat(p).le(0.3).double().mean() == pytest.approx(0.3, abs=0.02)


def test_planted_neurons_are_found_and_false_ones_are_the_share_that_the_level_says() -> None:
    planted, shares = set(range(16)), []
    for seed in range(30):
        tested = significance_of(recording(seed, large=4.0, small=1.4), "fra_Latn", level=0.2)
        found = set((tested.q <= 0.2).nonzero()[:, 0].tolist())
        assert planted <= found
        shares.append(len(found - planted) / len(found))
    # 84 of 100 neurons are null, so 0.2 · 0.84 = 0.17 is expected; deviation of the mean 0.015
    assert 0.11 < np.mean(shares) < 0.23


def test_small_effects_are_left_out_however_sure() -> None:
    made = recording(large=4.0, small=1.4)
    scores = score_recording(made)
    sure = ms.experts.by_significance(made, scores, "fra_Latn", min_effect=0)
    enough = ms.experts.by_significance(made, scores, "fra_Latn", min_effect=1.0)
    assert set(range(16)) <= set(sure.index.tolist())
    assert set(enough.index.tolist()) == set(range(8))
    assert "languages permuted within each sentence" in enough.selection


def test_experts_stand_in_the_order_of_top() -> None:
    made = recording(large=1.5, small=1.0)
    scores = score_recording(made)
    for by in ("ap", "auroc"):
        found = ms.experts.by_significance(made, scores, "fra_Latn", by=by, min_effect=0.2)
        everyone = scores.top("fra_Latn", SITE.n_neurons, by=by).index.tolist()
        places = [everyone.index(neuron) for neuron in found.index.tolist()]
        assert len(places) > 8
        assert places == sorted(places)


def test_sentences_as_clusters_make_small_differences_visible() -> None:
    made = recording(small=0.7)
    within = significance_of(made, "fra_Latn", by="auroc")
    freely = significance_of(made, "fra_Latn", by="auroc", parallel=False)
    # translations share what varies most, and only a permutation within a sentence knows it
    assert (within.p[SMALL] < 0.01).sum() > (freely.p[SMALL] < 0.01).sum() + 2


@pytest.mark.parametrize(
    ("correction", "factor"), [("bh", 1.0), ("by", sum(1 / np.arange(1, 101)))]
)
def test_q_is_the_step_up_procedure_over_all_layers_together(
    correction: str, factor: float
) -> None:
    found = significance_of(recording(large=1.0), "fra_Latn", correction=correction)
    order = found.p.argsort(descending=True).tolist()
    least, expected = 1.0, [0.0] * 100
    for behind, neuron in enumerate(order):
        least = min(least, factor * found.p[neuron].item() * 100 / (100 - behind))
        expected[neuron] = least
    assert found.q.tolist() == pytest.approx(expected, abs=1e-12)


def test_equal_seeds_give_equal_p_values() -> None:
    made = recording()
    first, again, other = (significance_of(made, "fra_Latn", seed=s, draws=99) for s in (1, 1, 2))
    assert torch.equal(first.p, again.p)
    assert not torch.equal(first.p, other.p)


def test_text_that_is_not_parallel_is_permuted_freely_and_says_so() -> None:
    made = recording(large=3.0, counts=(30, 50, 40))
    scores = score_recording(made)
    with pytest.raises(MechsteerError, match=r"30 of deu_Latn.*parallel=False"):
        ms.experts.by_significance(made, scores, "fra_Latn")
    found = ms.experts.by_significance(made, scores, "fra_Latn", parallel=False, min_effect=0.5)
    assert "languages permuted freely" in found.selection
    assert set(range(8)) <= set(found.index.tolist())


def test_nothing_found_is_an_empty_set() -> None:
    made = recording()
    found = ms.experts.by_significance(made, score_recording(made), "jpn_Jpan", min_effect=5.0)
    assert len(found) == 0
    assert found.table().empty


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"level": 0.0}, "0 < level < 1"),
        ({"level": float("nan")}, "0 < level < 1"),
        ({"correction": "holm"}, "'bh' or 'by'"),
        ({"draws": 10}, "at least 19 draws"),
        ({"draws": 50, "correction": "by"}, "at least 103 draws"),
        ({"min_effect": -1.0}, "0 or more"),
        ({"min_effect": float("nan")}, "0 or more"),
        ({"language": "swh_Latn"}, "was not scored"),
        ({"by": "f1"}, "statistic"),
    ],
)
def test_what_cannot_be_tested_is_refused(options: dict, words: str) -> None:
    made = recording()
    arguments = {"language": "fra_Latn", **options}
    with pytest.raises(MechsteerError, match=words):
        ms.experts.by_significance(made, score_recording(made), **arguments)


@pytest.mark.parametrize("draws", [19, 99])
def test_the_draws_that_are_asked_for_are_the_fewest_that_can_reach_the_level(draws: int) -> None:
    level = 1 / (1 + draws)
    significance_of(recording(large=9.0), "fra_Latn", level=level, draws=draws)
    with pytest.raises(MechsteerError, match=f"at least {draws} draws"):
        significance_of(recording(), "fra_Latn", level=level, draws=draws - 1)


def test_nan_is_refused_with_its_layer() -> None:
    made = recording()
    made.activations(1)[3, 5] = torch.nan
    with pytest.raises(MechsteerError, match=r"layer 1, post.*5"):
        significance_of(made, "fra_Latn")


def test_layers_or_poolings_that_were_not_recorded_are_refused() -> None:
    made = recording()
    with pytest.raises(ArtifactError, match="layer 1 was not recorded"):
        significance_of(replace(made, points=SITE.points[:1]), "fra_Latn")
    with pytest.raises(ArtifactError, match="'mean' was not recorded"):
        significance_of(made, "fra_Latn", pooling="mean")


def test_scores_of_other_neurons_are_refused() -> None:
    made = recording()
    found = significance_of(made, "fra_Latn", draws=99)
    other = replace(score_recording(made), pooling="mean")
    with pytest.raises(MechsteerError, match="neurons that were tested"):
        found.experts(other)


def test_a_labelled_run_is_permuted_freely_from_its_recording(tmp_path: Path) -> None:
    sentences = ParallelCorpus.embedded("dev", languages=["eng_Latn", "jpn_Jpan"]).sentences
    text = tmp_path / "text"
    text.mkdir()
    for code, count in (("eng_Latn", 30), ("jpn_Jpan", 20)):
        lines = "\n".join(sentences[code][:count])
        (text / f"{code}.txt").write_text(lines + "\n", encoding="utf-8")
    run = tmp_path / "run"
    scores = score_command("embedded", run, ScoreRequest(corpus=str(text), labelled=True))
    experts, file = significance_command(run, "ja", 0.05, min_effect=1.5, draws=500)
    assert "languages permuted freely" in experts.selection
    assert 0 < len(experts) < scores.site.n_neurons
    table = pd.read_csv(file)
    assert table["neuron"].tolist() == experts.table()["neuron"].tolist()
    assert (table["q"] <= 0.05).all()
