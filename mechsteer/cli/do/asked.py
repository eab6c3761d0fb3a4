"""What the commands of a run were asked: to type it again, or to read it from a file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.artifacts.runs import Run
from mechsteer.cli.config import CONFIG, written
from mechsteer.cli.do.models import asked_of
from mechsteer.cli.requests import (
    CardsRequest,
    ProbeRequest,
    SimilarityRequest,
    StudyRequest,
    TransferRequest,
)
from mechsteer.crosslingual.similarities.files import is_current
from mechsteer.options import Options, arguments, from_json


def asked_in(run: Run) -> dict[str, Options]:
    """The options of every command that has finished in a run, by its name, in order."""
    stages = run.manifest["stages"]
    found: dict[str, Options] = {"score": asked_of(run)}
    if "study" in stages:
        found["study"] = from_json(StudyRequest, stages["study"].get("arguments"))
    if "cards" in stages:
        found["cards"] = from_json(CardsRequest, stages["cards"])
    if "probe" in stages:
        found["probe"] = from_json(ProbeRequest, run.stage("probe")["asked"])
    if "transfer" in stages:
        found["transfer"] = from_json(TransferRequest, run.stage("transfer")["asked"])
    if is_current(run):
        found["similarity"] = from_json(SimilarityRequest, run.stage("similarity")["asked"])
    return found


def how_to_repeat(run: Run) -> str:
    """What to type to make a run again in a folder ``RUN``: a command a line, quoted."""
    model = run.input("model")
    named = ["--", model] if model.startswith("-") else [model]
    commands = [
        ["score", *arguments(options), "-o", "RUN", *named]
        if command == "score"
        else [command, "RUN", *arguments(options)]
        for command, options in asked_in(run).items()
    ]
    return "\n".join(shlex.join(["mechsteer", *words]) for words in [*commands, ["report", "RUN"]])


def keep_config(run: Run) -> None:
    """Write ``RUN/config.yaml``, from which each command that has finished repeats what it did.

    For a command to call when it finds its work done, too: one that was killed after that has none.
    """
    given: Mapping[str, Mapping[str, str]] = {"score": {"model": run.input("model")}}
    asked = {name: (given.get(name, {}), options) for name, options in asked_in(run).items()}
    path, text = run.path / CONFIG, written(asked).encode()
    if not path.is_file() or path.read_bytes() != text:
        write_bytes(path, text)
