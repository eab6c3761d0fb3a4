# packages, with everything that is not named below
from . import analysis as analysis
from . import artifacts as artifacts
from . import cards as cards
from . import corpus as corpus
from . import costs as costs
from . import crosslingual as crosslingual
from . import experts as experts
from . import exports as exports
from . import integrations as integrations
from . import interventions as interventions
from . import kernels as kernels
from . import model as model
from . import pairwise as pairwise
from . import planning as planning
from . import plots as plots
from . import ranks as ranks
from . import recording as recording
from . import reporting as reporting
from . import selftest as selftest
from . import steering as steering
from . import studies as studies
from . import typology as typology

# the road: text, model, recording, scores, experts, study, report
from .corpus import LabelledCorpus as LabelledCorpus
from .corpus import ParallelCorpus as ParallelCorpus

# analysis: what an edit costs the model
from .costs import cost as cost
from .costs import perplexity as perplexity
from .crosslingual import similarity as similarity
from .crosslingual import transfer as transfer
from .errors import MechsteerError as MechsteerError
from .experts import Experts as Experts
from .experts import NeuronScores as NeuronScores
from .experts.score import score as score

# edits: what is done to neurons and to the residual stream
from .interventions import NeuronEdit as NeuronEdit
from .interventions import ResidualEdit as ResidualEdit
from .interventions import aura as aura
from .interventions import centring as centring
from .interventions import clamp as clamp
from .interventions import damp as damp
from .interventions import diffmean as diffmean
from .interventions import load_edit as load_edit
from .interventions import save_edit as save_edit
from .interventions import shift as shift
from .interventions import zero as zero
from .model.load import load_model as load_model
from .model.wrap import wrap as wrap
from .planning.plan import plan as plan
from .recording import Recording as Recording
from .recording import embed as embed
from .recording import record as record
from .reporting import report as report
from .selftest import self_test as self_test
from .steering import steer as steer
from .studies import Study as Study
from .studies import study as study

__version__: str
