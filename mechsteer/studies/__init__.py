"""The whole road as one resumable study, and the tidy table it ends in.

Names resolve on first use: the command line knows the options of a study without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
