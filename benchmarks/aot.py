"""Compile every entry of the launch table ahead of time, without a GPU, and check what came out.

``python -m benchmarks.aot [--jobs 2] [--full] [MODULE ...]`` prints one row per kernel, constants,
type and architecture, with registers, stack, spills, shared memory, instructions. It exits with 1
if a hot kernel spills in its fast form, if one needs more shared memory than every chip grants, or
if the table holds more than 40 launches.

Each entry is compiled in the forms that the just-in-time compiler makes of it, which knows of every
integer whether it is 1 (then it is a constant, with a constant's operations) or divisible by 16:
``fast`` (aligned pointers and sizes, unit strides) for every type and architecture; and for its
first type on sm_90 ``any`` (nothing known) and, up to Triton's own code, which is where such a form
can fail, ``one`` (every integer is 1) and each integer by itself being 1 among aligned ones.
Machine code takes nearly all of the time. Of the fast forms it is made for the first type on every
architecture and for a type of another width on sm_90; the others, and ``any``, go as far as
Triton's own code. ``--full`` makes it of all of them. Triton's own cache makes a second run free.
Launches are tuned for the Triton of ``TUNED``: an older one, which makes the fast form of the first
type for sm_90 alone, must compile it but may spill.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

os.environ.pop("TRITON_INTERPRET", None)  # read on import: interpreted kernels have no machine code

import triton
from triton._C.libtriton import ir
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, make_backend

import mechsteer.kernels
from mechsteer.kernels.common.triton_launch import VERSION, Launch

TUNED = (3, 9)
ARCHITECTURES = (80, 90, 100) if VERSION >= TUNED else (90,)
MAX_LAUNCHES = 40
MAX_SHARED = 48 * 1024  # bytes a launch may have on every architecture without asking for more
BINARIES = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?PT?\d*\s+)?([A-Z][A-Z0-9_.]*)", re.M)


@dataclass(frozen=True)
class Case:
    """One compilation: an entry of the table by its module and key, a type, a form, a chip."""

    module: str
    key: object
    dtype: str
    form: str
    architecture: int
    to_machine_code: bool = True


@dataclass(frozen=True)
class Chip:
    """Stands in for the driver, which kernels ask for the chip they are compiled for."""

    architecture: int

    def get_current_target(self) -> GPUTarget:
        """The name is the driver's."""
        return GPUTarget("cuda", self.architecture, 32)


@dataclass(frozen=True)
class Resources:
    """What the compiler made of a case."""

    registers: int
    stack: int
    spills: int
    shared: int
    instructions: int
    wide_loads: int


def launch_table(module: str) -> dict[object, Launch]:
    """The ``LAUNCHES`` of a kernels module; none where it starts only those of others."""
    found: dict[object, Launch] = getattr(
        importlib.import_module(f"mechsteer.kernels.{module}"), "LAUNCHES", {}
    )
    return found


def integers(launch: Launch) -> list[str]:
    """The integer arguments of a launch, in order."""
    known = {*launch.constants, *launch.pointers}
    return [name for name in launch.kernel.arg_names if name not in known]


def cases(module: str, *, full: bool = False) -> Iterator[Case]:
    """Every compilation of one module's table."""
    for key, launch in launch_table(module).items():
        first = launch.dtypes[0]
        for dtype, architecture in product(launch.dtypes, ARCHITECTURES):
            wider = dtype[2:] != first[2:] and architecture == 90 and VERSION >= TUNED
            yield Case(module, key, dtype, "fast", architecture, full or dtype == first or wider)
        yield Case(module, key, first, "any", 90, full and VERSION >= TUNED)
        for form in ("one", *(f"{name}=1" for name in integers(launch))):
            yield Case(module, key, first, form, 90, to_machine_code=False)


def source(launch: Launch, dtype: str, form: str) -> ASTSource:
    """Describe an entry to the compiler as the just-in-time launcher would."""
    names = launch.kernel.arg_names
    ones = {"fast": launch.unit, "any": (), "one": tuple(integers(launch))}
    constants = dict(launch.constants) | dict.fromkeys(ones.get(form, (form.partition("=")[0],)), 1)
    attributes = {}
    if form != "any":
        aligned = [i for i, name in enumerate(names) if name not in constants]
        attributes = {(i,): [["tt.divisibility", 16]] for i in aligned}
    types = {name: kind.replace("*x", f"*{dtype}") for name, kind in launch.pointers.items()}
    signature = {n: "constexpr" if n in constants else types.get(n, "i32") for n in names}
    indexed = {(names.index(name),): value for name, value in constants.items()}
    return ASTSource(launch.kernel, signature, indexed, attributes)


def translate(case: Case) -> None:
    """Take a case as far as Triton's own code: what reads the kernel's Python can fail here."""
    launch = launch_table(case.module)[case.key]
    chip = Chip(case.architecture)
    triton.runtime.driver.set_active(chip)
    backend = make_backend(chip.get_current_target())
    options = backend.parse_options({"num_warps": launch.num_warps, "enable_fp_fusion": False})
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    source(launch, case.dtype, case.form).make_ir(
        chip.get_current_target(),
        options,
        backend.get_codegen_implementation(options),
        backend.get_module_map(),
        context,
    )


def machine_code(case: Case) -> tuple[Any, str, str]:
    """What the compiler made of a case: the kernel, its resource usage, its disassembly."""
    launch = launch_table(case.module)[case.key]
    chip = Chip(case.architecture)
    triton.runtime.driver.set_active(chip)
    compiled = triton.compile(
        source(launch, case.dtype, case.form),
        target=chip.get_current_target(),
        options={"num_warps": launch.num_warps, "enable_fp_fusion": False},
    )
    return compiled, *disassembled(compiled.asm["cubin"])


def disassembled(code: bytes) -> tuple[str, str]:
    """Resource usage and instructions of a cubin, as Triton's copies of CUDA's tools print them."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        cubin.write(code)
        cubin.flush()
        usage = _run("cuobjdump", "--dump-resource-usage", cubin.name)
        return usage, _run("nvdisasm", "-c", cubin.name)


def attempt(case: Case) -> Resources | str:
    """The resources of a case; the word ``translated``, or what the compiler says against it."""
    try:
        if case.to_machine_code:
            return compile_case(case)
        translate(case)
    except Exception as error:  # the other cases are to be seen too
        return f"FAIL {type(error).__name__}: {error}"
    return "translated"


def compile_case(case: Case) -> Resources:
    """Compile one case and read its machine code."""
    compiled, usage, disassembly = machine_code(case)
    opcodes = INSTRUCTION.findall(disassembly)
    registers, stack = re.search(r"REG:(\d+) STACK:(\d+)", usage).groups()
    return Resources(
        registers=int(registers),
        stack=int(stack),
        spills=sum(opcode.startswith(("LDL", "STL")) for opcode in opcodes),
        shared=compiled.metadata.shared,
        instructions=len(opcodes),
        wide_loads=sum(opcode.startswith("LDG") and ".128" in opcode for opcode in opcodes),
    )


def _run(program: str, *arguments: str) -> str:
    command = [str(BINARIES / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def report(case: Case, found: Resources | str) -> bool:
    """Print one line of the table and judge it."""
    launch = launch_table(case.module)[case.key]
    name = f"{case.module}.{launch.kernel.__name__.removeprefix('_')}"
    values = " ".join(f"{key.lower()}={int(value)}" for key, value in launch.constants.items())
    head = f"{name:28} {values:44} {case.dtype:4} {case.form:15} sm_{case.architecture:<3}"
    if isinstance(found, str):
        print(head, found, flush=True)
        return found == "translated"
    tight = launch.hot and case.form == "fast" and VERSION >= TUNED
    good = not (tight and found.spills) and found.shared <= MAX_SHARED
    print(
        f"{head} warps {launch.num_warps:2} reg {found.registers:3} stack {found.stack:4} "
        f"spill {found.spills:3} shared {found.shared:6} sass {found.instructions:5} "
        f"ldg.128 {found.wide_loads:3} {'ok' if good else 'FAIL'}",
        flush=True,
    )
    return good


def main() -> int:
    """Compile the table, print it, return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("modules", nargs="*", help="such as pooling.backend_triton; default all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--full", action="store_true", help="machine code of every type and chip")
    options = parser.parse_args()
    found = pkgutil.walk_packages(mechsteer.kernels.__path__, "mechsteer.kernels.")
    names = [module.name.removeprefix("mechsteer.kernels.") for module in found]
    every = [name for name in names if name.endswith("_triton")]
    chosen = [
        case for module in options.modules or every for case in cases(module, full=options.full)
    ]
    launches = {(case.module, case.key) for case in chosen}
    with ProcessPoolExecutor(options.jobs) as pool:
        good = [report(*pair) for pair in zip(chosen, pool.map(attempt, chosen), strict=True)]
    print(
        f"triton {triton.__version__}: {good.count(True)} of {len(good)} compilations are good,",
        end=" ",
    )
    print(f"{len(launches)} of at most {MAX_LAUNCHES} launches")
    return int(not all(good) or len(launches) > MAX_LAUNCHES)


if __name__ == "__main__":
    sys.exit(main())
