"""What there is too little of for a run, in words, with what to do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mechsteer.machine import available_memory
from mechsteer.options.memory import memory_bytes
from mechsteer.planning.amounts import in_bytes
from mechsteer.planning.devices import Device
from mechsteer.planning.footprint import Footprint
from mechsteer.planning.record import Stage


@dataclass(frozen=True)
class Room:
    """What a run may take.

    Attributes:
        gpu: the device that the model runs on, another machine's; None for this machine.
        memory: bytes that all processes on this machine may take; None for another machine.
        disk: bytes that may be written; None where that is not known.
        ranks: processes.
    """

    gpu: Device | None
    memory: int | None
    disk: int | None
    ranks: int

    @classmethod
    def of(
        cls, gpu: Device | None, disk: int | str | None, directory: Path | None, ranks: int
    ) -> Room:
        """What is free here; of another machine only what was said of it."""
        here = gpu is None
        if disk is not None:
            free: int | None = memory_bytes(disk)
        else:
            free = free_disk(directory or Path()) if here or directory is not None else None
        return cls(gpu, available_memory() if here else None, free, ranks)


def shortages(stages: Sequence[Stage], footprint: Footprint, room: Room) -> Iterator[str]:
    """What falls short: the device, the memory that was asked for, that of this machine, the disk.

    Args:
        stages: of the run, the whole last.
        footprint: bytes.
        room: what there is.
    """
    gpu, worst = room.gpu, max(stages[:-1], key=lambda stage: stage.memory)
    if gpu is not None and (needed := footprint.device) > gpu.memory:
        yield (
            f"{gpu.name} has {in_bytes(gpu.memory)} of memory, and the weights and one batch take "
            f"{in_bytes(needed)}: name a larger device, a smaller --batch-tokens, or share the "
            "model between devices"
        )
    model = 0 if footprint.on_device else footprint.sizes.weight_bytes
    if (values := worst.memory - model) > footprint.memory:
        yield (
            f"--memory is {in_bytes(footprint.memory)}, and {worst.name!r} takes "
            f"{in_bytes(values)} beside the model: give --memory more, or take fewer languages"
        )
    if room.memory is not None and (all_ := worst.memory * room.ranks) > room.memory:
        ranks = f" in {room.ranks} ranks" if room.ranks > 1 else ""
        yield (
            f"{in_bytes(room.memory)} of memory are free, and {worst.name!r} takes "
            f"{in_bytes(all_)}{ranks}: give --memory less, or take fewer languages"
        )
    if room.disk is not None and (whole := stages[-1].disk) > room.disk:
        yield (
            f"{in_bytes(room.disk)} of disk are free, and the run leaves {in_bytes(whole)}: "
            "take fewer sentences (--limit) or languages, or another disk (-o)"
        )


def free_disk(folder: Path) -> int:
    """Bytes that are free where a folder lies, or will lie."""
    whole = folder.absolute()
    place = next(place for place in (whole, *whole.parents) if place.is_dir())
    return shutil.disk_usage(place).free
