"""What a manifest tells of scores beside their tensors, read back and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mechsteer.artifacts.described import described
from mechsteer.corpus.names.languages import script_of
from mechsteer.errors import ArtifactError
from mechsteer.kernels import Pooling
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.sites import HookSite


@dataclass(frozen=True)
class ToldScript:
    """What is told of the scores among the languages of one script."""

    script: str
    languages: tuple[str, ...]
    counts: tuple[int, ...]
    n_sentences: int

    @property
    def prefix(self) -> str:
        """How the names of its tensors start."""
        return f"script.{self.script}."


@dataclass(frozen=True)
class Told:
    """What ``mechsteer.experts.files.describe`` gives, with the types that it has."""

    languages: tuple[str, ...]
    site: str
    points: tuple[HookSite, ...]
    pooling: Pooling
    beside: tuple[Pooling, ...]
    counts: tuple[int, ...]
    n_sentences: int
    model: ModelIdentity | None
    scripts: tuple[ToldScript, ...]
    label: str


def told(record: Mapping[str, Any], place: str) -> Told:
    """What a stage of the manifest tells of scores.

    Raises:
        ArtifactError: a part is missing, of another type, or no scores can have it.
    """
    parts = {"beside": [], "label": "", **record}
    for of_the_run in ("files", "batch_tokens"):  # beside what is told of the scores
        parts.pop(of_the_run, None)
    found = described(Told, parts, place)
    languages, counts = found.languages, found.counts
    repeated = len({*languages}) < len(languages) or len({*found.beside}) < len(found.beside)
    if repeated or len(languages) != len(counts) or min(counts, default=0) < 1:
        raise ArtifactError(f"{place}: languages, counts or poolings that no scores have")
    most = max(counts) if found.label else sum(counts)  # concepts may overlap
    if most > found.n_sentences or found.pooling in found.beside:
        raise ArtifactError(f"{place}: more sentences or poolings than were scored")
    if not _are_parts(found):
        raise ArtifactError(f"{place}.scripts: languages or counts that no scores have")
    return found


def _are_parts(found: Told) -> bool:
    """Whether what is told of scripts agrees with the whole."""
    counts = dict(zip(found.languages, found.counts, strict=True))
    return len({own.script for own in found.scripts}) == len(found.scripts) and all(
        own.languages
        and {script_of(language) for language in own.languages} == {own.script}
        and len({*own.languages}) == len(own.languages)
        and own.counts == tuple(counts.get(language) for language in own.languages)
        and sum(own.counts) <= own.n_sentences <= found.n_sentences
        and (own.n_sentences < found.n_sentences or own.languages == found.languages)
        for own in found.scripts
    )
