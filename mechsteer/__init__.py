"""mechsteer: which neurons carry a language, and what moving them does.

The names stand in ``__init__.pyi``, once, for type checkers and for ``lazy_loader`` alike. They
resolve on first use (SPEC 1 of Scientific Python): ``import mechsteer`` pulls in neither torch nor
TransformerLens, whose import alone takes over five seconds.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
