"""Files that survive a crash and say when they were damaged: safetensors, JSON and Parquet.

Everything is written to a temporary file in the same folder, flushed to the disk and renamed, so a
reader finds either the whole file or none. No format runs code when read. Bytes depend on the
content alone: no clock, no host name, sorted keys.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors
import safetensors.torch
from torch import Tensor

from mechsteer.errors import ArtifactError

SCHEMA = 1


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically: a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as sorted, indented UTF-8 JSON; NaN and infinity are refused."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ArtifactError: the file is missing, is not JSON, or is not an object.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"expected a file {path}, found none") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtifactError(f"{path} is not JSON ({error}): delete it and run again") from None
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} holds a JSON {type(content).__name__}, expected an object")
    return content


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors as one safetensors file, contiguous and on the CPU."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, safetensors.torch.save(plain, dict(metadata) if metadata else None))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file whole: its tensors and its metadata.

    Raises:
        ArtifactError: the file is missing, truncated, or not safetensors.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except FileNotFoundError:
        raise ArtifactError(f"expected a file {path}, found none") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise ArtifactError(f"{path} is damaged ({error}): delete it and run again") from None


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a tidy table as Parquet."""
    write_bytes(path, frame.to_parquet(index=False, engine="pyarrow"))


def read_table(path: Path) -> pd.DataFrame:
    """Read a Parquet table.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except FileNotFoundError:
        raise ArtifactError(f"expected a file {path}, found none") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged ({error}): delete it and run again") from None


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
    return "; ".join(f"{k}: {_short(found.get(k))} ≠ {_short(expected.get(k))}" for k in keys)


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
