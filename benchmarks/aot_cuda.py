"""Compile the CUDA C++ kernels ahead of time, without a GPU, and check what came out.

``python -m benchmarks.aot_cuda`` asks NVRTC for the code of every kernel of ``count_sort.cu`` on
sm_80, sm_90 and sm_100, prints registers, spills, shared memory and instructions, and exits with 1
if one spills, takes more registers than let its blocks share a multiprocessor, or more shared
memory than a block may have. ``make aot`` brings NVRTC; a device compiles the same source with the
same options.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

os.environ.pop("TRITON_INTERPRET", None)

from benchmarks.aot import INSTRUCTION, disassembled
from mechsteer.kernels.common.cuda_launch import compiled
from mechsteer.kernels.scoring.count_sort import CONSTANTS, SOURCE, shared_bytes

ARCHITECTURES = (80, 90, 100)
REGISTERS = 65_536
RESIDENT = {"count_sort_maps": 3, "count_sort_walks": 2}
"""Blocks that share a multiprocessor, as each kernel's launch bounds say."""
MAX_SHARED = 163 * 1024
"""Bytes that a block may ask for on sm_80, the least of the three."""
MOST_MAPS = 63
"""Of more than 64 sentences each among 4,096."""


@dataclass(frozen=True)
class Code:
    """One kernel on one architecture."""

    kernel: str
    architecture: int
    registers: int
    stack: int
    spills: int
    shared: int
    instructions: int

    @property
    def good(self) -> bool:
        """Whether it keeps to what its launch takes for granted."""
        crowd = self.registers * CONSTANTS["THREADS"] * RESIDENT[self.kernel]
        return not (self.spills or self.stack) and crowd <= REGISTERS and self.shared <= MAX_SHARED


def codes(architecture: int) -> Iterator[Code]:
    """Every kernel of the source for one architecture."""
    usage, text = disassembled(compiled(SOURCE, architecture))
    found = re.findall(r"Function (\w+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+)", usage)
    for kernel, registers, stack, shared in sorted(found):
        opcodes = INSTRUCTION.findall(section(text, kernel))
        dynamic = shared_bytes(MOST_MAPS if kernel == "count_sort_walks" else 16)
        spills = sum(opcode.startswith(("LDL", "STL")) for opcode in opcodes)
        yield Code(
            *(kernel, architecture, int(registers), int(stack), spills),
            *(int(shared) + dynamic, len(opcodes)),
        )


def section(text: str, kernel: str) -> str:
    """The part of a disassembly that is one kernel's."""
    parts = re.split(r"^\s*\.section\s+\.text\.", text, flags=re.M)
    (own,) = (part for part in parts if re.match(rf"{kernel}\b", part))
    return own


def main() -> int:
    """Compile, print, judge."""
    found = [code for architecture in ARCHITECTURES for code in codes(architecture)]
    for code in found:
        print(
            f"{code.kernel:18} sm_{code.architecture:<3} reg {code.registers:3} stack {code.stack} "
            f"spill {code.spills} shared {code.shared:6} sass {code.instructions:5} "
            f"{'ok' if code.good else 'FAIL'}"
        )
    good = [code.good for code in found]
    print(f"CUDA C++: {good.count(True)} of {len(good)} kernels are good")
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
