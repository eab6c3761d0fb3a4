"""One masked pass over a corpus: pooled neurons and layer embeddings, in memory or in shards.

Names resolve on first use: ``Reading`` is a record that the command line knows without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mechsteer.recording.reading import DEFAULT_READING, Reading

if TYPE_CHECKING:
    from mechsteer.recording.capture import embed, record
    from mechsteer.recording.store import Recording

__all__ = ["DEFAULT_READING", "Reading", "Recording", "embed", "record"]


def __getattr__(name: str) -> Any:
    homes = {"embed": "capture", "record": "capture", "Recording": "store"}
    if name not in homes:
        raise AttributeError(f"module 'mechsteer.recording' has no attribute {name!r}")
    return getattr(import_module(f"mechsteer.recording.{homes[name]}"), name)
