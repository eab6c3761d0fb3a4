"""Files that survive a crash and say when they were damaged: safetensors, JSON and Parquet.

A reader finds either the whole file or none (see ``atomic``). No format runs code when read. Bytes
depend on the content alone: no clock, no host name, sorted keys. Every tensor carries a digest,
which reading it compares, and so does every JSON object that is signed.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import safetensors
import safetensors.torch
import torch
import xxhash
from torch import Tensor

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.errors import ArtifactError, shown

_NOTES = "mechsteer"  # the one key of a file's metadata: safetensors keeps no order of several
_CHECKSUM = "checksum"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as sorted, indented UTF-8 JSON; NaN and infinity are refused."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ArtifactError: the file is missing, is not JSON, or is not an object.
    """
    data = read_bytes(path)
    try:
        content = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON ({error}): delete it and run again") from None
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} holds a JSON {type(content).__name__}, expected an object")
    return content


def write_signed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object together with a checksum of it."""
    write_json(path, {**content, _CHECKSUM: content_hash(content)})


def read_signed(path: Path) -> dict[str, Any]:
    """Read what ``write_signed`` wrote, without the checksum.

    Raises:
        ArtifactError: the file is missing, no JSON object, or not as it was written.
    """
    return verified(read_json(path), path)


def verified(signed: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A signed object that was read from ``path``, without the checksum.

    Raises:
        ArtifactError: it is not as it was written.
    """
    content = {name: value for name, value in signed.items() if name != _CHECKSUM}
    try:
        intact = signed.get(_CHECKSUM) == content_hash(content)
    except (ValueError, RecursionError):  # NaN, or half a character, which nothing here writes
        intact = False
    if not intact:
        raise ArtifactError(f"{path} was changed after it was written, or an older mechsteer's")
    return content


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors as one safetensors file, contiguous, on the CPU, each with its digest."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    digests = {name: _digest(tensor) for name, tensor in plain.items()}
    notes = json.dumps({"digests": digests, "metadata": dict(metadata or {})}, sort_keys=True)
    write_bytes(path, safetensors.torch.save(plain, {_NOTES: notes}))


def read_tensors(
    path: Path, names: Sequence[str] | None = None, ranges: Mapping[str, slice] | None = None
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: tensors, all or those of these names, and its metadata.

    Args:
        path: the file.
        names: whose tensors are read whole and compared with their digests; all by default.
        ranges: tensors of which only these rows of the first dimension are read. No digest covers
            a part: read it whole once before.

    Raises:
        ArtifactError: the file is missing, truncated, not safetensors, without one of the names, or
            a tensor is not as it was written.
    """
    _require_file(path)
    parts = ranges or {}
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            notes = json.loads((file.metadata() or {}).get(_NOTES, "{}"))
            wanted = list(file.keys()) if names is None else names
            whole = {name: file.get_tensor(name) for name in wanted}
            some = {name: file.get_slice(name)[rows] for name, rows in parts.items()}
    except Exception as error:  # safetensors, JSON and torch each have their own
        raise ArtifactError(f"{path} is damaged ({error}): delete it and run again") from None
    digests, metadata = _notes(notes)
    for name, tensor in whole.items():
        if digests.get(name) != _digest(tensor):
            raise ArtifactError(
                f"{path} is damaged: {name!r} is not as it was written; delete it and run again"
            )
    return whole | some, metadata


def _notes(notes: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Digests and metadata of a file; both empty where another program wrote it."""
    parts = [notes.get(key) if isinstance(notes, dict) else None for key in ("digests", "metadata")]
    digests, metadata = (part if isinstance(part, dict) else {} for part in parts)
    return digests, metadata


def _digest(tensor: Tensor) -> str:
    """A checksum of shape, type and bytes; against damage, not against forgery."""
    digest = xxhash.xxh3_128(f"{tensor.dtype}{[*tensor.shape]}".encode())
    digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a tidy table as Parquet."""
    write_bytes(path, frame.to_parquet(index=False, engine="pyarrow"))


def read_table(path: Path) -> pd.DataFrame:
    """Read a Parquet table.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    _require_file(path)
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError, TypeError, KeyError, MemoryError, pa.ArrowException) as error:
        what = str(error).partition("\n")[0]
        raise ArtifactError(f"{path} is damaged ({what}): delete it and run again") from None


def read_bytes(path: Path) -> bytes:
    """All bytes of a regular file.

    Raises:
        ArtifactError: there is none, or it cannot be read.
    """
    _require_file(path)
    try:
        return path.read_bytes()
    except (OSError, MemoryError) as error:
        raise ArtifactError(f"cannot read {path}: {_why(error)}") from None


def _require_file(path: Path) -> None:
    """Refuse what is no file before it is opened: a pipe would block for ever."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ArtifactError(f"expected a file {path}, found none") from None
    except (OSError, ValueError) as error:  # ValueError: NUL in a name
        raise ArtifactError(f"cannot read {str(path)[:200]}: {_why(error)}") from None
    if not stat.S_ISREG(mode):
        raise ArtifactError(f"expected a file {path}, found something else")


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def content_hash(content: Any) -> str:
    """SHA-256 of anything JSON can hold, independent of key order."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def explain_difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Name the keys in which two records differ, with both values, for an error message."""
    keys = sorted(k for k in {*expected, *found} if expected.get(k) != found.get(k))
    return "; ".join(f"{k}: {shown(found.get(k))} ≠ {shown(expected.get(k))}" for k in keys)
