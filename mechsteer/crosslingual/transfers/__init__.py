"""Zero-shot transfer: a light probe trained in one language and tested in all, edited or not.

Names resolve on first use: the command line knows the options without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
