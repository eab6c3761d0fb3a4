"""Where compiled kernels are kept between runs, without trust in what lies there.

Numba keeps machine code beside the sources (or in the user's cache) and believes what it finds.
Here every file ends in a checksum and every entry names its signature, so a damaged file, or one
that another process wrote over, is compiled anew and never run. A folder that cannot be written
costs a warning and the time to compile. No file but the kernel's own is touched.
"""

from __future__ import annotations

import hashlib
import io
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

__all__ = ["CheckedCache"]

_DIGEST = hashlib.sha256().digest_size


class CheckedCache(FunctionCache):  # type: ignore[misc]
    """The cache of one kernel: what cannot be read or written is as if it were not there."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file = _CheckedFiles(
            cache_path=self._cache_path,
            filename_base=f"{self._impl.filename_base}.checked",
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled code of a signature, None where it must be compiled."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # code of another machine or library
            warn_once(f"{self._cache_path}: {type(error).__name__}: {error}")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code; after the first failure no more is tried."""
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a full disk, a folder of somebody else's
            warn_once(f"{self._cache_path}: {error}")
            self.disable()


class _CheckedFiles(IndexDataCacheFile):  # type: ignore[misc]
    """Numba's two kinds of files, each with its SHA-256 behind what numba reads of it."""

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        found = super().load(key)
        return found[1] if found and found[0] == key else None

    def _load_index(self) -> dict[Any, str]:
        try:
            if not _intact(Path(self._index_path)):
                return {}
            return dict(super()._load_index())
        except Exception:  # an older version's, that names a class which is gone
            return {}

    def _load_data(self, name: str) -> Any:
        if not _intact(Path(self._data_path(name))):
            raise FileNotFoundError(name)  # numba compiles
        return super()._load_data(name)

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[io.BytesIO]:
        with super()._open_for_write(filepath) as file, io.BytesIO() as content:
            yield content
            file.write(content.getvalue() + hashlib.sha256(content.getbuffer()).digest())


def _intact(path: Path) -> bool:
    """Whether a file is there and as it was written; of one that is not, a warning says so."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would block
            raise OSError("not a regular file")
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    except OSError as error:
        warn_once(f"{path}: {error.strerror or error}")
        return False
    whole = hashlib.sha256(data[:-_DIGEST]).digest() == data[-_DIGEST:]
    if not whole:
        warn_once(f"{path} is damaged")
    return whole


def warn_once(reason: str) -> None:
    """Say once in a process that the cache is of no use, with the first reason."""
    _warn(_Reason(reason))


@dataclass(frozen=True)
class _Reason:
    text: str = field(compare=False)  # all reasons are one, so that the first is the only one


@cache
def _warn(reason: _Reason) -> None:
    warnings.warn(
        f"numba's cache of compiled kernels cannot be used ({reason.text}): they are compiled in "
        "memory, which takes seconds; set NUMBA_CACHE_DIR to name another folder",
        RuntimeWarning,
        stacklevel=4,
    )
