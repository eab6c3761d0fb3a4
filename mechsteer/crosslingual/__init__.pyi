from . import similarities as similarities
from . import transfers as transfers
from .similarities.explain import similarity as similarity
from .similarities.found import Similarity as Similarity
from .transfers.findings import Transfer as Transfer
from .transfers.run import transfer as transfer
