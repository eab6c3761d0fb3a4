"""LAPE: neurons whose firing is concentrated on few languages, by the entropy of their rates.

Source: Tang et al. 2024 (2402.16438) and the rule of their released code (identify.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.experts.scores import Experts, NeuronScores
from mechsteer.model.sites import Site
from mechsteer.recording import Recording


@dataclass(frozen=True)
class FiringRates:
    """How often each neuron fires in each language: over all its tokens, not by sentence.

    ``rate`` is float64 ``[language, neuron]``, neurons numbered flat as in ``site``.
    """

    languages: tuple[str, ...]
    site: Site
    rate: Float[Tensor, "language neuron"]

    def entropy(self) -> Float[Tensor, " neuron"]:
        """LAPE of each neuron: ``- Σ p' ln p'`` with ``p' = p / Σ p`` over the languages.

        0 for a neuron of one language, ``ln L`` for one that fires equally in all; 0 as well for
        one that never fires, which ``lape`` drops.
        """
        share = (self.rate / self.rate.sum(0)).nan_to_num(0.0)
        return -torch.xlogy(share, share).sum(0)


def firing_rates(recording: Recording) -> FiringRates:
    """Add up how neurons fired over the tokens of each language, one layer at a time.

    Raises:
        ArtifactError: it was not recorded how neurons fire, or not of all layers.
    """
    member = torch.nn.functional.one_hot(recording.labels, len(recording.languages)).T.double()
    n_tokens = recording.n_tokens.double()
    layers = []
    for point in recording.site.points:
        tokens = (recording.fired(point).double() * n_tokens[:, None]).round()
        layers.append(member @ tokens / (member @ n_tokens)[:, None])
    return FiringRates(recording.languages, recording.site, torch.cat(layers, dim=1))


def lape(
    scores: NeuronScores, rates: FiringRates, *, share: float = 0.01, bar: float = 0.95
) -> dict[str, Experts]:
    """The language-specific neurons of each scored language, lowest entropy first.

    Neurons that in no language fire more often than the bar (the ``bar`` quantile of all rates of
    all languages) are dropped; of the rest the ``share`` of all neurons with the lowest entropy is
    kept; each belongs to every language in which it fires more often than the bar. Equal entropies
    are taken by layer, then neuron. A language may have no neuron at all.

    Args:
        scores: where the experts' statistics come from, of the same site.
        rates: how often neurons fire, ``firing_rates(record(..., firing=True))``.
        share: of all neurons to keep; 1 % in the paper.
        bar: quantile of the rates, by rank without interpolation: the ``round(bar · n)``-th
            smallest of n.

    Raises:
        MechsteerError: other neurons or languages were scored, or a share or bar outside (0, 1].
    """
    if not (0 < share <= 1 and 0 < bar <= 1):
        raise MechsteerError(f"expected share and bar in (0, 1], got {share} and {bar}")
    missing = set(scores.languages) - set(rates.languages)
    if missing or scores.site != rates.site:
        raise MechsteerError(
            f"expected rates of the scored neurons and languages (without {sorted(missing)}): "
            "take both from one recording"
        )
    least = torch.kthvalue(rates.rate.flatten(), max(1, round(rates.rate.numel() * bar))).values
    busy = rates.rate > least
    entropy = rates.entropy().where(busy.any(0), torch.inf).numpy()
    kept = np.argsort(entropy, kind="stable")[: round(len(entropy) * share)]
    selection = f"LAPE, lowest {share:g} above the {bar:g} quantile of rates"
    found = {}
    for language in scores.languages:
        own = busy[rates.languages.index(language)].numpy()[kept]
        found[language] = scores.take(language, kept[own].tolist(), selection=selection)
    return found
