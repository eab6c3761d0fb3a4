"""Does mechsteer read and edit this model as it says? Every claim measured on the model itself."""

from mechsteer.selftest.check import Check, Verdict
from mechsteer.selftest.run import self_test

__all__ = ["Check", "Verdict", "self_test"]
