"""Sentences by language or label: read from many layouts, checked once on the way in.

Each folder imports only those before it: ``names`` of languages, ``formats`` of files, ``layouts``
of data sets, ``labels`` of any table; then the corpora themselves; then ``tasks``.
"""

from mechsteer.corpus.corpora import LabelledCorpus
from mechsteer.corpus.parallel import ParallelCorpus, read
from mechsteer.corpus.tasks.files import labelled, read_task
from mechsteer.corpus.tasks.task import Task

__all__ = ["LabelledCorpus", "ParallelCorpus", "Task", "labelled", "read", "read_task"]
