"""Other people's evaluations on a model as it stands: inside ``ms.steer`` they evaluate the edit.

``mechsteer.integrations.harness`` for lm-evaluation-harness, ``mechsteer.integrations.bitext`` for
MTEB. Their libraries are imported when they are asked for: ``pip install 'mechsteer[eval]'``.
"""

from mechsteer.integrations import bitext, harness

__all__ = ["bitext", "harness"]
