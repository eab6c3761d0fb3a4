"""Published peaks of devices that are not at hand, and what share of them is assumed."""

from __future__ import annotations

from dataclasses import dataclass

from mechsteer.errors import MechsteerError

UTILISATION = 0.35
"""Of the peak, assumed of a model's body in batches of some thousand tokens."""
BANDWIDTH = 0.7
"""Of the peak, assumed of reading weights."""
PROCESSOR = 0.5
"""Of a processor's product of large matrices, assumed of a model's body."""


@dataclass(frozen=True)
class Device:
    """What the vendor's data sheet says of a device: dense products, no sparsity.

    Attributes:
        name: as it is sold.
        flops: a second, in bfloat16 on tensor cores (float16 where there is no bfloat16).
        flops32: a second in float32.
        memory: bytes.
        bandwidth: bytes a second.
    """

    name: str
    flops: float
    flops32: float
    memory: float
    bandwidth: float

    def flops_of(self, itemsize: int) -> float:
        """The peak for weights of so many bytes."""
        return self.flops32 if itemsize >= 4 else self.flops


_T, _G = 1e12, 1e9
DEVICES = (
    Device("T4", 65 * _T, 8.1 * _T, 16 * _G, 320 * _G),
    Device("V100", 125 * _T, 15.7 * _T, 32 * _G, 900 * _G),
    Device("A10", 125 * _T, 31.2 * _T, 24 * _G, 600 * _G),
    Device("L4", 121 * _T, 30.3 * _T, 24 * _G, 300 * _G),
    Device("L40S", 362 * _T, 91.6 * _T, 48 * _G, 864 * _G),
    Device("RTX4090", 165 * _T, 82.6 * _T, 24 * _G, 1008 * _G),
    Device("A100", 312 * _T, 19.5 * _T, 80 * _G, 2039 * _G),
    Device("H100", 989 * _T, 67 * _T, 80 * _G, 3350 * _G),
    Device("H200", 989 * _T, 67 * _T, 141 * _G, 4800 * _G),
    Device("B200", 2250 * _T, 80 * _T, 180 * _G, 8000 * _G),
    Device("MI300X", 1307 * _T, 163 * _T, 192 * _G, 5300 * _G),
)


def device(name: str) -> Device:
    """A device by its name, however it is written.

    Raises:
        MechsteerError: its peaks are not known.

    >>> device("rtx 4090").name
    'RTX4090'
    """
    wanted = "".join(letter for letter in name.upper() if letter.isalnum())
    for known in DEVICES:
        if wanted == known.name:
            return known
    names = ", ".join(known.name for known in DEVICES)
    raise MechsteerError(f"--gpu: no published rates of {name!r} here, expected one of {names}")
