"""An edit as one file: its tensors in safetensors, its description in JSON inside, all hashed.

The layout is that of any safetensors file, so other programs read the tensors. The metadata has one
entry, ``mechsteer``: a JSON object whose first key, ``sha256``, is the hash of the whole file with
those 64 digits set to 0. No byte of the file is outside that hash. Equal edits give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mechsteer import __version__
from mechsteer.artifacts.atomic import write_bytes
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.interventions.download import fetch
from mechsteer.interventions.edits import Edit, NeuronEdit, ResidualEdit
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.sites import HookSite, Site

EDIT_SCHEMA = 1

_KINDS: dict[str, type[NeuronEdit] | type[ResidualEdit]]
_KINDS = {"neuron": NeuronEdit, "residual": ResidualEdit}
_TENSORS = {"neuron": ("index", "a", "b", "low", "high"), "residual": ("v", "left", "right")}
_ENTRY = "mechsteer"
_UNHASHED = "0" * 64
_BEFORE_HASH = rb"{\"sha256\":\""  # as it stands in the file: JSON inside a JSON string


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
    edits = [edits] if isinstance(edits, NeuronEdit | ResidualEdit) else list(edits)
    if not edits:
        raise MechsteerError("expected an edit to save, got none")
    tensors: dict[str, Tensor] = {}
    described = []
    for number, edit in enumerate(edits):
        kind = next(name for name, cls in _KINDS.items() if isinstance(edit, cls))
        described.append({"kind": kind} | _description(edit, kind))
        kept = {name: getattr(edit, name) for name in _TENSORS[kind]}
        tensors |= {f"{number}.{name}": t for name, t in kept.items() if t is not None}
    return _serialised(tensors, described)


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
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ArtifactError(f"cannot read an edit from {path}: {reason}") from None
    _require_intact(path, data)
    described, tensors = _parsed(path, data)
    try:
        edits = tuple(_edit(i, content, tensors) for i, content in enumerate(described))
    except (KeyError, TypeError, AttributeError, MechsteerError) as error:
        raise ArtifactError(f"{path} describes no edit that can be applied: {error}") from None
    if tensors or not edits:
        raise ArtifactError(f"{path} holds tensors that belong to no edit: {sorted(tensors)}")
    return edits


def _serialised(tensors: Mapping[str, Tensor], described: Sequence[Mapping[str, Any]]) -> bytes:
    content = {
        "sha256": _UNHASHED,
        "schema": EDIT_SCHEMA,
        "version": __version__,
        "edits": described,
    }
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
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
        schema, edits = content["schema"], content["edits"]
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{path} is not an edit that mechsteer saved: {error}") from None
    if schema != EDIT_SCHEMA:
        raise ArtifactError(
            f"{path} has schema {schema!r} (mechsteer {content.get('version')}), this mechsteer "
            f"({__version__}) reads {EDIT_SCHEMA}: use the version that wrote it"
        )
    return list(edits), tensors


def _description(edit: Edit, kind: str) -> dict[str, Any]:
    """Everything of an edit but its tensors, as JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value

    names = [f.name for f in fields(edit) if f.name not in _TENSORS[kind]]
    return {name: plain(getattr(edit, name)) for name in names}


def _edit(number: int, content: Mapping[str, Any], tensors: dict[str, Tensor]) -> Edit:
    """Build one edit, taking its tensors out of ``tensors``."""
    values = dict(content)
    kind = values.pop("kind")
    if kind not in _KINDS:
        raise MechsteerError(f"unknown kind {kind!r}, expected {' or '.join(_KINDS)}")
    for name in _TENSORS[kind]:
        values[name] = tensors.pop(f"{number}.{name}", None)
        expected = torch.int64 if name == "index" else torch.float32
        if values[name] is not None and values[name].dtype != expected:
            raise MechsteerError(f"{name} is {values[name].dtype}, expected {expected}")
    values["model"] = ModelIdentity(**values["model"]) if values["model"] else None
    if kind == "neuron":
        site = values["site"]
        values["site"] = Site(site["name"], _points(site["points"]))
    else:
        values["points"] = _points(values["points"])
        values["languages"] = tuple(values["languages"])
    return _KINDS[kind](**values)


def _points(points: Sequence[Mapping[str, Any]]) -> tuple[HookSite, ...]:
    return tuple(HookSite(**point) for point in points)
