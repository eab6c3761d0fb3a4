"""What the weights of a model are known by: the bytes of its checkpoint, or those it holds now.

A checkpoint is loaded in whatever precision, so its identity is that of its files. That a model
still holds what was loaded from them is seen in the weights themselves, each time it is asked: any
weight that changed, however it was changed, makes it a model of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mechsteer.model.folder import safetensors_header

CHECKPOINT, MEMORY = "checkpoint:", "memory:"
"""What a hash of weights begins with: of files, or of the weights that a model holds."""

NOTE = "gguf.json"
"""What a folder that was dequantised from a GGUF file says of it: weights, hash, gguf."""

_LANES = 1024  # 64-bit words of a row, which sums are taken along and across
_CHUNK = 1 << 24  # bytes read at once
Facts = Sequence[Sequence[Any]]


@dataclass
class Checkpoint:
    """The files that weights come from, and their hash, taken when it is first asked for.

    Attributes:
        files: safetensors or other files.
        facts: name, size and time of change of each, as they were when it was loaded.
        known: the hash, where it was taken before of files of the same facts.
        gguf: the GGUF file that the weights were dequantised from, with its types; known with the
            hash.
    """

    files: tuple[Path, ...]
    facts: Facts = field(init=False)
    known: str = ""
    gguf: str = ""

    def __post_init__(self) -> None:
        self.facts = facts_of(self.files)

    def hash(self) -> str:
        """SHA-256 of every byte of every tensor, with its name, type and shape; of a GGUF file.

        It does not depend on how tensors are divided among files. Empty where a file has changed
        since it was loaded. A folder that was dequantised from a GGUF file, and is as it was then,
        is known by that file's hash.
        """
        if not self.known and facts_of(self.files) == self.facts:
            self.known = CHECKPOINT + _files_hash(self.files)
            self._recognise()
        return self.known

    def recall(self, record: Mapping[str, Any]) -> None:
        """Take the hash that ``record`` gave for files of the very same facts."""
        if [list(fact) for fact in self.facts] == record.get("files"):
            self.known = self.known or str(record.get("hash", ""))
            self.gguf = self.gguf or str(record.get("gguf", ""))

    def record(self) -> dict[str, Any]:
        """Facts and hash, for a run folder."""
        facts = {"files": [list(fact) for fact in self.facts], "hash": self.hash()}
        return {**facts, "gguf": self.gguf} if self.gguf else facts

    def note(self) -> dict[str, str]:
        """What a folder says of the GGUF file that it was dequantised from; nothing by default."""
        path = self.files[0].parent / NOTE
        try:
            found = json.loads(path.read_bytes()) if path.is_file() else {}
        except ValueError:
            return {}
        return {str(key): str(value) for key, value in found.items()}

    def _recognise(self) -> None:
        said = self.note()
        if self.known == said.get("weights"):
            self.known, self.gguf = said.get("hash", self.known), said.get("gguf", "")


@dataclass(frozen=True)
class Origin:
    """Where weights came from, and what they looked like then."""

    checkpoint: Checkpoint
    sums: bytes


def origin(plain: Any, files: tuple[Path, ...], gguf: str = "") -> Origin | None:
    """Remember a model that was just loaded from files; None where they are not known.

    Args:
        plain: the Hugging Face model.
        files: of its weights.
        gguf: what is to be said of a GGUF file, see ``GgufFile.described``.
    """
    return Origin(Checkpoint(files, gguf=gguf), sums(plain)) if files else None


def weights_hash(plain: Any, loaded: Origin | None) -> str:
    """What the weights of a model are known by.

    ``checkpoint:`` and the hash of its files, where the model holds what was loaded from them;
    otherwise ``memory:`` and a hash of all it holds, in the precision it has.

    Args:
        plain: the Hugging Face model.
        loaded: where it came from, None where that is not known.
    """
    if loaded is not None and sums(plain) == loaded.sums and (found := loaded.checkpoint.hash()):
        return found
    digest = hashlib.sha256()
    for name, tensor in _held(plain):
        digest.update(f"{name} {tensor.dtype} {[*tensor.shape]};".encode())
        digest.update(_bytes(tensor).cpu().numpy().data)
    return MEMORY + digest.hexdigest()


def sums(plain: Any) -> bytes:
    """A digest of all weights that takes no longer than reading them, to see any change of them.

    The bytes of each tensor, as a table of 64-bit words, are summed along and across. Any one
    changed weight changes a sum of each kind; so does any change that does not keep all of both,
    as a permutation of rows or columns does not.
    """
    digest = hashlib.sha256()
    for name, tensor in _held(plain):
        digest.update(f"{name} {tensor.dtype} {[*tensor.shape]};".encode())
        raw = _bytes(tensor)
        whole = len(raw) - len(raw) % (8 * _LANES)
        table = raw[:whole].view(torch.int64).view(-1, _LANES)
        for part in (table.sum(0), table.sum(1), raw[whole:]):
            digest.update(part.cpu().numpy().data)
    return digest.digest()


def facts_of(files: Sequence[Path]) -> Facts:
    """Path, size and time of change of files; of one that is gone, size -1."""
    found = [(str(path.resolve()), path.stat() if path.exists() else None) for path in files]
    return [(name, at.st_size, at.st_mtime_ns) if at else (name, -1, -1) for name, at in found]


def _held(plain: Any) -> Iterator[tuple[str, Tensor]]:
    """Every parameter and persistent buffer once, by its first name, in order, wherever it lies."""
    named = {
        f"{place}.{name}": tensor
        for place, module in plain.named_modules()
        for name, tensor in (*module._parameters.items(), *_persistent(module))
        if tensor is not None
    }
    seen: set[int] = set()
    for name, tensor in sorted(named.items()):
        if id(tensor) in seen:  # tied
            continue
        seen.add(id(tensor))
        yield name.replace("._original_component", "").lstrip("."), _present(plain, name, tensor)


def _persistent(module: Any) -> Iterator[tuple[str, Tensor]]:
    passing = module._non_persistent_buffers_set
    return ((name, buffer) for name, buffer in module._buffers.items() if name not in passing)


def _present(plain: Any, name: str, tensor: Tensor) -> Tensor:
    """Its values, fetched for the moment where accelerate keeps them elsewhere."""
    if not tensor.is_meta:
        return tensor.detach()
    from accelerate.utils import align_module_device

    owner, _, leaf = name.rpartition(".")
    module = plain.get_submodule(owner)
    with align_module_device(module, "cpu"):
        fetched: Tensor = getattr(module, leaf).detach().clone()
    return fetched


def _bytes(tensor: Tensor) -> Tensor:
    """The bytes of a tensor, flat, beginning where a word of 64 bits may."""
    flat = tensor.contiguous().flatten()
    raw = flat.view(torch.uint8) if flat.numel() else torch.empty(0, dtype=torch.uint8)
    return raw if raw.storage_offset() % 8 == 0 else raw.clone()


def _files_hash(files: Sequence[Path]) -> str:
    if [path.suffix for path in files] == [".gguf"]:
        return _span_hash(files[0], 0, files[0].stat().st_size)
    tables = [path for path in files if path.suffix == ".safetensors"]
    if len(tables) < len(files):
        parts = [f"{path.name} {_span_hash(path, 0, path.stat().st_size)}" for path in files]
    else:
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            parts = [part for path in tables for part in pool.map(*_tensors(path))]
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def _tensors(path: Path) -> Any:
    """A function and the tensors of a file it is to be applied to."""
    header = safetensors_header(path)
    start = 8 + int.from_bytes(path.open("rb").read(8), "little")

    def described(name: str) -> str:
        tensor = header[name]
        low, high = tensor["data_offsets"]
        content = _span_hash(path, start + low, start + high)
        return f"{name} {tensor['dtype']} {tensor['shape']} {content}"

    return described, header


def _span_hash(path: Path, start: int, end: int) -> str:
    """SHA-256 of some bytes of a file, a chunk in memory at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            chunk = file.read(min(_CHUNK, end - start))
            digest.update(chunk)
            start += len(chunk) or end  # a file that shrinks meanwhile ends here
    return digest.hexdigest()
