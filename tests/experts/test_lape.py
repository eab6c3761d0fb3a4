from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.experts.lape import FiringRates, firing_rates, lape
from mechsteer.experts.score import score_recording
from mechsteer.recording import record
from tests.made import LANGUAGES, SITE, made_recording, made_scores

N = SITE.n_neurons


def published(p: torch.Tensor, share: float, bar: float) -> list[set[int]]:
    """Neurons of each language by the rule of the released identify.py; ``p`` [neuron, language].

    A neuron needs a rate above the bar; of all neurons the share with the lowest entropy is kept.
    """
    normed = p / p.sum(-1, keepdim=True)
    normed[normed.isnan()] = 0
    entropy = -(normed * torch.where(normed > 0, normed.log(), 0)).sum(-1)
    top = p.flatten().kthvalue(round(p.numel() * bar)).values
    entropy[(p > top).sum(-1) == 0] = torch.inf
    index = entropy.topk(round(len(p) * share), largest=False).indices
    return [{int(m) for m in index if p[m, k] > top} for k in range(p.shape[1])]


def made_rates(seed: int) -> FiringRates:
    generator = torch.Generator().manual_seed(seed)
    rate = torch.rand(3, N, generator=generator, dtype=torch.float64) ** 4
    rate[:, 7] = 0  # silent everywhere: dropped, whatever its entropy
    rate[1:, 3] = 0  # only German
    return FiringRates(LANGUAGES, SITE, rate)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("share", "bar"), [(0.1, 0.95), (0.3, 0.8), (1.0, 0.5), (0.02, 0.95)])
def test_lape_is_the_published_rule(seed: int, share: float, bar: float) -> None:
    rates, scores = made_rates(seed), made_scores()
    found = lape(scores, rates, share=share, bar=bar)
    expected = published(rates.rate.T.clone(), share, bar)
    assert [set(e.index.tolist()) for e in found.values()] == expected
    entropy = rates.entropy()
    for language, experts in found.items():
        assert experts.language == language
        assert (entropy[experts.index].diff() >= 0).all()
        row = LANGUAGES.index(language)
        assert torch.equal(experts.median, scores.median[row, experts.index])


def test_entropy_goes_from_one_language_to_all_alike() -> None:
    rate = torch.tensor([[0.5, 0.2, 0.0], [0.0, 0.2, 0.0], [0.0, 0.2, 0.0]], dtype=torch.float64)
    found = FiringRates(LANGUAGES, SITE, rate).entropy()
    torch.testing.assert_close(found, torch.tensor([0, math.log(3), 0], dtype=torch.float64))


def test_equal_entropies_are_taken_by_layer_then_neuron() -> None:
    rate = torch.zeros(3, N, dtype=torch.float64)
    rate[0, ::2] = 0.5
    found = lape(made_scores(), FiringRates(LANGUAGES, SITE, rate), share=0.2, bar=0.8)
    assert found["deu_Latn"].index.tolist() == [0, 2, 4, 6, 8, 10]
    assert len(found["fra_Latn"]) == 0


@pytest.mark.parametrize("options", [{"share": 0}, {"share": 1.5}, {"bar": 0}, {"bar": math.nan}])
def test_impossible_shares_and_bars_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(MechsteerError, match="share and bar in"):
        lape(made_scores(), made_rates(0), **options)


def test_rates_must_be_of_the_scored_languages() -> None:
    rates = made_rates(0)
    fewer = replace(rates, languages=LANGUAGES[:2], rate=rates.rate[:2])
    with pytest.raises(MechsteerError, match="jpn_Jpan"):
        lape(made_scores(), fewer)


def test_rates_weigh_sentences_by_their_tokens(bridge, corpus) -> None:
    model = bridge("llama")
    recording = record(model, corpus, firing=True, pooling="mean", batch_tokens=128)
    rates = firing_rates(recording)
    for row in range(3):
        inside = recording.labels == row
        tokens = recording.n_tokens[inside].double()
        for point, offset in zip(rates.site.points, rates.site.offsets, strict=True):
            share = recording.fired(point)[inside].double()
            expected = (share * tokens[:, None]).sum(0) / tokens.sum()
            found = rates.rate[row, offset : offset + point.width]
            # shares were rounded to float32, counts are exact
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    found = lape(score_recording(recording, pooling="mean"), rates, share=0.1)
    assert sum(map(len, found.values())) > 0


def test_rates_that_were_not_recorded_are_refused() -> None:
    with pytest.raises(ArtifactError, match="firing=True"):
        firing_rates(made_recording())
