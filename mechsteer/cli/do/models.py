"""The model of a command: as the command line names it, or as a run was scored with it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Literal

from mechsteer.artifacts.described import described, value
from mechsteer.artifacts.files import read_signed
from mechsteer.artifacts.runs import Run
from mechsteer.cli.requests import ScoreRequest
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.interface import Model
from mechsteer.model.load import load_model
from mechsteer.options import from_json
from mechsteer.ranks import current

EMBEDDED = "embedded"
WEIGHTS = "weights.json"  # the files of the checkpoint and their hash, which spares hashing again


def open_model(
    source: str,
    device: str | None = None,
    dtype: str | None = None,
    parallel: Literal["states", "model"] = "states",
) -> Model:
    """Load a model as the command line names it, on one device or spread over all of them.

    Raises:
        MechsteerError: one model for several processes; or what ``load_model``
            refuses.
    """
    if parallel == "states":
        return load_model(source, device=device, dtype=dtype)
    require_one_process(current().size)
    return load_model(source, device=device, device_map="auto", dtype=dtype)


def require_one_process(ranks: int) -> None:
    """Refuse to spread one model over devices from several processes.

    Raises:
        MechsteerError: there are more than one.
    """
    if ranks > 1:
        raise MechsteerError(
            f"--parallel model: one process spreads the model over its devices, got {ranks}: start "
            "mechsteer without torchrun, or give each process a model with --parallel states"
        )


def model_of(run: Run) -> Model:
    """The model of a run.

    Raises:
        ArtifactError: it is not the one that was scored.
        MechsteerError: it cannot be loaded any more.
    """
    asked = asked_of(run)
    model = open_model(run.input("model"), asked.device, asked.dtype, asked.parallel)
    if model.origin is not None:
        with suppress(ArtifactError):  # missing or damaged: the files are hashed again
            model.origin.checkpoint.recall(read_signed(run.path / WEIGHTS))
    if scored := run.manifest["stages"].get("score"):
        place = f"the scored model of {run.path}"
        model.require_same(described(ModelIdentity, scored.get("model"), place))
    return model


def asked_of(run: Run) -> ScoreRequest:
    """What the run's ``mechsteer score`` was asked; an older one recorded one pooling.

    Once it is scored, ``batch_tokens`` is the number that it found for "auto".
    """
    asked = from_json(ScoreRequest, {"also_pooling": ()} | run.manifest["inputs"])
    found = run.manifest["stages"].get("score", {}).get("batch_tokens")
    if asked.batch_tokens != "auto" or found is None:
        return asked
    return replace(asked, batch_tokens=value(int, found, f"batch_tokens of {run.path}"))
