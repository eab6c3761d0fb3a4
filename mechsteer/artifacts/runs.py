"""A run is a folder: a manifest that says what was done with what, and the files it gave."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mechsteer import __version__
from mechsteer.artifacts.atomic import append_line
from mechsteer.artifacts.files import (
    explain_difference,
    file_hash,
    read_json,
    verified,
    write_signed,
)
from mechsteer.artifacts.places import impossible
from mechsteer.errors import ArtifactError, shown
from mechsteer.ranks import current

log = logging.getLogger(__name__)
_WORK = f"{__name__}.work"
# 3 names the rows results are read at, and has scores among languages of one script
RUN_SCHEMA = 3  # of the manifest
_LIBRARIES = ("torch", "transformer-lens", "transformers", "numpy", "numba", "scikit-learn")


class Run:
    """A folder of one run: ``manifest.json`` and the files it lists.

    The manifest holds what determines the result (versions, model, corpus, arguments) under
    ``inputs``, the order of the scored ``languages``, one entry a finished stage under ``stages``
    with the hash of every file it wrote, and never a time: durations go to ``run.log``, outside
    every hash.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def create(cls, path: Path, inputs: Mapping[str, Any], *, languages: Sequence[str]) -> Run:
        """Start a run, or take up the one that is there if its inputs are equal.

        Raises:
            ArtifactError: the folder holds a run with other inputs; the message says which differ.
        """
        manifest_path = path / "manifest.json"
        if not manifest_path.exists():
            manifest = {"schema": RUN_SCHEMA, "languages": list(languages), "inputs": dict(inputs)}
            run = cls(path, manifest | {"stages": {}})
            run._write()
            return run
        run = cls.open(path)
        if run.manifest["inputs"] != inputs:
            raise ArtifactError(
                f"{path} holds a run with other inputs "
                f"({explain_difference(inputs, run.manifest['inputs'])}): "
                "name another folder with -o, or delete this one"
            )
        return run

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open a run that exists.

        Raises:
            ArtifactError: there is none, or a newer mechsteer wrote it.
        """
        file = path / "manifest.json"
        if impossible(path) or not file.is_file():
            raise ArtifactError(
                f"expected a run folder at {shown(str(path))} (one that holds manifest.json): "
                "make one with `mechsteer score MODEL --corpus DIR -o RUN`"
            )
        manifest = read_json(file)
        if manifest.get("schema") != RUN_SCHEMA:
            raise ArtifactError(
                f"{path} has schema {shown(manifest.get('schema'))}, this mechsteer "
                f"({__version__}) reads {RUN_SCHEMA}: use the version that wrote it, or score again"
            )
        return cls(path, _checked(path, verified(manifest, file)))

    def input(self, name: str) -> str:
        """A text among the inputs: the model's name, say.

        Raises:
            ArtifactError: there is none of that name.
        """
        found = self.manifest["inputs"].get(name)
        if not isinstance(found, str):
            raise ArtifactError(f"{self.path / 'manifest.json'} names no {name}: score again")
        return found

    def stage(self, name: str) -> dict[str, Any]:
        """What a finished stage recorded, its files checked against their hashes.

        Raises:
            ArtifactError: the stage has not finished, or a file of it is missing or was changed.
        """
        record = self.manifest["stages"].get(name)
        if record is None:
            raise ArtifactError(f"{self.path} has no finished stage {name!r}: run it first")
        for file, expected in record["files"].items():
            path = self.path / file
            if not path.is_file() or file_hash(path) != expected:
                raise ArtifactError(f"{path} is missing or was changed after it was written")
        return dict(record)

    def is_done(self, name: str, **facts: Any) -> bool:
        """Whether a stage has finished with these very facts and its files are intact."""
        record = self.manifest["stages"].get(name)
        if record is None or any(record.get(key) != value for key, value in facts.items()):
            return False
        return all(
            (self.path / file).is_file() and file_hash(self.path / file) == expected
            for file, expected in record["files"].items()
        )

    def finish(self, name: str, *, files: Sequence[str] = (), **facts: Any) -> None:
        """Record a stage as finished, with facts about it and the hashes of its files."""
        hashes = {file: file_hash(self.path / file) for file in files}
        # other stages may have finished since this run was opened
        self.manifest["stages"] |= Run.open(self.path).manifest["stages"]
        self.manifest["stages"][name] = {"files": hashes, **facts}
        self._write()

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Write how long a block took to ``run.log``."""
        start, ranks = time.perf_counter(), current()
        with _worked() as done:
            yield
        line = f"{what}\t{time.perf_counter() - start:.1f} s"
        if ranks.size > 1:
            line = "\t".join((line, f"rank {ranks.rank} of {ranks.size}", *done))
        log.info(line)
        append_line(self.path / "run.log", f"{time.strftime('%Y-%m-%dT%H:%M:%S')}\t{line}")

    def _write(self) -> None:
        write_signed(self.path / "manifest.json", self.manifest)


def log_work(line: str) -> None:
    """Say what this rank did of what ranks divide, for ``run.log``."""
    logging.getLogger(_WORK).info(line)


class _Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


@contextmanager
def _worked() -> Iterator[list[str]]:
    """What ``log_work`` is told within the block."""
    handler, work = _Lines(), logging.getLogger(_WORK)
    work.setLevel(logging.INFO)
    work.propagate = False
    work.addHandler(handler)
    try:
        yield handler.lines
    finally:
        work.removeHandler(handler)


def _checked(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest, if it has the parts that every run has: a checksum can be forged."""
    kinds = {"languages": list, "inputs": dict, "stages": dict}
    whole = all(isinstance(manifest.get(key), kind) for key, kind in kinds.items())
    stages = manifest["stages"].values() if whole else ()
    files = [stage.get("files") if isinstance(stage, dict) else None for stage in stages]
    if not whole or not all(isinstance(names, dict) and _inside(names) for names in files):
        raise ArtifactError(f"{path / 'manifest.json'} is no manifest of a run: score again")
    return manifest


def _inside(files: Mapping[str, Any]) -> bool:
    """Whether names of files stay in the folder, each with a hash."""
    names = (Path(name) for name in files)
    inside = all(not name.is_absolute() and ".." not in name.parts for name in names)
    return inside and all(isinstance(hashed, str) for hashed in files.values())


def versions() -> dict[str, str]:
    """Versions of mechsteer, Python and the libraries that numbers depend on."""
    installed = {library: version(library) for library in _LIBRARIES}
    return {"mechsteer": __version__, "python": platform.python_version()} | installed
