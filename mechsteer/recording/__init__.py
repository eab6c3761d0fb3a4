"""One masked pass over a corpus: pooled neurons and layer embeddings, in memory or in shards.

Names resolve on first use: the command line knows ``Reading`` without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
