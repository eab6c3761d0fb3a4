"""Experts by significance: all neurons that tell a language beyond chance and by enough, no k.

Two bars, because one says little: nearly every neuron differs between languages, so that a
significant difference can be a small one. Permutation p-values of all neurons, corrected together,
say which differences are real; the effect size says which are large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.experts.among import Among, among, whom
from mechsteer.experts.compiling import compiling
from mechsteer.kernels import permutation_test
from mechsteer.options.ranking import Criterion, Within
from mechsteer.progress import progress as bar
from mechsteer.progress import with_bars
from mechsteer.recording.finite import naming

if TYPE_CHECKING:
    from mechsteer.experts.scores import Experts, NeuronScores
    from mechsteer.kernels import Pooling
    from mechsteer.model.sites import HookSite, Site
    from mechsteer.recording import Recording

Correction = Literal["bh", "by"]


@dataclass(frozen=True)
class Significance:
    """How surely each neuron of a site tells one language from the others.

    Attributes:
        language: canonical code.
        site: which neurons, numbered flat as everywhere.
        pooling: of the activations that were tested.
        by: the statistic, ``"ap"`` or ``"auroc"``.
        level: the false discovery rate.
        null: how languages were permuted, in words.
        p: permutation p-value of each neuron; never below ``1 / (1 + draws)``.
        q: the smallest false discovery rate at which it is among the discoveries of *all* neurons.
        within: told from ``"all"`` other languages, or from those of its own ``"script"``.
    """

    language: str
    site: Site
    pooling: Pooling
    by: Criterion
    level: float
    null: str
    p: Float[Tensor, " neuron"]
    q: Float[Tensor, " neuron"]
    within: Within = "all"

    def experts(self, scores: NeuronScores, *, min_effect: float = 1.0) -> Experts:
        """Neurons with ``q <= level`` and ``|d| >= min_effect``, in the order of ``scores.top``.

        There may be none. ``d`` is `NeuronScores.effect_size`, of either sign. Nothing is cut, so
        no ties are.

        Raises:
            MechsteerError: scores of another site or pooling, or a negative or NaN effect.
        """
        if (scores.site, scores.pooling) != (self.site, self.pooling):
            raise MechsteerError(
                f"expected scores of the neurons that were tested ({self.site.name}, "
                f"{self.pooling}), got {scores.site.name}, {scores.pooling}"
            )
        if not min_effect >= 0:
            raise MechsteerError(f"expected a smallest effect of 0 or more, got {min_effect}")
        judged = scores.among(self.language, self.within)
        effect = judged.effect_size[judged.row(self.language)].abs()
        kept = ((self.q <= self.level) & (effect >= min_effect)).numpy()
        ranking = judged.ranking(self.language, self.by)
        selection = (
            f"q of {self.by} at most {self.level:g} and |d| at least {min_effect:g}, {self.null}"
            f"{whom(self.language, self.within)}"
        )
        return scores.take(self.language, ranking[kept[ranking]].tolist(), selection=selection)


@with_bars
def significance_of(
    recording: Recording,
    language: str,
    *,
    level: float = 0.05,
    by: Criterion = "ap",
    within: Within = "all",
    pooling: Pooling | None = None,
    parallel: bool = True,
    correction: Correction = "bh",
    draws: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> Significance:
    """Test every recorded neuron as a detector of a language, one layer in memory at a time.

    ``p = (1 + #{null >= observed}) / (1 + draws)``, the null of each neuron from relabelled
    sentences, the same relabellings for all neurons. The alternative is a better detector than
    chance. q-values are taken over all neurons of the site at once.

    Args:
        recording: of all layers of a site.
        language: canonical code.
        level: false discovery rate.
        by: ``"ap"`` or ``"auroc"``.
        within: told from ``"all"`` other languages, or from those of its own ``"script"``.
        pooling: which of the recorded ones; the first by default.
        parallel: sentence i of every language is one sentence, so languages are permuted within
            it. False for labelled text that is not parallel: labels are permuted freely.
        correction: ``"bh"`` (Benjamini and Hochberg: independent or positively dependent neurons)
            or ``"by"`` (Benjamini and Yekutieli: any dependence, dearer by ``sum 1/i``).
        draws: relabellings. With n neurons, no fewer than ``n / (level (1 + draws))`` can be
            significant together (times ``sum 1/i`` for ``"by"``).
        seed: of the relabellings.
        progress: show bars where a terminal watches.

    Raises:
        MechsteerError: a language that was not recorded, a corpus that cannot be parallel, NaN or
            infinity (layer and column named), a level or correction out of range, or draws too few
            for any neuron to reach the level.
        ArtifactError: the pooling, or a layer of the site, was not recorded.

    Source: Phipson and Smyth 2010 (permutation p-values); Benjamini and Hochberg 1995; Benjamini
    and Yekutieli 2001.
    """
    from scipy.stats import false_discovery_control

    _require_reach(level, correction, draws=draws, n_tests=recording.site.n_neurons)
    if language not in recording.languages:
        known = ", ".join(recording.languages)
        raise MechsteerError(f"language {language!r} was not recorded; recorded: {known}")
    judged = among(recording, language, within)
    ids = _sentence_ids(judged) if parallel else None
    how = pooling or recording.pooling[0]
    target = judged.languages.index(language)

    def p_of(point: HookSite) -> Float[Tensor, " neuron"]:
        x = recording.activations(point, pooling=how)
        with naming(point), compiling():
            found = permutation_test(
                judged.pick(x),
                judged.labels,
                targets=[target],
                sentence_ids=ids,
                pooled=ids is None,
                draws=draws,
                seed=seed,
                statistic=by,
                fdr=level,
            )
        return found.p[0]

    p = torch.cat([p_of(point) for point in bar(recording.site.points, "testing", "layer")])
    q = torch.from_numpy(false_discovery_control(p.numpy(), method=correction))
    null = f"languages permuted {'freely' if ids is None else 'within each sentence'}"
    return Significance(language, recording.site, how, by, level, null, p, q, within)


@with_bars
def by_significance(
    recording: Recording,
    scores: NeuronScores,
    language: str,
    *,
    level: float = 0.05,
    min_effect: float = 1.0,
    by: Criterion = "ap",
    within: Within = "all",
    parallel: bool = True,
    correction: Correction = "bh",
    draws: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> Experts:
    """Experts of a language that are significant and large enough: `NeuronScores.top` without a k.

    Args:
        recording: what ``scores`` were made from.
        scores: of every neuron.
        language: canonical code.
        level: false discovery rate over all neurons of the site.
        min_effect: smallest ``|d|`` of an expert; 0 keeps every discovery.
        by: statistic that is tested and ranks.
        within: told from ``"all"`` other languages, or from those of its own ``"script"``.
        parallel: see `significance_of`, as all that follows.
        correction: ``"bh"`` or ``"by"``.
        draws: relabellings.
        seed: of the relabellings.
        progress: show bars where a terminal watches.

    Raises:
        MechsteerError: what `significance_of` or `Significance.experts` refuses.
    """
    scores.among(language, within)
    found = significance_of(
        recording,
        language,
        level=level,
        by=by,
        within=within,
        pooling=scores.pooling,
        parallel=parallel,
        correction=correction,
        draws=draws,
        seed=seed,
    )
    return found.experts(scores, min_effect=min_effect)


def _sentence_ids(judged: Among) -> Int[Tensor, " sentence"]:
    """The place of each sentence within its language."""
    counts = torch.bincount(judged.labels, minlength=len(judged.languages))
    if len(set(counts.tolist())) > 1:
        named = zip(judged.languages, counts.tolist(), strict=True)
        raise MechsteerError(
            "expected as many sentences of every language, as parallel text has, got "
            f"{', '.join(f'{n} of {code}' for code, n in named)}; use parallel=False to permute "
            "the labels of text that is not parallel"
        )
    return torch.arange(int(counts[0])).repeat(len(counts))


def _require_reach(level: float, correction: str, *, draws: int, n_tests: int) -> None:
    """Refuse a test that could discover nothing, before it is run."""
    if not 0 < level < 1 or correction not in ("bh", "by"):
        raise MechsteerError(
            f"expected 0 < level < 1 and correction='bh' or 'by', got {level} and {correction!r}"
        )
    factor = 1.0 if correction == "bh" else float((1 / np.arange(1, n_tests + 1)).sum())
    if (least := factor / (1 + draws)) > level:
        raise MechsteerError(
            f"{draws:,} draws give no q below {least:.2g}, so no neuron can reach {level:g}: take "
            f"at least {int(np.ceil(factor / level)) - 1:,} draws"
        )
