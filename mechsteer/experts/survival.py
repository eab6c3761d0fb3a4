"""Script or language? How many experts of a language still tell copies of its sentences.

A romanised copy has the language without its script, a shuffled one its words without their order
(``mechsteer.corpus.copies``). An expert that tells the sentences from all other languages and not
their romanised copies told a script.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mechsteer.analysis.proportions import proportion_interval
from mechsteer.corpus import LabelledCorpus, ParallelCorpus
from mechsteer.corpus.copies import romanised, shuffled
from mechsteer.corpus.given import Sentences, as_labelled
from mechsteer.corpus.names.languages import in_script
from mechsteer.errors import MechsteerError
from mechsteer.experts.among import Among, among
from mechsteer.experts.controls import random_like
from mechsteer.experts.score import score_recording
from mechsteer.experts.scores import Experts, NeuronScores
from mechsteer.kernels import score as score_columns
from mechsteer.model.wrap import ModelLike
from mechsteer.options import records, takes
from mechsteer.options.ranking import Probing
from mechsteer.progress import progress as bar
from mechsteer.progress import with_bars
from mechsteer.recording import Recording, record
from mechsteer.recording.reading import DEFAULT_READING, Reading

if TYPE_CHECKING:
    pass

SEEDS = 5  # random controls of each set of experts


@dataclass(frozen=True)
class Survival:
    """Which experts still tell copies of their language's sentences.

    Attributes:
        table: one row a language and copy. ``k`` experts; ``by`` and ``within``, what they were
            ranked by; ``changed``, the share of sentences that the copy changes; ``score`` and
            ``copy_score``, medians over the experts; ``least``, the score to keep; ``kept``, the
            share of experts whose score on the copies is at least that, with a 95 % percentile
            bootstrap over sentences (``kept_low``, ``kept_high``), and ``random``, that of random
            neurons in the same layers (mean of 5 seeds); ``in_top``, the share of experts among the
            k best neurons for the copies, with the exact 95 % interval of a proportion
            (``in_top_low``, ``in_top_high``: over neurons, at these sentences), and ``chance``,
            that of k random neurons.
        neurons: one row an expert and copy: language, copy, rank, component, layer, neuron, score,
            copy_score, kept, in_top.
    """

    table: pd.DataFrame
    neurons: pd.DataFrame


@takes(Probing)
@with_bars
def survival(
    model: ModelLike,
    corpus: Sentences,
    recording: Recording,
    scores: NeuronScores,
    languages: Sequence[str],
    *,
    others: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    reading: Reading = DEFAULT_READING,
    directory: Path | None = None,
    progress: bool = True,
    **options: Any,
) -> Survival:
    """Put copies in the place of a language's sentences, score again, and count what is left.

    Only the copies are read by the model; all other sentences are those of the recording. The
    negatives are the sentences of all other languages as they are, or of those in the language's
    own script where experts are ranked within it.

    Args:
        model: the model that was recorded.
        corpus: the sentences that were recorded.
        recording: of ``corpus``.
        scores: of ``recording``.
        languages: whose experts are asked, canonical codes.
        others: further texts to stand for a language's sentences, by a name of their own, then by
            language: as many sentences. Other sentences of the language, say, tell what chance in
            the choice of sentences costs.
        reading: how the sentences were read.
        directory: where to stream the recordings of copies, to resume them.
        progress: show bars where a terminal watches.
        **options: see ``mechsteer.options.ranking``.

    Raises:
        MechsteerError: an option out of range, a language that was not scored or has no other of
            its script where that is asked, or no uroman for a romanised copy.
        ArtifactError: another number of sentences than were recorded, or another model.
    """
    (probing,) = records(options, Probing)
    corpus = as_labelled(corpus)
    for language in languages:
        scores.among(language, probing.within)
    asked = [
        (language, name, texts)
        for language in languages
        for name, texts in _copies(corpus, language, probing, others or {}).items()
    ]
    parts = []
    for language, name, texts in bar(asked, "probing", "copy"):
        copy = record(
            model,
            _text(language, name, texts),
            site=recording.site.name,
            pooling=recording.pooling,
            reading=reading,
            directory=None if directory is None else directory / _folder(language, name, probing),
            progress=False,
        )
        swapped = recording.with_sentences(language, copy)
        was, parallel = corpus.sentences[language], isinstance(corpus, ParallelCorpus)
        changed = float(np.mean([a != b for a, b in zip(texts, was, strict=True)]))
        parts.append(_judged(scores, swapped, language, probing, parallel))
        for frame in parts[-1]:
            frame.insert(1, "copy", name)
        parts[-1][0].insert(5, "changed", changed)
    table, neurons = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
    return Survival(table, neurons)


def _copies(
    corpus: LabelledCorpus,
    language: str,
    probing: Probing,
    others: Mapping[str, Mapping[str, Sequence[str]]],
) -> dict[str, Sequence[str]]:
    own = corpus.sentences[language]
    made: dict[str, Sequence[str]] = {
        name: romanised(own, language) if name == "romanised" else shuffled(own, seed=probing.seed)
        for name in probing.copies
    }
    return made | {name: texts[language] for name, texts in others.items() if language in texts}


def _text(language: str, name: str, texts: Sequence[str]) -> LabelledCorpus:
    """A copy as a corpus; a romanised one is the same language in Latin letters."""
    code = in_script(language.partition("_")[0], "Latn") if name == "romanised" else language
    return LabelledCorpus({code: texts}, sources={code: f"{language}, {name}"})


def _folder(language: str, name: str, probing: Probing) -> str:
    return f"{language}.{name}.{probing.seed}" if name == "shuffled" else f"{language}.{name}"


def _judged(
    scores: NeuronScores, swapped: Recording, language: str, how: Probing, parallel: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The row of a copy, and those of its experts."""
    copied = score_recording(swapped, pooling=scores.pooling)
    before, after = (each.among(language, how.within) for each in (scores, copied))
    experts = scores.top(language, how.k, by=how.by, within=how.within)
    if not len(experts):
        raise MechsteerError("expected a k of one expert or more")
    old, new = (getattr(each, how.by)[each.row(language)] for each in (before, after))
    own, at = new[experts.index], experts.index
    least = float(old[at].min()) if how.least is None else how.least
    kept = own.double() >= least
    best = copied.top(language, len(experts), by=how.by, within=how.within).index
    in_top = torch.isin(at, best)
    low, high = _bootstrap(swapped, experts, least, how, parallel)
    exact = proportion_interval(in_top.sum(), len(experts))
    row = {
        "language": language,
        "k": len(experts),
        "by": how.by,
        "within": how.within,
        "score": float(old[at].median()),
        "copy_score": float(own.median()),
        "least": least,
        "kept": float(kept.double().mean()),
        "kept_low": low,
        "kept_high": high,
        "random": float(np.mean([*_random(scores, experts, new, least, how.seed)])),
        "in_top": float(in_top.double().mean()),
        "in_top_low": float(exact[0]),
        "in_top_high": float(exact[1]),
        "chance": len(experts) / scores.site.n_neurons,
    }
    columns = {"score": old[at], "copy_score": own, "kept": kept, "in_top": in_top}
    head = experts.table()[["language", "rank", "component", "layer", "neuron"]]
    return pd.DataFrame([row]), head.assign(**{name: x.numpy() for name, x in columns.items()})


def _random(
    scores: NeuronScores, experts: Experts, new: Tensor, least: float, seed: int
) -> Iterator[float]:
    """Share of random neurons in the experts' layers that reach ``least``, once a seed."""
    for draw in range(SEEDS):
        control = random_like(scores, experts, seed=seed + draw)
        yield float((new[control.index].double() >= least).double().mean())


def _bootstrap(
    swapped: Recording, experts: Experts, least: float, how: Probing, parallel: bool
) -> tuple[float, float]:
    """Ends of the 95 % interval of the share of experts that reach ``least``.

    Sentences are drawn with replacement: the same numbers in every language of parallel text, each
    language's own otherwise.
    """
    judged = among(swapped, experts.language, how.within)
    x = judged.pick(_columns(swapped, experts))
    target = judged.languages.index(experts.language)
    generator = np.random.default_rng(how.seed)
    shares = []
    for _ in range(how.resamples):
        rows = _drawn(judged, generator, parallel)
        found = score_columns(x.T[:, rows].T, judged.labels[rows], moments=False)
        reached = getattr(found, how.by)[target].double() >= least
        shares.append(float(reached.double().mean()))
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)


def _columns(recording: Recording, experts: Experts) -> Tensor:
    """Pooled activations of the experts, ``[sentence, expert]``, in rank order."""
    found = torch.empty(len(experts), len(recording.labels))
    for point, at in zip(recording.site.points, recording.site.offsets, strict=True):
        here = ((experts.index >= at) & (experts.index < at + point.width)).nonzero().flatten()
        if len(here):
            x = recording.activations(point, pooling=experts.pooling)
            found[here] = x.T[(experts.index[here] - at).to(x.device)].float().cpu()
    return found.T


def _drawn(judged: Among, generator: np.random.Generator, parallel: bool) -> Tensor:
    counts = torch.bincount(judged.labels).tolist()
    starts = np.cumsum([0, *counts[:-1]])  # a corpus keeps a language's sentences together
    if parallel:
        same = generator.integers(counts[0], size=counts[0])
        return torch.from_numpy(np.concatenate([same + start for start in starts]))
    own = [generator.integers(n, size=n) + start for n, start in zip(counts, starts, strict=True)]
    return torch.from_numpy(np.concatenate(own))
