"""Experts in a file: their tensors, and what the tensors alone do not say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mechsteer.artifacts.described import described, noted
from mechsteer.artifacts.files import read_tensors, write_tensors
from mechsteer.errors import ArtifactError
from mechsteer.experts.chosen import PER_EXPERT, Experts
from mechsteer.experts.moments import MOMENTS, Moments
from mechsteer.kernels import Pooling
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.sites import HookSite, Site

_RECORD = "experts"  # in the metadata of a file


@dataclass(frozen=True)
class _Told:
    """What is told of experts beside their tensors."""

    language: str
    site: str
    points: tuple[HookSite, ...]
    pooling: Pooling
    beside: tuple[Pooling, ...]
    selection: str
    tied_at_cut: int
    script_ap: bool
    model: ModelIdentity | None


def save_experts(experts: Experts, path: str | Path) -> None:
    """Write experts as safetensors: ``index``, a tensor ``[expert]`` a score, the rest as metadata.

    The moments of another pooling than the scored one have its name (``mean.median``).
    """
    told = {
        "language": experts.language,
        "site": experts.site.name,
        "points": [asdict(point) for point in experts.site.points],
        "pooling": experts.pooling,
        "beside": list(experts.beside),
        "selection": experts.selection,
        "tied_at_cut": experts.tied_at_cut,
        "script_ap": experts.script_ap is not None,
        "model": asdict(experts.model) if experts.model else None,
    }
    tensors = {name: getattr(experts, name) for name in ("index", *PER_EXPERT)}
    tensors |= {} if experts.script_ap is None else {"script_ap": experts.script_ap}
    for pooling, moments in experts.beside.items():
        tensors |= {f"{pooling}.{name}": getattr(moments, name) for name in MOMENTS}
    write_tensors(Path(path), tensors, {_RECORD: json.dumps(told, sort_keys=True)})


def load_experts(path: str | Path) -> Experts:
    """Read what ``save_experts`` wrote.

    Raises:
        ArtifactError: the file is missing or damaged, or holds something else.
    """
    tensors, metadata = read_tensors(Path(path))
    told = described(_Told, _record(metadata, path), f"the experts of {path}")
    site = Site(told.site, told.points)
    names = ["index", *PER_EXPERT, *(["script_ap"] if told.script_ap else [])]
    names += [f"{pooling}.{name}" for pooling in told.beside for name in MOMENTS]
    if told.pooling in told.beside or not _fit(tensors, names, site):
        raise ArtifactError(f"{path} does not hold the experts it tells of: select them again")
    columns: Any = {name: tensors[name] for name in ("index", *PER_EXPERT)}
    return Experts(
        language=told.language,
        site=site,
        pooling=told.pooling,
        selection=told.selection,
        tied_at_cut=told.tied_at_cut,
        model=told.model,
        beside={
            pooling: Moments(*(tensors[f"{pooling}.{name}"] for name in MOMENTS))
            for pooling in told.beside
        },
        script_ap=tensors.get("script_ap"),
        **columns,
    )


def _record(metadata: Mapping[str, str], path: str | Path) -> Any:
    if (found := noted(metadata, _RECORD)) is None:
        raise ArtifactError(
            f"{path} holds no experts: expected a file that mechsteer.experts.save_experts wrote"
        )
    return found


def _fit(tensors: Mapping[str, Tensor], names: list[str], site: Site) -> bool:
    """Whether these are the tensors of experts of a site: distinct neurons, numbers of one length.

    An index out of range, a repeated neuron or a number that is not finite does not fit.
    """
    if set(tensors) != set(names) or tensors["index"].dtype != torch.int64:
        return False
    index, numbers = tensors["index"], [tensors[name] for name in names[1:]]
    distinct = index.ndim == 1 and len(set(index.tolist())) == len(index)
    inside = bool(((index >= 0) & (index < site.n_neurons)).all())
    return (distinct and inside) and all(
        x.dtype == torch.float32 and x.shape == index.shape and bool(x.isfinite().all())
        for x in numbers
    )
