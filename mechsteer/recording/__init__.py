"""One masked pass over a corpus: pooled neurons and layer embeddings, in memory or in shards."""

from mechsteer.recording.capture import embed, record
from mechsteer.recording.reading import Reading
from mechsteer.recording.store import Recording

__all__ = ["Reading", "Recording", "embed", "record"]
