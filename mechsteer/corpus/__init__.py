"""Sentences by language: read from many layouts, checked once on the way in."""

from mechsteer.corpus.corpora import LabelledCorpus, ParallelCorpus, read

__all__ = ["LabelledCorpus", "ParallelCorpus", "read"]
