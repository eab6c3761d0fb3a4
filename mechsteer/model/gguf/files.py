"""GGUF files, as llama.cpp writes them: what one says of itself, and what is wrong with one.

The file is read by the package ``gguf``, an extra. transformers reads its metadata anew for the
configuration, for the words and for the weights, at 16 seconds each where a vocabulary has 262,144
tokens; here it is read once, and four times faster.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mechsteer.errors import ModelError
from mechsteer.model.held import Held
from mechsteer.progress import progress, stage

_MAGIC, _SUFFIX = b"GGUF", ".gguf"
_PART = re.compile(r"-(\d{5})-of-(\d{5})$")


@dataclass(frozen=True)
class GgufFile:
    """A whole GGUF file of one model.

    Attributes:
        path: where it lies.
        alone: a folder with a link to it and nothing else, while it is open: transformers would
            take the tokenizer of whatever checkpoint it lies beside.
        architecture: llama.cpp's name of it.
        types: how many tensors are stored in which type, such as ``{"F32": 109, "Q4_K": 27}``.
        settings: numbers and words of its metadata by key; no lists.
        shapes: of its tensors by name, in torch's order.
    """

    path: Path
    alone: Path
    architecture: str
    types: Mapping[str, int]
    settings: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def described(self) -> str:
        """Its name and its types, the commonest first, for manifests."""
        ordered = sorted(self.types.items(), key=lambda item: (-item[1], item[0]))
        return f"{self.path.name} ({', '.join(f'{n} {name}' for name, n in ordered)})"

    @property
    def held(self) -> Held:
        """How much it holds."""
        numbers = sum(math.prod(shape) for shape in self.shapes.values())
        return Held(self.path.name, len(self.shapes), numbers)

    def setting(self, key: str) -> Any:
        """A setting of its architecture; None where it says nothing."""
        return self.settings.get(f"{self.architecture}.{key}")


def is_gguf(path: Path) -> bool:
    """Whether a path names a GGUF file, be it there or not; transformers asks for the suffix."""
    return path.suffix == _SUFFIX and not path.is_dir()


def has_magic(path: Path) -> bool:
    """Whether a file begins as GGUF files do."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


@contextmanager
def opened(path: Path) -> Iterator[GgufFile]:
    """Read a GGUF file once, for us and for transformers, as long as the block runs.

    Raises:
        ModelError: there is none, it is cut off, a part of several or no GGUF file, or the package
            ``gguf`` is not installed; the message says what to type.
    """
    _require_whole(path)
    library = _library(path)
    original = library.GGUFReader
    try:
        with stage(f"reading what {path.name} says of itself"):
            reader = _reader(library)(path)
        found = _described(path, reader)
    except ModelError:
        raise
    except Exception as error:  # whatever its many numbers lead to
        raise ModelError(
            f"cannot load {str(path)!r}: it is cut off or damaged ({line_of(error)}): copy or "
            "download it again"
        ) from error

    def once(other: Any, *mode: Any) -> Any:
        return reader if Path(other).resolve() == path.resolve() else original(other, *mode)

    with TemporaryDirectory() as alone, _instead(library, "GGUFReader", once), _own_bar(path):
        (Path(alone) / path.name).symlink_to(path.resolve())
        yield replace(found, alone=Path(alone))


@contextmanager
def _instead(module: Any, name: str, other: Any) -> Iterator[None]:
    """Put something in place of an attribute while the block runs."""
    original = getattr(module, name)
    setattr(module, name, other)
    try:
        yield
    finally:
        setattr(module, name, original)


@contextmanager
def _own_bar(path: Path) -> Iterator[None]:
    """A bar of ours for the tensors, which is silent where nobody watches."""
    from transformers import modeling_gguf_pytorch_utils as loader

    def bar(tensors: Any, **_: Any) -> Any:
        return progress(tensors, f"unpacking {path.name}", "tensor")

    with _instead(loader, "tqdm", bar) if hasattr(loader, "tqdm") else nullcontext():
        yield


def line_of(error: Exception) -> str:
    """The first line of what another library says, to be put into one of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _require_whole(path: Path) -> None:
    """Refuse what is seen to be no whole file by its name, size and first bytes."""
    if not path.is_file():
        raise ModelError(f"expected a GGUF file at {path}, found none: name a file that is there")
    if part := _PART.search(path.stem):
        first = path.with_name(f"{path.stem[: part.start()]}-00001-of-{part[2]}{path.suffix}")
        whole = path.with_name(f"{path.stem[: part.start()]}{path.suffix}")
        raise ModelError(
            f"{path.name} is one part of {int(part[2])}, which transformers does not read: join "
            f"them with llama.cpp's `llama-gguf-split --merge {first.name} {whole.name}`"
        )
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start != _MAGIC:
        what = "is empty" if not start else f"begins with {start!r}, expected {_MAGIC!r}"
        raise ModelError(f"cannot load {str(path)!r}: it {what}: copy or download it again")


def _library(path: Path) -> Any:
    try:
        import gguf
    except ImportError:
        raise ModelError(
            f"{path.name} is read with the package gguf: pip install 'mechsteer[gguf]'"
        ) from None
    return gguf


def _reader(library: Any) -> Any:
    """The library's reader, which takes each number from the file as an array of its own.

    Plain arrays are four times as fast as slices of ``numpy.memmap``, and refuse to end early.
    """

    class Reader(library.GGUFReader):  # type: ignore[misc]
        def _get(self, offset: Any, dtype: Any, count: Any = 1, override_order: Any = None) -> Any:
            if self.byte_order != "I":
                return super()._get(offset, dtype, count, override_order)
            return np.frombuffer(self.data, dtype, int(count), int(offset))

    return Reader


def _described(path: Path, reader: Any) -> GgufFile:
    settings = {key: field.contents() for key, field in reader.fields.items() if _is_short(field)}
    if int(settings.get("split.count") or 0) > 1:
        raise ModelError(
            f"{path.name} is one part of {settings['split.count']}: join them with llama.cpp's "
            "`llama-gguf-split --merge FIRST WHOLE`"
        )
    architecture = settings.get("general.architecture")
    if not isinstance(architecture, str) or not reader.tensors:
        lacking = "names no architecture" if architecture is None else "holds no tensors"
        raise ModelError(f"cannot load {str(path)!r}: it {lacking}: expected a model's GGUF file")
    return GgufFile(
        path,
        path.parent,
        architecture,
        dict(Counter(tensor.tensor_type.name for tensor in reader.tensors)),
        settings,
        {tensor.name: tuple(map(int, reversed(tensor.shape))) for tensor in reader.tensors},
    )


def _is_short(field: Any) -> bool:
    return len(field.data) == 1
