"""Files: whole or not at all, and never read as something else than was written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from mechsteer.artifacts import atomic
from mechsteer.artifacts import files as artifacts
from mechsteer.artifacts.locks import locked
from mechsteer.errors import ArtifactError


def test_tensors_and_tables_come_back_as_they_were(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).bfloat16().T, "b": torch.arange(5)}
    artifacts.write_tensors(tmp_path / "x.safetensors", tensors, {"key": "é"})
    found, metadata = artifacts.read_tensors(tmp_path / "x.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert metadata == {"key": "é"}
    frame = pd.DataFrame({"layer": [0, 1], "value": [0.5, float("nan")]})
    artifacts.write_table(tmp_path / "t.parquet", frame)
    pd.testing.assert_frame_equal(artifacts.read_table(tmp_path / "t.parquet"), frame)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name, content in (("1", {"b": 1, "a": [2]}), ("2", {"a": [2], "b": 1})):
        artifacts.write_json(tmp_path / name, content)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_nothing_takes_the_place_of_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "out").symlink_to("/proc/self/fd/1")
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "out", "null"):
        with pytest.raises(ArtifactError, match="got a device"):
            atomic.write_bytes(tmp_path / name, b"")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(ArtifactError, match=r"cannot write .*no space"):
        atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", [b"", b"\x00" * 9, b"\xff" * 200, b'{"a"'])
def test_damaged_files_are_refused_by_name(tmp_path: Path, damage: bytes) -> None:
    for name, read in (
        ("x.safetensors", artifacts.read_tensors),
        ("x.parquet", artifacts.read_table),
        ("x.json", artifacts.read_json),
    ):
        (tmp_path / name).write_bytes(damage)
        with pytest.raises(ArtifactError, match=name):
            read(tmp_path / name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_a_flipped_bit_of_any_tensor_is_found(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {"a": torch.arange(7).to(dtype), "b": torch.ones(3, 2).to(dtype)}
    artifacts.write_tensors(path, tensors)
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    for place in range(start, len(whole)):
        for bit in (0, 7):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            path.write_bytes(data)
            with pytest.raises(ArtifactError, match=r"is damaged: '[ab]' is not as it was written"):
                artifacts.read_tensors(path)


def test_damage_to_a_tensor_that_is_not_asked_for_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    artifacts.write_tensors(path, {"a": torch.ones(2), "b": torch.ones(2)})
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # of b, the last
    path.write_bytes(data)
    assert artifacts.read_tensors(path, ["a"])[0]["a"].tolist() == [1, 1]
    with pytest.raises(ArtifactError, match=r"x\.safetensors is damaged"):
        artifacts.read_tensors(path, ["b"])
    with pytest.raises(ArtifactError, match=r"x\.safetensors is damaged"):
        artifacts.read_tensors(path, ["c"])


def test_empty_and_scalar_tensors_have_digests(tmp_path: Path) -> None:
    tensors = {"none": torch.empty(0, 3), "one": torch.tensor(2.0)}
    artifacts.write_tensors(tmp_path / "x", tensors)
    found, _ = artifacts.read_tensors(tmp_path / "x")
    assert found["none"].shape == (0, 3)
    assert found["one"] == 2


def test_files_of_several_notes_have_equal_bytes(tmp_path: Path) -> None:
    notes = {name: name for name in "abcdefgh"}
    for name in "12345":
        artifacts.write_tensors(tmp_path / name, {"x": torch.ones(1), "y": torch.ones(1)}, notes)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_signed_object_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    artifacts.write_signed(path, {"k": 10})
    assert artifacts.read_signed(path) == {"k": 10}
    path.write_text(path.read_text().replace("10", "11"))
    with pytest.raises(ArtifactError, match="was changed"):
        artifacts.read_signed(path)


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_new_files_get_the_mode_of_the_umask_and_old_ones_keep_theirs(
    tmp_path: Path, mask: int
) -> None:
    before = os.umask(mask)
    try:
        atomic.write_bytes(tmp_path / "new", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~mask
    (tmp_path / "new").chmod(0o600)
    atomic.write_bytes(tmp_path / "new", b"y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "out").symlink_to(tmp_path / "precious")
    atomic.write_bytes(tmp_path / "out", b"report")
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert (tmp_path / "out").read_bytes() == b"report"


@pytest.mark.parametrize("name", ["a" * 300, "b/" * 3000 + "c", "in a file/x"], ids=len)
def test_a_file_that_cannot_be_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "in a file").write_bytes(b"")
    with pytest.raises(ArtifactError, match="cannot write"):
        atomic.write_bytes(tmp_path / name, b"x")


HOLD = """
import sys, time
from pathlib import Path
from mechsteer.artifacts.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_writer_at_a_time_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ArtifactError, match="another mechsteer command"), locked(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
    with locked(tmp_path), pytest.raises(ArtifactError, match="another"), locked(tmp_path):
        pass
    with locked(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_what_a_killed_command_was_writing_is_removed_and_nothing_of_the_users(
    tmp_path: Path,
) -> None:
    kept = [tmp_path / name for name in (".env.local", ".config.json", ".x.y.z", "a.part")]
    for path in kept:
        path.write_bytes(b"mine")
    killed = (
        "import os, sys; from pathlib import Path; from mechsteer.artifacts import atomic\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), 9)\n"
        "atomic.write_bytes(Path(sys.argv[1]) / 'folder' / 'file', b'half')"
    )
    done = subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert len(list((tmp_path / "folder").iterdir())) == 1
    with locked(tmp_path):
        assert list((tmp_path / "folder").iterdir()) == []
    assert all(path.read_bytes() == b"mine" for path in kept)


TORN = ".out.0123456789abcdef.mechsteer-part"


def test_what_a_killed_command_left_anywhere_goes_at_the_next_write_there(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in (".out.swp", ".mechsteer-part", ".x.mechsteer-part", "a")]
    for path in (*kept, tmp_path / TORN):
        path.write_bytes(b"half")
    (tmp_path / TORN.replace("0", "1")).symlink_to(kept[0])
    atomic.write_bytes(tmp_path / "other", b"whole")
    left = {path.name for path in tmp_path.iterdir() if not path.is_symlink()}
    assert left == {"other", *(path.name for path in kept)}
    assert kept[0].read_bytes() == b"half"


def test_what_another_command_is_writing_stays(tmp_path: Path) -> None:
    with atomic.replacing(tmp_path / "one") as part:
        atomic.write_bytes(tmp_path / "other", b"2")
        with locked(tmp_path):
            part.write_bytes(b"1")
    assert (tmp_path / "one").read_bytes() == b"1"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_was_removed_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sweep_first(descriptor: int, how: int) -> None:
        if not swept:
            swept.extend(tmp_path.iterdir())
            swept[0].unlink()

    swept: list[Path] = []
    monkeypatch.setattr(atomic.fcntl, "flock", sweep_first)
    atomic.write_bytes(tmp_path / "out", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(swept) == 1


@pytest.mark.parametrize("old", [True, False])
def test_without_locks_only_old_temporary_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    def no_locks(descriptor: int, how: int) -> None:
        raise OSError(37, "no locks available")

    monkeypatch.setattr(atomic.fcntl, "flock", no_locks)
    (tmp_path / TORN).write_bytes(b"half")
    if old:
        os.utime(tmp_path / TORN, (0, 0))
    atomic.write_bytes(tmp_path / "out", b"whole")
    assert (tmp_path / TORN).exists() is not old


@pytest.mark.parametrize("name", ["語" * 80, "é" * 120, "a" * 255])
def test_any_name_that_a_folder_takes_can_be_written(tmp_path: Path, name: str) -> None:
    atomic.write_bytes(tmp_path / name, b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_private_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    (tmp_path / "out").chmod(0o400)
    with atomic.replacing(tmp_path / "out") as part:
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        part.write_bytes(b"new")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o400
    assert (tmp_path / "out").read_bytes() == b"new"


def test_a_log_is_never_written_through_a_link_and_fails_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "run.log").symlink_to(tmp_path / "precious")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "run.log", tmp_path / "pipe", tmp_path, tmp_path / "no" / "log"):
        atomic.append_line(path, "1 s")
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert len(caplog.messages) == 4
    for line in "ab":
        atomic.append_line(tmp_path / "log", line)
    assert (tmp_path / "log").read_text() == "a\nb\n"


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name, found in (("folder", "something else"), ("pipe", "something else"), ("link", "none")):
        for read in (artifacts.read_tensors, artifacts.read_table, artifacts.read_json):
            with pytest.raises(ArtifactError, match=f"expected a file .*{name}, found {found}"):
                read(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    ['{"k": NaN}', '{"k": 1e999}', r'{"k": "\ud800"}', '{"k": %s}' % ("9" * 5000), "[" * 10**5],
    ids=["NaN", "infinity", "half a character", "a huge number", "depth"],
)
def test_json_that_nothing_here_writes_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"x\.json (was changed|is not JSON)"):
        artifacts.read_signed(tmp_path / "x.json")


def test_tensors_of_another_program_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    for notes in (None, {"mechsteer": "[]"}, {"mechsteer": '{"digests": [], "metadata": 3}'}):
        save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors", notes)
        with pytest.raises(ArtifactError, match="not as it was written"):
            artifacts.read_tensors(tmp_path / "x.safetensors")
