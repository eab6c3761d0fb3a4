"""mechsteer: which neurons carry a language, and what moving them does.

Names resolve on first use (PEP 562): ``import mechsteer`` pulls in neither torch nor TransformerLens,
whose import alone takes over five seconds.
"""

__version__ = "0.1.0"
