"""What is wrong with a checkpoint folder, by its files alone: nothing is loaded."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterator, Mapping
from os.path import lexists
from pathlib import Path
from typing import Any

from mechsteer.artifacts.places import impossible
from mechsteer.errors import ModelError, shown

# the files of a tokenizer, any of which will do
_WORDS = ("tokenizer*", "*.model", "vocab*", "*.tiktoken")
_JSON = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # transformers takes the first there is
_OTHERS = ("*.safetensors", "*.bin", "*.h5", "*.msgpack", "*.pth", "*.pt", "*.gguf")
_LFS = b"version https://git-lfs"
_HEADER_LIMIT = 100_000_000  # bytes of a safetensors header, the format's own limit


def require_whole(folder: Path) -> None:
    """Refuse a checkpoint folder with files that are missing, cut off or no weights at all.

    Only beginnings and sizes of files are read, whatever their number.

    Raises:
        ModelError: the message names the file and what is wrong with it.
    """
    if found := flaw(folder):
        raise ModelError(f"cannot load {str(folder)!r}: {found}")


def flaw(folder: Path) -> str | None:
    """What is wrong with a folder and what to do, in words; None where nothing is seen."""
    return next(_flaws(folder), None)


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files that transformers reads the weights of a folder from, sorted; none where unknown.

    Raises:
        ModelError: an index that cannot be read.
    """
    first = _first(folder)
    if first is None or not first.name.endswith(".index.json"):
        return () if first is None else (first,)
    return tuple(folder / shard for shard in sorted(set(_weight_map(first).values())))


def safetensors_header(path: Path) -> dict[str, dict[str, Any]]:
    """Names of the tensors of a file, with their ``dtype``, ``shape`` and ``data_offsets``.

    Raises:
        ModelError: the file is no whole safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if not 8 + length <= size or length > _HEADER_LIMIT:
            raise ModelError(f"{path.name} is cut off or no safetensors file ({size:,} bytes)")
        raw = file.read(length)
    try:
        header = dict(json.loads(raw))
        header.pop("__metadata__", None)
        ends = [int(tensor["data_offsets"][1]) for tensor in header.values()]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        raise ModelError(f"{path.name} is no safetensors file: its header is no table") from None
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise ModelError(f"{path.name} has {size:,} bytes, and its header says {expected:,}")
    return header


def _flaws(folder: Path) -> Iterator[str]:
    for name in _JSON:
        if (path := folder / name).exists():
            yield from _of_file(path) or _of_json(path)
    yield from _of_weights(folder)
    words = [path for pattern in _WORDS for path in sorted(folder.glob(pattern))]
    if not words:
        yield "the folder has no tokenizer; save or copy one into it"
    for path in words:
        yield from _of_file(path) or (_of_json(path) if path.suffix == ".json" else [])


def _of_file(path: Path) -> list[str]:
    """What is wrong with any file, however it is read."""
    if not path.is_file():
        return [f"{path.name} is a link to nothing, or no file: copy it again"]
    if path.stat().st_size == 0:
        return [f"{path.name} is empty: copy or download it again"]
    with path.open("rb") as file:
        if file.read(len(_LFS)) == _LFS:
            return [f"{path.name} is a pointer of Git LFS, not the file itself: run `git lfs pull`"]
    return []


def _of_json(path: Path) -> list[str]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return [f"{path.name} is no valid JSON ({error}): copy or download it again"]
    if isinstance(content, dict):
        return []
    return [f"{path.name} holds a {type(content).__name__}, expected a JSON object"]


def _of_weights(folder: Path) -> Iterator[str]:
    first = _first(folder)
    if first is None:
        yield _no_weights(folder)
        return
    try:
        for path in weight_files(folder):
            if not lexists(path):
                yield f"{path.name} is missing, which {first.name} names: copy it into the folder"
            yield from _of_file(path) or _of_content(path)
        yield from _absent(folder, first)
    except ModelError as error:
        yield f"{error}: copy or download it again"


def _first(folder: Path) -> Path | None:
    """The file that transformers opens for weights: all of them, or the index of their shards."""
    names = (f"{name}{more}" for name in _WEIGHTS for more in ("", ".index.json"))
    return next((folder / name for name in names if lexists(folder / name)), None)


def _no_weights(folder: Path) -> str:
    others = sorted(path.name for pattern in _OTHERS for path in folder.glob(pattern))
    if any("-of-" in name for name in others):
        return f"{others[0]} is there, and model.safetensors.index.json is not: copy it too"
    if others:
        return f"the folder has no weights of a name that transformers reads, but {others[0]}"
    return "the folder has no weights; save or copy them into it"


def _of_content(path: Path) -> list[str]:
    if path.suffix == ".safetensors":
        safetensors_header(path)
    elif path.suffix == ".bin":
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"
        if zipped and not zipfile.is_zipfile(path):
            return [f"{path.name} is cut off: copy or download it again"]
    return []


def _absent(folder: Path, index: Path) -> Iterator[str]:
    """Tensors that an index says are in a shard, which does not have them."""
    if index.name != f"{_WEIGHTS[0]}.index.json":
        return
    held: dict[str, Mapping[str, Any]] = {}
    for tensor, shard in sorted(_weight_map(index).items()):
        if shard not in held:
            held[shard] = safetensors_header(folder / shard)
        if tensor not in held[shard]:
            yield f"{index.name} says that {shard} holds {tensor}, which it does not: copy it again"


def _weight_map(index: Path) -> dict[str, str]:
    if faults := _of_file(index) or _of_json(index):
        raise ModelError(faults[0].removesuffix(": copy or download it again"))
    found = json.loads(index.read_bytes()).get("weight_map")
    if not isinstance(found, dict) or not all(isinstance(shard, str) for shard in found.values()):
        raise ModelError(f"{index.name} names no files of tensors (weight_map)")
    if outside := [shard for shard in found.values() if not _is_name(shard)]:
        raise ModelError(f"{index.name} names {shown(outside[0])}, which is not in the folder")
    return found


def _is_name(shard: str) -> bool:
    return Path(shard).name == shard and not impossible(shard)
