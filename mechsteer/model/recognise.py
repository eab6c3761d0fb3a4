"""Whose weights a model holds that somebody else loaded."""

from __future__ import annotations

from mechsteer.model.checkpoint import local_folder, opened_as, quiet
from mechsteer.model.interface import Model
from mechsteer.model.weights import Origin, origin, sums

COPY_LIMIT = 3e9  # bytes of weights up to which a model is loaded again to learn whose they are


def recognised(view: Model) -> Origin | None:
    """The checkpoint of a model that somebody else loaded, if its weights are still those of it.

    They are loaded a second time to see; of what takes more than ``COPY_LIMIT`` nothing is known.
    """
    plain = view.original_model
    name = str(getattr(plain.config, "_name_or_path", ""))
    folder = local_folder(name, getattr(plain.config, "_commit_hash", None)) if name else None
    held = sum(p.numel() * p.element_size() for p in plain.parameters())
    if folder is None or held > COPY_LIMIT:
        return None
    try:
        with quiet():
            again = opened_as(view, folder)
        found = origin(again, folder)
    except Exception:  # not the checkpoint of this model, or no longer
        return None
    return found if found is not None and found.sums == sums(plain) else None
