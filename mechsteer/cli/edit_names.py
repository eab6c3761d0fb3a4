"""The edits that a command knows by name."""

from __future__ import annotations

from mechsteer.interventions import aura, clamp, damp, shift, zero
from mechsteer.studies.edit_factory import MakeEdit

# what scores alone can make; percentiles and transport need the recording, and Python
EDITS: dict[str, MakeEdit] = {
    "clamp": clamp,
    "clamp-mean": lambda experts: clamp(experts, value="mean"),
    "damp": damp,
    "zero": zero,
    "aura": aura,
    "shift": shift,
}
