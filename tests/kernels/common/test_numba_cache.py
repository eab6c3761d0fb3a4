"""Whatever lies in numba's cache, or keeps code from being put there, kernels give their values."""

from __future__ import annotations

import errno
import importlib.util
import os
import pickle
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")

from mechsteer.kernels.common import numba_cache
from mechsteer.kernels.common.numba_jit import compiled

SOURCE = "def twice(x):\n    return 2 * x\n"


@pytest.fixture(autouse=True)
def unwarned() -> Iterator[None]:
    numba_cache._warn.cache_clear()
    yield
    numba_cache._warn.cache_clear()


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """A kernel as a new process has it: the cache lies in ``tmp_path/__pycache__``."""
    file = tmp_path / "made.py"
    file.write_text(SOURCE)

    def load() -> Any:
        spec = importlib.util.spec_from_file_location("made", file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "made", module)
        spec.loader.exec_module(module)
        return compiled(module.twice)

    return load


def said(kernel: Any, times: int = 1) -> list[str]:
    """What calls of a kernel warn of, while they give the right values."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(times):
            assert kernel(21) == 42
            assert kernel(1.5) == 3.0
    return [str(one.message) for one in caught]


def hits(kernel: Any) -> int:
    return sum(kernel.stats.cache_hits.values())


def test_code_is_kept_and_taken_up(fresh: Callable[[], Any]) -> None:
    first = fresh()
    assert not said(first)
    again = fresh()
    assert not said(again)
    assert (hits(first), hits(again)) == (0, 2)


def garbage(file: Path) -> None:
    file.write_bytes(b"garbage")


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def of_another_class(file: Path) -> None:
    file.write_bytes(pickle.dumps(OrderedDict(a=1)))


def of_a_class_that_is_gone(file: Path) -> None:
    file.write_bytes(b"cnowhere\nGone\n.")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def a_link_to_itself(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


DAMAGES = (
    garbage, emptied, cut, flipped, of_another_class, of_a_class_that_is_gone, a_folder, a_pipe,
    a_link_to_itself,
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_damaged_files_are_compiled_anew_with_one_warning(
    fresh: Callable[[], Any], tmp_path: Path, suffix: str, damage: Callable[[Path], None]
) -> None:
    said(fresh())
    theirs = tmp_path / "__pycache__" / "theirs.nbi"
    theirs.write_bytes(b"a file of somebody else's")
    for file in (tmp_path / "__pycache__").glob(f"made.*.{suffix}"):
        damage(file)
    (message,) = said(fresh(), times=2)
    assert "numba's cache" in message
    assert theirs.read_bytes() == b"a file of somebody else's"
    if damage is not a_folder:  # which is not ours to remove
        numba_cache._warn.cache_clear()
        healed = fresh()
        assert not said(healed)
        assert hits(healed) == 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_folder_that_cannot_be_written_gives_one_warning(
    fresh: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    kernel = fresh()

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    (message,) = said(kernel, times=2)
    assert os.strerror(number) in message


def test_a_folder_that_cannot_be_made_gives_one_warning(
    fresh: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    (tmp_path / "__pycache__").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="no locator") as caught:
        kernels = fresh(), fresh()
    assert len(caught) == 1
    assert [kernel(21) for kernel in kernels] == [42, 42]


def test_code_of_another_signature_is_not_run(fresh: Callable[[], Any], tmp_path: Path) -> None:
    """Two processes that number their first files alike leave one's code under the other's name."""
    said(fresh())
    one, other = sorted((tmp_path / "__pycache__").glob("made.*.nbc"))
    one.write_bytes(other.read_bytes())
    assert not said(fresh())
