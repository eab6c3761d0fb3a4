"""An edit as one file: its tensors in safetensors, its description in JSON inside, all hashed.

The layout is that of any safetensors file, so other programs read the tensors. The metadata has one
entry, ``mechsteer``: a JSON object whose first key, ``sha256``, is the hash of the whole file with
those 64 digits set to 0. No byte of the file is outside that hash. Equal edits give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mechsteer import __version__
from mechsteer.artifacts.atomic import write_bytes
from mechsteer.artifacts.described import described, value
from mechsteer.artifacts.files import read_bytes
from mechsteer.errors import ArtifactError, MechsteerError, shown
from mechsteer.interventions.download import fetch
from mechsteer.interventions.edits import Edit, NeuronEdit, ResidualEdit, as_edits
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.sites import HookSite, Site

EDIT_SCHEMA = 1

_KINDS: dict[str, type[NeuronEdit] | type[ResidualEdit]]
_KINDS = {"neuron": NeuronEdit, "residual": ResidualEdit}
_TENSORS = {  # with the number of their axes
    "neuron": {"index": 1, "a": 1, "b": 1, "low": 1, "high": 1},
    "residual": {"v": 3, "left": 4, "right": 4},
}
_OPTIONAL = frozenset(["low", "high", "left", "right"])
_ENTRY = "mechsteer"
_UNHASHED = "0" * 64
_BEFORE_HASH = rb"{\"sha256\":\""  # as it stands in the file: JSON inside a JSON string


@dataclass(frozen=True)
class _NeuronText:
    """All of a neuron edit but its tensors, as JSON has it."""

    kind: Literal["neuron"]
    name: str
    site: Site
    model: ModelIdentity | None
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class _ResidualText:
    """All of a residual edit but its tensors, as JSON has it."""

    kind: Literal["residual"]
    name: str
    points: tuple[HookSite, ...]
    languages: tuple[str, ...]
    strength: float
    restore_norm: bool
    model: ModelIdentity | None
    provenance: Mapping[str, Any]


_TEXTS: dict[str, type[_NeuronText] | type[_ResidualText]]
_TEXTS = {"neuron": _NeuronText, "residual": _ResidualText}


def save_edit(edits: Edit | Sequence[Edit], path: str | Path) -> None:
    """Write an edit, or several that act together in this order, to one file.

    Everything an edit consists of is kept: tensors, window, languages, strength, site, model,
    provenance. The file is written whole or not at all.

    Raises:
        MechsteerError: no edit, or a provenance that JSON cannot hold.
    """
    write_bytes(Path(path), edit_bytes(edits))


def edit_bytes(edits: Edit | Sequence[Edit]) -> bytes:
    """What ``save_edit`` writes."""
    edits = as_edits(edits)
    if not edits:
        raise MechsteerError("expected an edit to save, got none")
    tensors: dict[str, Tensor] = {}
    texts = []
    for number, edit in enumerate(edits):
        kind = next(name for name, cls in _KINDS.items() if isinstance(edit, cls))
        texts.append({"kind": kind} | _description(edit, kind))
        kept = {name: getattr(edit, name) for name in _TENSORS[kind]}
        tensors |= {f"{number}.{name}": t for name, t in kept.items() if t is not None}
    return _serialised(tensors, texts)


def load_edit(source: str | Path) -> Edit:
    """Read one edit; see ``load_edits``.

    Raises:
        ArtifactError: the file holds several edits, or what ``load_edits`` refuses.
    """
    edits = load_edits(source)
    if len(edits) > 1:
        names = ", ".join(repr(edit.name) for edit in edits)
        raise ArtifactError(f"{source} holds {len(edits)} edits ({names}): use load_edits")
    return edits[0]


def load_edits(source: str | Path) -> tuple[Edit, ...]:
    """Read the edits of a file, in the order in which they act.

    Args:
        source: a file, or ``hf://owner/name`` (``hf://owner/name@revision``) for a repository of
            the Hugging Face Hub.

    Raises:
        ArtifactError: the file is missing, was changed in any byte, is no edit, or was written by a
            newer mechsteer.
    """
    if str(source).startswith("hf://"):
        return load_edits(fetch(str(source)))
    path = Path(source)
    data = read_bytes(path)
    _require_intact(path, data)
    texts, tensors = _parsed(path, data)
    try:
        edits = tuple(_edit(i, text, tensors) for i, text in enumerate(texts))
    except MechsteerError as error:
        raise ArtifactError(f"{path} describes no edit that can be applied: {error}") from None
    if tensors or not edits:
        raise ArtifactError(f"{path} holds tensors that belong to no edit: {sorted(tensors)}")
    return edits


def _serialised(tensors: Mapping[str, Tensor], texts: Sequence[Mapping[str, Any]]) -> bytes:
    content = {
        "sha256": _UNHASHED,
        "schema": EDIT_SCHEMA,
        "version": __version__,
        "edits": texts,
    }
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise MechsteerError(f"expected a provenance that JSON can hold: {error}") from None
    # copies: safetensors refuses tensors that share memory, as two edits of one expert set do
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    data = save(plain, {_ENTRY: text})
    at = data.index(_BEFORE_HASH) + len(_BEFORE_HASH)
    digest = hashlib.sha256(data).hexdigest().encode()
    return data[:at] + digest + data[at + len(digest) :]


def _require_intact(path: Path, data: bytes) -> None:
    at = data.find(_BEFORE_HASH) + len(_BEFORE_HASH)
    digest = data[at : at + len(_UNHASHED)]
    unhashed = data[:at] + _UNHASHED.encode() + data[at + len(_UNHASHED) :]
    if hashlib.sha256(unhashed).hexdigest().encode() != digest:
        raise ArtifactError(
            f"{path} is not an edit that mechsteer saved, or was changed after it was written: "
            "save or download it again"
        )


def _parsed(path: Path, data: bytes) -> tuple[list[Any], dict[str, Tensor]]:
    """What an intact file holds: descriptions and tensors."""
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    try:
        tensors = load(data)
        content = json.loads(json.loads(header)["__metadata__"][_ENTRY])
        value(Mapping[str, Any], content, _ENTRY)
        schema = value(int, content.get("schema"), "schema")
        edits: list[Any] = value(list, content.get("edits"), "edits")
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{path} is not an edit that mechsteer saved: {error}") from None
    if schema != EDIT_SCHEMA:
        raise ArtifactError(
            f"{path} has schema {schema} (mechsteer {str(content.get('version'))[:20]}), this "
            f"mechsteer ({__version__}) reads {EDIT_SCHEMA}: use the version that wrote it"
        )
    return edits, tensors


def _description(edit: Edit, kind: str) -> dict[str, Any]:
    """Everything of an edit but its tensors, as JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value

    names = [f.name for f in fields(edit) if f.name not in _TENSORS[kind]]
    return {name: plain(getattr(edit, name)) for name in names}


def _edit(number: int, text: Any, tensors: dict[str, Tensor]) -> Edit:
    """Build one edit, taking its tensors out of ``tensors``."""
    kind = text.get("kind") if isinstance(text, Mapping) else None
    known = _TEXTS.get(kind) if isinstance(kind, str) else None
    if known is None or kind is None:
        raise MechsteerError(f"unknown kind {shown(kind)}, expected {' or '.join(_KINDS)}")
    values = dict(vars(described(known, text, f"edits[{number}]")))
    del values["kind"]
    for name, n_axes in _TENSORS[kind].items():
        tensor = values[name] = tensors.pop(f"{number}.{name}", None)
        expected = torch.int64 if name == "index" else torch.float32
        if tensor is None and name in _OPTIONAL:
            continue
        if tensor is None or tensor.dtype != expected or tensor.ndim != n_axes:
            found = "missing" if tensor is None else f"{tensor.dtype} {[*tensor.shape]}"
            raise MechsteerError(f"{name} is {found}, expected {expected} with {n_axes} axes")
    return _KINDS[kind](**values)
