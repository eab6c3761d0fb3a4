"""Scores in a file: tensors by name, and what the tensors alone do not say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mechsteer.artifacts.described import noted
from mechsteer.artifacts.files import read_tensors, write_tensors
from mechsteer.errors import ArtifactError
from mechsteer.experts.moments import MOMENTS, Moments
from mechsteer.experts.scores import STATISTICS, NeuronScores
from mechsteer.experts.told import Told, ToldScript, told
from mechsteer.kernels import Pooling
from mechsteer.model.sites import Site

_RECORD = "scores"  # in the metadata of a file
_POOLED = "_pooled."  # between a pooling and a statistic of it


def save_scores(scores: NeuronScores, path: str | Path) -> None:
    """Write ``[language, layer, neuron]`` tensors, one a table and component.

    The component ``post`` goes without a prefix (``ap``), others with theirs (``up.ap``). Where the
    layers of a component differ in width there is one tensor a layer (``ap.3``). The moments of
    another pooling than the scored one have its name (``mean_pooled.median``). Scores among the
    languages of one script have it in front (``script.Latn.ap``), unless all are of that script.
    What the tensors do not say stands in the file's metadata, see ``describe``.
    """
    tensors = _tensors(scores)
    for script, own in scores.scripts.items():
        if own.n_sentences < scores.n_sentences:
            tensors |= {f"script.{script}.{key}": x for key, x in _tensors(own).items()}
    write_tensors(Path(path), tensors, {_RECORD: json.dumps(describe(scores), sort_keys=True)})


def _tensors(scores: NeuronScores) -> dict[str, Tensor]:
    tables = _tables(scores)
    tensors: dict[str, Tensor] = {}
    for component in dict.fromkeys(point.component for point in scores.site.points):
        prefix = "" if component == "post" else f"{component}."
        spans = _spans(scores.site, component)
        even = _evenly(list(spans.values()))
        for name, table in tables.items():
            parts = [table[:, span] for span in spans.values()]
            if even is not None:  # no copy of what may be most of the memory
                tensors[prefix + name] = table[:, even].view(len(table), len(parts), -1)
            elif len({part.shape[1] for part in parts}) == 1:
                tensors[prefix + name] = torch.stack(parts, dim=1)
            else:
                layers = zip(spans, parts, strict=True)
                tensors |= {f"{prefix}{name}.{layer}": part for layer, part in layers}
    return tensors


def load_scores(path: str | Path, record: Mapping[str, Any] | None = None) -> NeuronScores:
    """Read what ``save_scores`` wrote.

    Args:
        path: the file.
        record: ``describe(scores)`` where it is known from elsewhere; the file's own by default.

    Raises:
        ArtifactError: the tensors are not those the record speaks of.
    """
    path = Path(path)
    tensors, metadata = read_tensors(path)
    if record is None:
        record = _recorded(metadata, path)
    known = told(record, f"the scores of {path}")
    site = Site(known.site, known.points)
    parts = {own.script: own for own in known.scripts if own.n_sentences < known.n_sentences}
    names = [name for some in tables_of(known.pooling, known.beside).values() for name in some]
    sizes = len(known.languages) * len(names)
    sizes += sum(len(own.languages) * len(STATISTICS) for own in parts.values())
    if sum(tensor.numel() for tensor in tensors.values()) != sizes * site.n_neurons:
        raise ArtifactError(f"{path} does not match its manifest (other sizes): score again")
    try:
        whole = _scores_of(tensors, known, known, site, "")
        scripts = {
            own.script: _scores_of(tensors, replace(known, beside=()), own, site, own.prefix)
            if own.script in parts
            else whole
            for own in known.scripts
        }
    except (KeyError, RuntimeError, IndexError) as error:
        raise ArtifactError(f"{path} does not match its manifest ({error}): score again") from None
    if not all(_is_sound(name, tensor) for name, tensor in tensors.items()):
        raise ArtifactError(f"{path} holds scores that are not finite: score again")
    return replace(whole, scripts=scripts)


def _is_sound(name: str, tensor: Tensor) -> bool:
    """Whether numbers are finite; one sentence alone has no deviation, for no neuron."""
    undefined = tensor.isnan().all(-1, keepdim=True) & torch.tensor(name.endswith("std"))
    return bool((tensor.isfinite() | undefined).all())


def _scores_of(
    tensors: Mapping[str, Tensor], known: Told, own: Told | ToldScript, site: Site, start: str
) -> NeuronScores:
    shape = (len(own.languages), site.n_neurons)
    names = tables_of(known.pooling, known.beside).values()
    tables = {column: torch.empty(shape) for some in names for column in some}
    for component in dict.fromkeys(point.component for point in site.points):
        prefix = start if component == "post" else f"{start}{component}."
        for position, (layer, span) in enumerate(_spans(site, component).items()):
            for name, table in tables.items():
                key = prefix + name
                whole = tensors.get(key)
                part = tensors[f"{key}.{layer}"] if whole is None else whole[:, position]
                table[:, span] = part
    return NeuronScores(
        languages=own.languages,
        site=site,
        pooling=known.pooling,
        counts=own.counts,
        n_sentences=own.n_sentences,
        model=known.model,
        label=known.label,
        **together(tables),
    )


def _recorded(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    found = noted(metadata, _RECORD)
    if not isinstance(found, dict):
        raise ArtifactError(f"{path} does not say what its scores are of: score again")
    return found


def describe(scores: NeuronScores) -> dict[str, Any]:
    """What the tensors alone do not say, as JSON for the manifest."""
    return {
        **_counted(scores),
        "scripts": [{"script": name, **_counted(own)} for name, own in scores.scripts.items()],
        "site": scores.site.name,
        "points": [asdict(point) for point in scores.site.points],
        "pooling": scores.pooling,
        "beside": list(scores.beside),
        "model": asdict(scores.model) if scores.model else None,
        **({"label": scores.label} if scores.label else {}),
    }


def _counted(scores: NeuronScores) -> dict[str, Any]:
    return {
        "languages": list(scores.languages),
        "counts": list(scores.counts),
        "n_sentences": scores.n_sentences,
    }


def tables_of(pooling: Pooling, others: Sequence[Pooling]) -> dict[Pooling, dict[str, str]]:
    """What is kept of each pooling: the statistic of every table, by the table's name."""
    beside = {how: {f"{how}{_POOLED}{name}": name for name in MOMENTS} for how in others}
    return {pooling: {name: name for name in STATISTICS}} | beside


def _tables(scores: NeuronScores) -> dict[str, Tensor]:
    """Every tensor of some scores by the name of its table."""
    own, *others = tables_of(scores.pooling, list(scores.beside)).values()
    return {name: getattr(scores, name) for name in own} | {
        column: getattr(moments, name)
        for moments, names in zip(scores.beside.values(), others, strict=True)
        for column, name in names.items()
    }


def together(tables: Mapping[str, Tensor]) -> dict[str, Any]:
    """The fields of scores that hold these tables."""
    own = {name: table for name, table in tables.items() if name in STATISTICS}
    others = dict.fromkeys(c.partition(_POOLED)[0] for c in tables if c not in own)
    beside = {
        how: Moments(*(tables[f"{how}{_POOLED}{name}"] for name in MOMENTS)) for how in others
    }
    return own | {"beside": beside}


def _evenly(spans: Sequence[slice]) -> slice | None:
    """The columns of all, where they are of one width and each begins at another's end."""
    ends = [span.stop for span in spans[:-1]]
    widths = {span.stop - span.start for span in spans}
    adjoining = len(widths) == 1 and [span.start for span in spans[1:]] == ends
    return slice(spans[0].start, spans[-1].stop) if adjoining else None


def _spans(site: Site, component: str) -> dict[int, slice]:
    """Columns of each layer of a component in the flat numbering."""
    places = zip(site.points, site.offsets, strict=True)
    return {
        point.layer: slice(offset, offset + point.width)
        for point, offset in places
        if point.component == component
    }
