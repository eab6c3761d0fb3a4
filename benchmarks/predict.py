"""Predict from machine code how long the hot kernels take on an H200; nothing here is measured.

``python -m benchmarks.predict`` (with Triton 3.9 and NVRTC, as ``make aot`` has them) compiles them
ahead of time for sm_90, counts the instructions that a warp executes and writes
``benchmarks/results/predictions_h200.csv``. A prediction is the busiest pipe's time, without
latency, barriers or bank conflicts: a lower bound, which reality is expected to exceed by a fifth
to a half.

Loops count as often as they run at that size: trip counts are listed with each prediction, in the
order in which the loops begin in the machine code.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import triton

from benchmarks.aot import Case, disassembled, launch_table, machine_code
from benchmarks.aot_cuda import section
from mechsteer.kernels.common.cuda_launch import compiled
from mechsteer.kernels.scoring.count_sort import CONSTANTS, SOURCE

RESULTS = Path(__file__).parent / "results" / "predictions_h200.csv"
NEURONS = 458_752  # of an 8B model; 4,096 sentences of 16-bit activations each
FLOOR_MS = 0.87  # one read at the copy rate of an H200, 4.3 TB/s
WARPS_A_MS = 132 * 4 * 1.9e6  # schedulers of an H200 and their cycles in a millisecond

# cycles that one warp's instruction keeps a scheduler's share of a pipe, by the opcode
_PIPES = {
    "lsu": (4, "LDS STS LDG STG SHFL ATOMS LDL STL LDSM STSM REDUX ATOMG RED REDG"),
    "mufu": (8, "MUFU I2F F2I F2F POPC FLO BREV"),
    "fp64": (2, "DADD DMUL DFMA DSETP"),
    "imad": (2, "IMAD"),
    "fma": (1, "FADD FMUL FFMA"),
    "none": (0, "BAR BRA EXIT NOP BSSY BSYNC DEPBAR WARPSYNC LDGDEPBAR CALL RET MOV S2R CS2R R2UR"),
}
_OF_OPCODE = {op: (pipe, cost) for pipe, (cost, ops) in _PIPES.items() for op in ops.split()}
_LINE = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P[T\d]*\s+)?([A-Z][A-Z0-9_.]*)(.*?);")
_LABEL = re.compile(r"(\.L_x?_?\d+)")


@dataclass(frozen=True)
class Part:
    """One launch of an operation on all neurons: its trip counts and rows a program."""

    operation: str
    module: str
    key: object
    trips: tuple[int, ...]
    rows: int = 1


PARTS = (
    Part("score, classes of up to 1,024", "scoring.ranks_triton", (16, 4096), (2,), 2),
    Part("score, classes of up to 1,024", "scoring.backend_triton", (10, 10), (4,), 2),
    Part("score, classes of up to 128", "scoring.ranks_triton", (16, 4096), (2,), 2),
    Part("score, classes of up to 128", "scoring.backend_triton", (10, 7), (5,), 2),
    Part("score, classes of up to 4,096", "scoring.ranks_triton", (16, 4096), (2,), 2),
    Part("score, classes of up to 4,096", "scoring.backend_triton", (12, 12), (1,), 2),
    Part(
        "score_labelings, one of 1,000 (3.8 and later)",
        "labelings.one_set_triton",
        10,
        (7,),
        2,
    ),
    Part(
        "score_labelings, one of 2,000 (3.8 and later)",
        "labelings.one_set_triton",
        11,
        (5,),
        2,
    ),
    Part("score_labelings, one of 1,000 (3.6, 3.7)", "scoring.ranks_triton", (16, 4096), (1,), 2),
    Part("score_labelings, one of 1,000 (3.6, 3.7)", "scoring.backend_triton", (10, 10), (1,), 2),
    Part("top_experts, bounds (3.8 and later)", "top_experts.backend_triton", "histogram", (4, 4)),
    Part("top_experts, bounds (3.6, 3.7)", "top_experts.backend_triton", "thresholds", (8, 8)),
)

# Loops of count_sort.cu: to clear the bitmaps of classes, to number them, a jump back that is none;
# where classes are walked, those of a thread and, four at a time, the sentences of one; then groups
# of classes, slots of a class, halvings of a group.
COUNT_SORT = {
    "score by CountSort, 12 classes": ("count_sort_maps", (1, 1, 1, 1, 2, 5)),
    "score by CountSort, 204 classes": ("count_sort_walks", (1, 1, 1, 2, 6, 1, 4, 0)),
}


@dataclass(frozen=True)
class Prediction:
    """A row of the table; ``x_floor`` is the multiple of one read of the activations."""

    operation: str
    kernel: str
    form: str
    warps: int
    registers: int
    spills: int
    instructions_a_warp: int
    busiest_pipe: str
    trips: str
    predicted_ms: float
    x_floor: float
    triton: str
    note: str = "prediction from compiled code, not measured"


def predict(part: Part) -> Prediction:
    """Compile one part for sm_90 in bfloat16 and weigh its instructions."""
    launch = launch_table(part.module)[part.key]
    _, usage, disassembly = machine_code(Case(part.module, part.key, "bf16", "fast", 90))
    form = " ".join(f"{name.lower()}={int(v)}" for name, v in launch.constants.items())
    name = launch.kernel.__name__.removeprefix("_")
    size = (launch.num_warps, part.rows)
    return _weighed(part.operation, (name, form), size, part.trips, usage, disassembly)


def predict_counting(operation: str) -> Prediction:
    """The same of a kernel of ``count_sort.cu``, one block a neuron."""
    kernel, trips = COUNT_SORT[operation]
    usage, disassembly = disassembled(compiled(SOURCE, 90))
    own = re.search(rf"Function {kernel}:\s+REG:\d+", usage)
    form = " ".join(f"{name.lower()}={value}" for name, value in CONSTANTS.items())
    text = section(disassembly, kernel)
    size = (CONSTANTS["THREADS"] // 32, 1)
    return _weighed(operation, (kernel, form), size, trips, own[0] if own else "", text)


def _weighed(  # noqa: PLR0917
    operation: str,
    kernel: tuple[str, str],
    size: tuple[int, int],
    trips: tuple[int, ...],
    usage: str,
    disassembly: str,
) -> Prediction:
    found = _executed(disassembly, trips)
    registers = re.search(r"REG:(\d+)", usage)
    cycles = Counter({"issue": found.total()})
    for opcode, times in found.items():
        pipe, cost = _OF_OPCODE.get(opcode, ("none", 0) if opcode[0] == "U" else ("alu", 2))
        cycles[pipe] += cost * times
    pipe, most = cycles.most_common(1)[0]
    ms = most * size[0] * (NEURONS / size[1]) / WARPS_A_MS
    return Prediction(
        operation=operation,
        kernel=kernel[0],
        form=kernel[1],
        warps=size[0],
        registers=int(registers[1]) if registers else 0,
        spills=found["LDL"] + found["STL"],
        instructions_a_warp=found.total(),
        busiest_pipe=pipe,
        trips=" ".join(map(str, trips)),
        predicted_ms=round(ms, 2),
        x_floor=round(ms / FLOOR_MS, 1),
        triton=triton.__version__,
    )


def _executed(sass: str, trips: tuple[int, ...]) -> Counter[str]:
    """How often a warp executes each opcode; a loop is a branch back to a label."""
    lines, labels, waiting = [], {}, []
    for text in sass.splitlines():
        if label := re.match(r"^\s*(\.L_x?_?\d+):", text):
            waiting.append(label[1])
        elif line := _LINE.match(text):
            address = int(line[1], 16)
            labels |= dict.fromkeys(waiting, address)
            waiting = []
            lines.append((address, line[2].split(".")[0], line[3]))
    loops = sorted(_loops(lines, labels), key=lambda loop: (loop[0], -loop[1]))
    found: Counter[str] = Counter()
    for address, opcode, _ in lines:
        times = 1
        for number, (start, end) in enumerate(loops):
            inside = start <= address <= end
            times *= trips[number] if inside and number < len(trips) else 1
        found[opcode] += times
    return found


def _loops(
    lines: Iterable[tuple[int, str, str]], labels: dict[str, int]
) -> Iterable[tuple[int, int]]:
    for address, opcode, operands in lines:
        target = labels.get(label[1]) if (label := _LABEL.search(operands)) else None
        if opcode == "BRA" and target is not None and target < address:
            yield target, address


def main() -> None:
    """Predict every part and the sum of each operation, print and keep."""
    rows = [predict(part) for part in PARTS] + [predict_counting(name) for name in COUNT_SORT]
    for row in rows:
        total = sum(other.predicted_ms for other in rows if other.operation == row.operation)
        print(
            f"{row.operation:45} {row.kernel:20} {row.predicted_ms:6.2f} ms "
            f"{row.x_floor:5.1f} x floor   together {total:6.2f} ms {total / FLOOR_MS:5.1f} x"
        )
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    print(RESULTS, "(predictions from compiled code, not measured)")


if __name__ == "__main__":
    main()
