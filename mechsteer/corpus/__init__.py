"""Sentences by language: read from many layouts, checked once on the way in."""

from mechsteer.corpus.corpora import LabelledCorpus
from mechsteer.corpus.parallel import ParallelCorpus, read

__all__ = ["LabelledCorpus", "ParallelCorpus", "read"]
