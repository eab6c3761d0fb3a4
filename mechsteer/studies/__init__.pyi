from .conditions import Condition as Condition
from .edit_factory import ByTarget as ByTarget
from .findings import Study as Study
from .options import ScoreOptions as ScoreOptions
from .options import StudyOptions as StudyOptions
from .run import study as study
