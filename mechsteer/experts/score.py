"""From recorded activations to a score of every neuron for every language, and back from a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from mechsteer.artifacts.described import described
from mechsteer.artifacts.files import read_tensors, write_tensors
from mechsteer.errors import ArtifactError, CorpusError, MechsteerError
from mechsteer.experts.scores import STATISTICS, NeuronScores
from mechsteer.kernels import Pooling
from mechsteer.kernels import score as score_columns
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.sites import HookSite, Site
from mechsteer.model.wrap import ModelLike
from mechsteer.progress import progress
from mechsteer.recording import Recording, record
from mechsteer.recording.finite import naming
from mechsteer.recording.reading import DEFAULT_READING, Reading, ReadingOptions

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus


def score(
    model: ModelLike,
    corpus: LabelledCorpus,
    *,
    site: str = "post",
    pooling: Pooling = "max",
    negative_only: Sequence[str] = (),
    tokenizer: Any = None,
    reading: Reading = DEFAULT_READING,
    directory: Path | None = None,
    **options: Unpack[ReadingOptions],
) -> NeuronScores:
    """Score every neuron of a site as a detector of every language, in one pass over the corpus.

    Args:
        model: whatever ``mechsteer.wrap`` takes.
        corpus: sentences by language; they need not be parallel.
        site: where neurons are read, see ``mechsteer.model.sites.find_site``.
        pooling: ``"max"``, ``"mean"`` or ``"last"`` over a sentence's real tokens.
        negative_only: languages that count as negatives but get no score of their own.
        tokenizer: the model's plain one by default.
        reading: how sentences are read.
        directory: where to stream the recording, to resume it; None keeps it in memory.
        options: fields of ``reading`` one by one, such as ``truncate=True``.

    Raises:
        CorpusError: fewer than two languages.
    """
    if len(corpus.languages) < 2:
        raise CorpusError(
            f"expected at least two languages, got {list(corpus.languages)}: a detector of one "
            "language needs sentences of others"
        )
    recorded = record(
        model,
        corpus,
        site=site,
        pooling=pooling,
        tokenizer=tokenizer,
        reading=reading.changed(options),
        directory=directory,
    )
    return score_recording(recorded, pooling=pooling, negative_only=negative_only)


def score_recording(
    recording: Recording, *, pooling: Pooling = "max", negative_only: Sequence[str] = ()
) -> NeuronScores:
    """Score what was recorded, one hook point at a time, so that memory holds one layer.

    Raises:
        MechsteerError: an unknown language, or what cannot be scored; the layer is named.
    """
    unknown = set(negative_only) - set(recording.languages)
    if unknown:
        raise MechsteerError(f"negative-only languages {sorted(unknown)} are not in the corpus")
    targets = [i for i, name in enumerate(recording.languages) if name not in negative_only]
    columns: dict[str, list[Tensor]] = {name: [] for name in STATISTICS}
    for point in progress(recording.site.points, "scoring", "layer"):
        activations = recording.activations(point, pooling=pooling)
        with naming(point):
            scores = score_columns(activations, recording.labels)
        for name in STATISTICS:
            columns[name].append(getattr(scores, name)[targets].cpu())
    counts = torch.bincount(recording.labels, minlength=len(recording.languages)).tolist()
    return NeuronScores(
        languages=tuple(recording.languages[i] for i in targets),
        site=recording.site,
        pooling=pooling,
        counts=tuple(counts[i] for i in targets),
        n_sentences=sum(counts),
        model=recording.model,
        **{name: torch.cat(parts, dim=1) for name, parts in columns.items()},
    )


def save_scores(scores: NeuronScores, path: Path) -> None:
    """Write ``[language, layer, neuron]`` tensors, one a table and component.

    The component ``post`` goes without a prefix (``ap``), others with theirs (``up.ap``). Where the
    layers of a component differ in width there is one tensor a layer (``ap.3``).
    """
    tensors: dict[str, Tensor] = {}
    for component in dict.fromkeys(point.component for point in scores.site.points):
        prefix = "" if component == "post" else f"{component}."
        spans = _spans(scores.site, component)
        for name in STATISTICS:
            parts = [getattr(scores, name)[:, span] for span in spans.values()]
            if len({part.shape[1] for part in parts}) == 1:
                tensors[prefix + name] = torch.stack(parts, dim=1)
            else:
                layers = zip(spans, parts, strict=True)
                tensors |= {f"{prefix}{name}.{layer}": part for layer, part in layers}
    write_tensors(path, tensors)


def load_scores(path: Path, record: dict[str, Any]) -> NeuronScores:
    """Read what ``save_scores`` wrote; ``record`` is ``describe(scores)``, from the manifest.

    Raises:
        ArtifactError: the tensors are not those the record speaks of.
    """
    told = described(
        _Described, {k: v for k, v in record.items() if k != "files"}, f"scores of {path}"
    )
    site = Site(told.site, told.points)
    counts = told.counts
    if (
        len(set(told.languages)) != len(counts)
        or min(counts, default=0) < 1
        or (sum(counts) > told.n_sentences)
    ):
        raise ArtifactError(f"{path}: languages and counts of its manifest disagree: score again")
    tables = _tables(path, site, len(counts))
    return NeuronScores(
        languages=told.languages,
        site=site,
        pooling=told.pooling,
        counts=counts,
        n_sentences=told.n_sentences,
        model=told.model,
        **tables,
    )


@dataclass(frozen=True)
class _Described:
    """What the tensors alone do not say, as the manifest has it."""

    languages: tuple[str, ...]
    site: str
    points: tuple[HookSite, ...]
    pooling: Pooling
    counts: tuple[int, ...]
    n_sentences: int
    model: ModelIdentity | None


def _tables(path: Path, site: Site, n_languages: int) -> dict[str, Tensor]:
    """Every statistic ``[language, neuron]``, put together from a file's tensors."""
    tensors, _ = read_tensors(path)
    held = sum(tensor.numel() for tensor in tensors.values())
    if held != len(STATISTICS) * n_languages * site.n_neurons:
        raise ArtifactError(f"{path} does not match its manifest ({held} numbers): score again")
    tables = {name: torch.empty(n_languages, site.n_neurons) for name in STATISTICS}
    try:
        for component in dict.fromkeys(point.component for point in site.points):
            prefix = "" if component == "post" else f"{component}."
            for position, (layer, span) in enumerate(_spans(site, component).items()):
                for name in STATISTICS:
                    key = prefix + name
                    whole = tensors.get(key)
                    part = tensors[f"{key}.{layer}"] if whole is None else whole[:, position]
                    tables[name][:, span] = part
    except (KeyError, RuntimeError, IndexError) as error:
        raise ArtifactError(f"{path} does not match its manifest ({error}): score again") from None
    if not all(table.isfinite().all() for table in tables.values()):
        raise ArtifactError(f"{path} holds scores that are not finite: score again")
    return tables


def describe(scores: NeuronScores) -> dict[str, Any]:
    """What the tensors alone do not say, as JSON for the manifest."""
    return {
        "languages": list(scores.languages),
        "site": scores.site.name,
        "points": [asdict(point) for point in scores.site.points],
        "pooling": scores.pooling,
        "counts": list(scores.counts),
        "n_sentences": scores.n_sentences,
        "model": asdict(scores.model) if scores.model else None,
    }


def _spans(site: Site, component: str) -> dict[int, slice]:
    """Columns of each layer of a component in the flat numbering."""
    places = zip(site.points, site.offsets, strict=True)
    return {
        point.layer: slice(offset, offset + point.width)
        for point, offset in places
        if point.component == component
    }
