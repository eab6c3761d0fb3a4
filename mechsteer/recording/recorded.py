"""What was recorded of a corpus: pooled neurons and embeddings of every sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import NDArray
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.corpus.labels.concepts import Concepts, told_apart
from mechsteer.corpus.names.codes import closest
from mechsteer.display import Displayed, count, listed
from mechsteer.errors import ArtifactError, MechsteerError, shown
from mechsteer.kernels import Pooling
from mechsteer.memory import USUAL, room
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.sites import HookSite, Site
from mechsteer.recording.firing import firing_point
from mechsteer.recording.reading import USUAL_TOKENS
from mechsteer.recording.store import Columns, Store, Swapped
from mechsteer.recording.tables import named, side_by_side


@dataclass(frozen=True, eq=False, repr=False)
class Recording(Displayed):
    """Pooled activations of every sentence of a corpus, in the order of ``corpus.flatten()``.

    Attributes:
        site: which neurons.
        pooling: what was recorded of each.
        languages: canonical codes, which ``labels`` numbers.
        labels: language of each sentence.
        n_tokens: real tokens of each sentence.
        points: the hook points of ``site`` that were recorded.
        firing: whether it was recorded how often each neuron fires.
        model: what was recorded.
        sources: where each language's sentences came from.
        n_truncated: sentences that were cut to the model's context.
        batch_tokens: tokens of a batch at most, as they were chosen.
        concepts: what labels mean where they are no languages.
    """

    site: Site
    pooling: tuple[Pooling, ...]
    languages: tuple[str, ...]
    labels: Int[Tensor, " sentence"]
    n_tokens: Int[Tensor, " sentence"]
    points: tuple[HookSite, ...]
    firing: bool
    model: ModelIdentity
    sources: Mapping[str, str]
    n_truncated: int
    _store: Store
    batch_tokens: int = USUAL_TOKENS
    concepts: Concepts | None = None

    @property
    def told_apart(self) -> tuple[str, ...]:
        """What sentences are told apart by: languages, labels, or concepts that overlap."""
        return told_apart(self.concepts, self.languages)

    def having(self, name: str) -> Bool[Tensor, " sentence"]:
        """Which sentences are in a language, under a label, or have a concept of ``told_apart``.

        Raises:
            MechsteerError: nothing is called so; the closest names are listed.
        """
        if name not in self.told_apart:
            near = ", ".join(closest(name, self.told_apart) or self.told_apart)
            kind = "language" if self.concepts is None else "label"
            raise MechsteerError(f"{kind} {shown(name)} was not recorded; closest: {near}")
        sets = self.concepts.sets if self.concepts is not None else {}
        numbers = [self.languages.index(label) for label in sets.get(name, (name,))]
        return torch.isin(self.labels, torch.tensor(numbers))

    def activations(
        self, point: HookSite | int, *, pooling: Pooling | None = None
    ) -> Shaped[Tensor, "sentence neuron"]:
        """One hook point's pooled activations, the transpose of contiguous ``[neuron, sentence]``.

        From disk this reads one layer; nothing is kept.

        Args:
            point: a point of ``site``, or its number among them.
            pooling: which of the recorded ones; the first by default.

        Raises:
            ArtifactError: that pooling or layer was not recorded, or a shard is missing or damaged.
        """
        how = self._pooled(pooling or self.pooling[0])
        return self._store.activations(self._recorded(point), how)

    def to_numpy(self, *, pooling: Pooling | None = None) -> NDArray[np.float32]:
        """All pooled activations, float32 ``[sentence, neuron]``, recorded points side by side.

        Raises:
            MechsteerError: they take more than half of the free memory.
            ArtifactError: that pooling was not recorded, or a shard is missing or damaged.
        """
        n = len(self.labels)
        return side_by_side(self.points, n, lambda p: self.activations(p, pooling=pooling))

    def to_pandas(self, *, pooling: Pooling | None = None) -> pd.DataFrame:
        """``to_numpy`` with rows named (language, sentence), columns (component, layer, neuron).

        Raises:
            MechsteerError: see ``to_numpy``.
        """
        values = self.to_numpy(pooling=pooling)
        return named(values, self.points, self.languages, self.labels)

    def columns(
        self, neurons: range, poolings: Sequence[Pooling]
    ) -> dict[Pooling, list[Shaped[Tensor, "sentence neuron"]]]:
        """Pooled activations of a range of the site's neurons, by pooling and hook point.

        Neurons have their flat numbers (see ``Site``), so a range may begin within one hook point
        and end within another. From disk this reads those neurons alone, all poolings at once.

        Raises:
            ArtifactError: a pooling or layer was not recorded, or a shard is missing or damaged.
        """
        spans = self.site.spans(neurons)
        wanted = [
            Columns(self._recorded(point), self._pooled(how), start, stop)
            for how in poolings
            for point, start, stop in spans
        ]
        found = iter(self._store.columns(wanted))
        return {how: [next(found) for _ in spans] for how in poolings}

    def fired(self, point: HookSite | int) -> Float[Tensor, "sentence neuron"]:
        """Share of each sentence's real tokens at which each neuron of a hook point fired.

        A neuron fires where ``act(gate) > 0``, that is ``hook_pre > 0``. Float32; times
        ``n_tokens``, rounded, it is the exact number of tokens.

        Raises:
            ArtifactError: this was not recorded, or a shard is missing or damaged.
        """
        if not self.firing:
            raise ArtifactError("how neurons fire was not recorded: record with firing=True")
        return self._store.activations(firing_point(self._recorded(point)), "mean")

    def _line(self) -> str:
        counts = count(len(self.labels), "sentence"), listed(self.languages)
        width = sum(point.width for point in self.points)
        what = f"{'+'.join(self.pooling)} of {count(width, 'neuron')} of {self.site.name}"
        return f"{self.model.name}, {what}, {counts[0]}: {counts[1]}"

    def _shown(self) -> pd.DataFrame:
        numbers = self.labels.bincount(minlength=len(self.languages)).clamp(min=1)
        tokens = self.labels.bincount(self.n_tokens, minlength=len(self.languages)) / numbers
        shown = {"language": self.languages, "sentences": numbers, "tokens a sentence": tokens}
        return pd.DataFrame(shown)

    def _pooled(self, how: Pooling) -> Pooling:
        if how not in self.pooling:
            raise ArtifactError(
                f"{how!r} was not recorded, only {', '.join(self.pooling)}: "
                f"record with pooling={how!r}"
            )
        return how

    def _recorded(self, point: HookSite | int) -> HookSite:
        found = self.site.points[point] if isinstance(point, int) else point
        if found not in self.points:
            known = ", ".join(dict.fromkeys(recorded.layer_name for recorded in self.points))
            raise ArtifactError(f"{found.layer_name} was not recorded, only {known}")
        return found

    @property
    def embeddings(self) -> Float[Tensor, "layer sentence d_model"]:
        """Mean residual stream of each sentence: after the embedding, each block, the final norm.

        Raises:
            ArtifactError: embeddings were not recorded, or a shard is missing or damaged.
        """
        embeddings = self._store.embeddings()
        if not len(embeddings):
            raise ArtifactError("embeddings were not recorded: record with embeddings=True")
        return embeddings

    def with_sentences(self, language: str, other: Recording) -> Recording:
        """This recording with as many other sentences in the place of a language's own.

        Activations alone; embeddings and how neurons fire are those of neither and cannot be read.

        Args:
            language: whose sentences are replaced.
            other: the sentences that replace them, in one language, whatever its name.

        Raises:
            ArtifactError: neurons, poolings or a model that differ, a language that was not
                recorded, or another number of sentences.
        """
        number = self.languages.index(language) if language in self.languages else -1
        rows = (self.labels == number).nonzero().flatten()
        ours, theirs = ((r.site, r.pooling, r.points, r.model) for r in (self, other))
        if ours != theirs or len(rows) != len(other.labels):
            raise ArtifactError(
                f"expected the same neurons of the same model on {len(rows)} sentences for "
                f"{language}, got {other.site.name} ({', '.join(other.pooling)}) on "
                f"{len(other.labels)}"
            )
        n_tokens = self.n_tokens.clone()
        n_tokens[rows] = other.n_tokens
        swapped = Swapped(self._store, other._store, rows)
        return replace(self, n_tokens=n_tokens, firing=False, _store=swapped)

    def embeddings_by_language(self, *, memory: int = USUAL) -> LayerEmbeddings:
        """``embeddings`` of each language's sentences, in their order.

        Args:
            memory: bytes; where all of them exceed half of what it leaves for values, they lie on
                the disk and a language is read when it is asked for.

        Raises:
            ArtifactError: embeddings were not recorded, or a shard is missing or damaged.
        """
        sizes = torch.bincount(self.labels, minlength=len(self.languages)).tolist()
        counts = dict(zip(self.languages, sizes, strict=True))
        found = self._store.embedded(counts, room(memory))
        return by_language(self.embeddings, self.labels, self.languages) if found is None else found


def by_language(
    embeddings: Float[Tensor, "layer sentence d_model"],
    labels: Int[Tensor, " sentence"],
    languages: Sequence[str],
) -> dict[str, Float[Tensor, "layer _sentence d_model"]]:
    """Divide embeddings by language, as views: a corpus keeps a language's sentences together."""
    counts = torch.bincount(labels, minlength=len(languages)).tolist()
    return dict(zip(languages, torch.split(embeddings, counts, dim=1), strict=True))
