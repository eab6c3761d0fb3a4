"""Why a model could not be loaded, in one line; and where its files lie."""

from __future__ import annotations

import os
from pathlib import Path

from mechsteer.model.folder import flaw

_LONGEST = 300  # characters of what another library says
# what to do, by what an error says
_ADVICE = (
    ("gated", "accept its licence on its page, then `hf auth login`"),
    (
        "does not recognize this architecture",
        "try a newer transformers: pip install -U transformers",
    ),
    (
        "should have a `model_type` key",
        "its config.json names no model_type: copy the one that belongs to the weights",
    ),
    ("custom code", "no code of a checkpoint is run: expected an architecture of transformers"),
    ("pip install", "install it, or name a checkpoint of plain weights"),
)
_BARE = (LookupError, TypeError, AttributeError, ArithmeticError)  # say little of themselves
ONE_MODEL = "bring weights and config.json of one model together"
"""What to do where a configuration and weights disagree."""


def reason_of(name: str, error: Exception, part: str = "") -> str:
    """One line on why a model could not be loaded, with what to do.

    Args:
        name: of a published model, or a folder.
        error: of whatever library.
        part: of the model that was read, such as ``"the tokenizer of "``.
    """
    if (folder := local_folder(name)) is not None and (found := flaw(folder)):
        return f"cannot load {name!r}: {found}"
    return f"cannot load {part}{name!r}: {said_by(error)}; {_advice(name, error)}"


def said_by(error: Exception) -> str:
    """What another library says, in one line: the first, and the next where that announces it."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    said = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    if not said or isinstance(error, _BARE):
        said = f"{type(error).__name__} {said}"
    return (said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…").strip().rstrip(".:")


def local_folder(name: str, revision: str | None = None) -> Path | None:
    """Where the files of a model lie on this machine; None where they do not."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if Path(name).is_dir():
        return Path(name)
    try:
        config = try_to_load_from_cache(name, "config.json", revision=revision)
    except HFValidationError:  # no name that a model can have
        return None
    return Path(config).parent if isinstance(config, str) else None


def _advice(name: str, error: Exception) -> str:
    text = str(error).lower()
    if advice := next((advice for sign, advice in _ADVICE if sign in text), None):
        return advice
    if Path(name).is_dir():
        return "one of its files is damaged or of another model: copy or download it again"
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    if offline and isinstance(error, OSError):
        return "HF_HUB_OFFLINE is set: unset it, or name a checkpoint folder"
    return "no folder here has that name, so it was looked up as a published model's (owner/name)"
