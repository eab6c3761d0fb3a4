"""The whole road as one resumable study, and the tidy table it ends in."""

from mechsteer.studies.bench import ByTarget
from mechsteer.studies.protocol import Study, study

__all__ = ["ByTarget", "Study", "study"]
