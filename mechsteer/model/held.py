"""What the files of a checkpoint folder say, by their headers alone: weights and settings."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechsteer.display import count
from mechsteer.errors import ModelError, shown
from mechsteer.model.folder import safetensors_header, weight_files

# tensors are registered when built and when loaded, and may be tied, derived or new (a head, say)
TIMES, FEW_NUMBERS = 16, 1 << 28
"""How many times the numbers of its files a model may have, and how many are harmless anyway."""

# numbers that a byte of a tensor may stand for; types that are not here may hold packed weights
_A_BYTE = {"F64": 1 / 8, "F32": 1 / 4, "F16": 1 / 2, "BF16": 1 / 2, "F8_E4M3": 1, "F8_E5M2": 1}
_READABLE = 10**15
_PACKED = 4  # of 2 bits
_AT_LEAST = 4096  # bytes of a tensor where only the size of a file is known


@dataclass(frozen=True)
class Held:
    """What weight files hold, by their headers.

    Attributes:
        where: the file, or files, in words.
        tensors: how many there are.
        numbers: how many weights there are at most.
    """

    where: str
    tensors: int
    numbers: int

    def __str__(self) -> str:
        return f"{count(self.numbers, 'number')} in {count(self.tensors, 'tensor')}"


def held_by(folder: Path) -> Held | None:
    """What the weight files of a folder hold; None where no file is known.

    Raises:
        ModelError: a file that cannot be read.
    """
    files = weight_files(folder)
    parts = [_of_file(path) for path in files]
    where = files[0].name if len(files) == 1 else f"{len(files)} files of weights"
    tensors, numbers = (sum(part[i] for part in parts) for i in range(2))
    return Held(where, tensors, numbers) if files else None


def declared_by(folder: Path) -> dict[str, Any]:
    """The JSON object of ``config.json``.

    Raises:
        ModelError: it holds something else.
    """
    try:
        found = json.loads((folder / "config.json").read_bytes())
    except (ValueError, OSError, RecursionError) as error:
        raise ModelError(f"config.json of {folder} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise ModelError(f"config.json of {folder} holds no JSON object")
    return found


def whole_numbers(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Every whole number that a configuration and those inside it set, by its dotted place."""
    waiting = [("", config)]
    while waiting:
        before, inner = waiting.pop()
        for key, value in inner.items():
            if isinstance(value, Mapping):
                waiting.append((f"{before}{key}.", value))
            elif isinstance(value, int) and not isinstance(value, bool):
                yield f"{before}{key}", value


def grouped(value: int) -> str:
    """A number for a message, in groups of three digits where it can be read so."""
    return f"{value:,}" if abs(value) < _READABLE else shown(value)


def _of_file(path: Path) -> tuple[int, int]:
    """How many tensors a file holds, and at most how many numbers."""
    if path.suffix == ".safetensors":
        header = safetensors_header(path)
        return len(header), sum(map(_numbers, header.values()))
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            return len(parts.namelist()), size
    return 1 + size // _AT_LEAST, size


def _numbers(tensor: Mapping[str, Any]) -> int:
    first, end = tensor["data_offsets"]
    return int(max(0, end - first) * _A_BYTE.get(str(tensor.get("dtype")), _PACKED))
