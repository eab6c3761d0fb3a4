"""From recorded activations to a score of every neuron for every language, and back from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from mechsteer.artifacts.files import read_tensors, write_tensors
from mechsteer.errors import ArtifactError, CorpusError, MechsteerError
from mechsteer.experts.compiling import compiling
from mechsteer.experts.moments import MOMENTS, Moments
from mechsteer.experts.scores import STATISTICS, NeuronScores
from mechsteer.experts.told import told
from mechsteer.kernels import Pooling
from mechsteer.kernels import score as score_columns
from mechsteer.model.sites import Site
from mechsteer.model.wrap import ModelLike
from mechsteer.progress import progress
from mechsteer.recording import Recording, record
from mechsteer.recording.finite import naming
from mechsteer.recording.reading import DEFAULT_READING, Reading, ReadingOptions

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus

_POOLED = "_pooled."  # between a pooling and a statistic, in the names of tables


def score(
    model: ModelLike,
    corpus: LabelledCorpus,
    *,
    site: str = "post",
    pooling: Pooling = "max",
    also_pooling: Pooling | Sequence[Pooling] = "mean",
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
        also_pooling: recorded in the same pass, so that edits can hold experts at values of it too;
            none saves the memory of it (a float32 for each neuron and sentence).
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
        pooling=all_poolings(pooling, also_pooling),
        tokenizer=tokenizer,
        reading=reading.changed(options),
        directory=directory,
    )
    return score_recording(recorded, pooling=pooling, negative_only=negative_only)


def score_recording(
    recording: Recording, *, pooling: Pooling = "max", negative_only: Sequence[str] = ()
) -> NeuronScores:
    """Score what was recorded, one hook point at a time, so that memory holds one layer.

    Neurons are scored by one pooling; of every other that was recorded the moments are kept.

    Raises:
        MechsteerError: an unknown language, or what cannot be scored; the layer is named.
    """
    unknown = set(negative_only) - set(recording.languages)
    if unknown:
        raise MechsteerError(f"negative-only languages {sorted(unknown)} are not in the corpus")
    targets = [i for i, name in enumerate(recording.languages) if name not in negative_only]
    columns: dict[str, list[Tensor]] = {}
    wanted = _columns(pooling, [how for how in recording.pooling if how != pooling])
    for point in progress(recording.site.points, "scoring", "layer"):
        for how, names in wanted.items():
            activations = recording.activations(point, pooling=how)
            with naming(point), compiling():
                scores = score_columns(activations, recording.labels)
            for column, name in names.items():
                columns.setdefault(column, []).append(getattr(scores, name)[targets].cpu())
    counts = torch.bincount(recording.labels, minlength=len(recording.languages)).tolist()
    return NeuronScores(
        languages=tuple(recording.languages[i] for i in targets),
        site=recording.site,
        pooling=pooling,
        counts=tuple(counts[i] for i in targets),
        n_sentences=sum(counts),
        model=recording.model,
        **_together({column: torch.cat(parts, dim=1) for column, parts in columns.items()}),
    )


def save_scores(scores: NeuronScores, path: Path) -> None:
    """Write ``[language, layer, neuron]`` tensors, one a table and component.

    The component ``post`` goes without a prefix (``ap``), others with theirs (``up.ap``). Where the
    layers of a component differ in width there is one tensor a layer (``ap.3``). The moments of
    another pooling than the scored one have its name (``mean_pooled.median``).
    """
    tables = _tables(scores)
    tensors: dict[str, Tensor] = {}
    for component in dict.fromkeys(point.component for point in scores.site.points):
        prefix = "" if component == "post" else f"{component}."
        spans = _spans(scores.site, component)
        for name, table in tables.items():
            parts = [table[:, span] for span in spans.values()]
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
    known = told(record, f"the scores of {path}")
    site, tensors = Site(known.site, known.points), read_tensors(path)[0]
    names = [name for some in _columns(known.pooling, known.beside).values() for name in some]
    shape = (len(known.languages), site.n_neurons)
    if sum(tensor.numel() for tensor in tensors.values()) != len(names) * shape[0] * shape[1]:
        raise ArtifactError(f"{path} does not match its manifest (other sizes): score again")
    tables = {name: torch.empty(shape) for name in names}
    try:
        for component in dict.fromkeys(point.component for point in site.points):
            prefix = "" if component == "post" else f"{component}."
            for position, (layer, span) in enumerate(_spans(site, component).items()):
                for name, table in tables.items():
                    key = prefix + name
                    whole = tensors.get(key)
                    part = tensors[f"{key}.{layer}"] if whole is None else whole[:, position]
                    table[:, span] = part
    except (KeyError, RuntimeError, IndexError) as error:
        raise ArtifactError(f"{path} does not match its manifest ({error}): score again") from None
    if not all(table.isfinite().all() for table in tables.values()):
        raise ArtifactError(f"{path} holds scores that are not finite: score again")
    return NeuronScores(
        languages=known.languages,
        site=site,
        pooling=known.pooling,
        counts=known.counts,
        n_sentences=known.n_sentences,
        model=known.model,
        **_together(tables),
    )


def describe(scores: NeuronScores) -> dict[str, Any]:
    """What the tensors alone do not say, as JSON for the manifest."""
    return {
        "languages": list(scores.languages),
        "site": scores.site.name,
        "points": [asdict(point) for point in scores.site.points],
        "pooling": scores.pooling,
        "beside": list(scores.beside),
        "counts": list(scores.counts),
        "n_sentences": scores.n_sentences,
        "model": asdict(scores.model) if scores.model else None,
    }


def all_poolings(pooling: Pooling, also: Pooling | Sequence[Pooling]) -> tuple[Pooling, ...]:
    """The scored pooling, then the others, each once."""
    return tuple(dict.fromkeys((pooling, *((also,) if isinstance(also, str) else also))))


def _columns(pooling: Pooling, others: Sequence[Pooling]) -> dict[Pooling, dict[str, str]]:
    """What is kept of each pooling: the statistic of every table, by the table's name."""
    beside = {how: {f"{how}{_POOLED}{name}": name for name in MOMENTS} for how in others}
    return {pooling: {name: name for name in STATISTICS}} | beside


def _tables(scores: NeuronScores) -> dict[str, Tensor]:
    """Every tensor of some scores by the name of its table."""
    own, *others = _columns(scores.pooling, list(scores.beside)).values()
    return {name: getattr(scores, name) for name in own} | {
        column: getattr(moments, name)
        for moments, names in zip(scores.beside.values(), others, strict=True)
        for column, name in names.items()
    }


def _together(tables: Mapping[str, Tensor]) -> dict[str, Any]:
    """The fields of scores that hold these tables."""
    own = {name: table for name, table in tables.items() if name in STATISTICS}
    others = dict.fromkeys(c.partition(_POOLED)[0] for c in tables if c not in own)
    beside = {
        how: Moments(*(tables[f"{how}{_POOLED}{name}"] for name in MOMENTS)) for how in others
    }
    return own | {"beside": beside}


def _spans(site: Site, component: str) -> dict[int, slice]:
    """Columns of each layer of a component in the flat numbering."""
    places = zip(site.points, site.offsets, strict=True)
    return {
        point.layer: slice(offset, offset + point.width)
        for point, offset in places
        if point.component == component
    }
