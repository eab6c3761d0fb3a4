"""From language to language: what transfers, and whether the likeness of languages explains it.

Names resolve on first use: the command line knows the options without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
