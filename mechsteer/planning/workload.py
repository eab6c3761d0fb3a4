"""What is to be read: sentences and their tokens, divided into the batches of a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mechsteer.corpus.names.languages import script_of
from mechsteer.recording.batches import divide

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus
    from mechsteer.recording.batches import BatchPlan

BYTES_A_TOKEN = 3.5
"""Of UTF-8, where no tokenizer is at hand: Gemma 3 has 3.55 a token over 111 languages of FLORES,
4.01 multilingual E5, 2.02 SmolLM2, which was made for English."""


@dataclass(frozen=True)
class Workload:
    """A corpus as a model reads it.

    Attributes:
        counts: sentences of each language.
        lengths: tokens of each sentence.
        batches: sentences and padded width of each batch.
        counted: whether a tokenizer counted the tokens; else they are estimated from bytes.
    """

    counts: Mapping[str, int]
    lengths: tuple[int, ...]
    batches: tuple[tuple[int, int], ...]
    counted: bool = True

    @property
    def n_sentences(self) -> int:
        """Of all languages."""
        return len(self.lengths)

    @property
    def n_tokens(self) -> int:
        """Of all sentences, without padding."""
        return sum(self.lengths)

    @property
    def n_padded(self) -> int:
        """Of all batches, padding included."""
        return sum(rows * width for rows, width in self.batches)

    @property
    def squares(self) -> int:
        """What attention is over: of each sentence its padded tokens, squared."""
        return sum(rows * width * width for rows, width in self.batches)

    @property
    def largest(self) -> tuple[int, int]:
        """The batch with the most tokens."""
        return max(self.batches, key=lambda batch: (batch[0] * batch[1], batch[1]))

    @property
    def in_scripts(self) -> tuple[int, int]:
        """Languages that share their script with others, but not with all, and their sentences."""
        some = [number for own in self._shared.values() for number in own]
        return len(some), sum(some)

    @property
    def scripts(self) -> int:
        """Of languages that share theirs with others, but not with all."""
        return len(self._shared)

    @property
    def largest_script(self) -> int:
        """Sentences of the largest of these scripts."""
        return max(map(sum, self._shared.values()), default=0)

    @property
    def _shared(self) -> dict[str, list[int]]:
        """Sentences of each language of such a script."""
        members: dict[str, list[int]] = {}
        for language, number in self.counts.items():
            members.setdefault(script_of(language) or "", []).append(number)
        return {
            script: own
            for script, own in members.items()
            if script and 1 < len(own) < len(self.counts)
        }

    def of_rank(self, rank: int, ranks: int) -> Sequence[tuple[int, int]]:
        """The batches that one of some processes runs: every so manyth."""
        return self.batches[rank::ranks]


def counted(corpus: LabelledCorpus, plan: BatchPlan) -> Workload:
    """A corpus that was divided into batches."""
    widths = tuple((len(rows), plan.lengths[rows[0]]) for rows in plan.batches)
    return Workload(_counts(corpus), plan.lengths, widths)


def estimated(corpus: LabelledCorpus, batch_tokens: int, context: int) -> Workload:
    """A corpus whose tokens are told from its bytes, one more for each sentence's beginning."""
    texts = corpus.flatten()[0]
    lengths = [min(context, 1 + round(len(text.encode()) / BYTES_A_TOKEN)) for text in texts]
    batches = tuple((len(rows), lengths[rows[0]]) for rows in divide(lengths, batch_tokens))
    return Workload(_counts(corpus), tuple(lengths), batches, counted=False)


def tokenizer_or_none(source: str) -> Any:
    """The tokenizer that lies beside a configuration; None where there is none."""
    from transformers import AutoTokenizer

    from mechsteer.model.loaders import quiet

    try:
        with quiet():
            return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception:  # of the hub, of JSON, of each tokenizer
        return None


def _counts(corpus: LabelledCorpus) -> dict[str, int]:
    return {language: len(texts) for language, texts in corpus.sentences.items()}
