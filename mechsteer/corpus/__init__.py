"""Sentences by language: read from many layouts, checked once on the way in."""

from mechsteer.corpus.corpora import LabelledCorpus
from mechsteer.corpus.parallel import ParallelCorpus, read
from mechsteer.corpus.task_files import labelled, read_task
from mechsteer.corpus.tasks import Task

__all__ = ["LabelledCorpus", "ParallelCorpus", "Task", "labelled", "read", "read_task"]
