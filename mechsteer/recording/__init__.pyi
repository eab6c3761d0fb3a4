from .capture import embed as embed
from .capture import record as record
from .reading import DEFAULT_READING as DEFAULT_READING
from .reading import Reading as Reading
from .recorded import Recording as Recording
