"""Fetch the public text that tests and experiments read: FLORES-200 and Tatoeba.

python -m experiments.public_data.fetch data

FLORES-200 (NLLB Team 2022; CC BY-SA 4.0) comes from its authors' archive, all its languages, dev
and devtest. Tatoeba (Artetxe and Schwenk 2019; CC BY 2.0 FR) comes from the LASER repository at
one commit, 64 pairs with English. Every file is checked by SHA-256 before it gets its name. What is
there is kept, a download that broke off goes on where it stopped: run it again.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from mechsteer.errors import MechsteerError
from mechsteer.progress import progress

CHECKSUMS = Path(__file__).with_name("tatoeba.sha256")
COMMIT = "fec5c7d63daa2bea9d127e8252b10e87278586c0"
LASER = f"https://raw.githubusercontent.com/facebookresearch/LASER/{COMMIT}"
BLOCK = 1 << 16
COMPLETE = 416  # HTTP: nothing is left after the offset asked for


@dataclass(frozen=True)
class Source:
    """A file: where it is had, and the SHA-256 it must have."""

    url: str
    sha256: str


FLORES = Source(
    "https://dl.fbaipublicfiles.com/nllb/flores200_dataset.tar.gz",
    "b8b0b76783024b85797e5cc75064eb83fc5288b41e9654dabc7be6ae944011f6",
)


def tatoeba(base: str = f"{LASER}/data/tatoeba/v1") -> dict[str, Source]:
    """The files of Tatoeba by name."""
    rows = (line.split() for line in CHECKSUMS.read_text(encoding="utf-8").splitlines())
    return {name: Source(f"{base}/{name}", sha256) for sha256, name in rows}


def fetch(source: Source, path: Path) -> Path:
    """Download a file, unless it is there; ``path.part`` holds what came before it broke off.

    Raises:
        MechsteerError: the address does not answer, or answers with other bytes than promised.
    """
    if path.is_file() and sha256_of(path) == source.sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        _download(source.url, part)
    except (URLError, OSError) as error:
        raise MechsteerError(f"{source.url}: {error}; run it again to go on") from error
    if (found := sha256_of(part)) != source.sha256:
        part.unlink()
        raise MechsteerError(f"{source.url}: expected SHA-256 {source.sha256}, got {found}")
    return part.replace(path)


def _download(url: str, part: Path) -> None:
    """Append to a file what it lacks; start anew where the server does not send parts."""
    start = part.stat().st_size if part.exists() else 0
    try:
        answer = urlopen(Request(url, headers={"Range": f"bytes={start}-"} if start else {}))
    except HTTPError as error:
        if error.code == COMPLETE:
            return
        raise
    with answer, part.open("ab" if answer.status == 206 else "wb") as file:
        shutil.copyfileobj(answer, file, BLOCK)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the splits and metadata of FLORES-200; the folder is there when it is whole."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    with tarfile.open(archive) as tar:
        for member, path in _members(tar):
            (part / path).parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None  # it is a file
            with content, (part / path).open("wb") as file:
                shutil.copyfileobj(content, file)
    part.replace(folder)


def _members(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, Path]]:
    """Its files ``dev/CODE.dev``, ``devtest/CODE.devtest`` and ``metadata_SPLIT.tsv``."""
    for member in tar:
        folder, name = Path("/", member.name).parts[-2:]
        if not member.isfile() or name.startswith("."):
            continue
        if folder in ("dev", "devtest") and name.endswith(f".{folder}"):
            yield member, Path(folder, name)
        elif name in ("metadata_dev.tsv", "metadata_devtest.tsv"):
            yield member, Path(name)


def main() -> int:
    """Fetch both into a folder; 1 and one line where that fails."""
    parser = argparse.ArgumentParser(description="Fetch FLORES-200 and Tatoeba.")
    parser.add_argument("folder", type=Path, help="gets flores200/ and tatoeba/")
    folder: Path = parser.parse_args().folder
    try:
        for name, source in progress(list(tatoeba().items()), "Tatoeba", "file"):
            fetch(source, folder / "tatoeba" / name)
        if not (folder / "flores200").is_dir():
            archive = fetch(FLORES, folder / "flores200_dataset.tar.gz")
            unpack(archive, folder / "flores200")
            archive.unlink()
    except MechsteerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"flores200/ and tatoeba/ are in {folder}: set MECHSTEER_DATA={folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
