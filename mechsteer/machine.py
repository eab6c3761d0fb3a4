"""What this machine has to give: memory that is free, to this process."""

from __future__ import annotations

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Bytes of memory that this process can still take without anything being swapped out.

    What Linux itself calls available, and no more than is left of the limit of its control group
    (containers, Slurm); half of all memory where the system does not say.
    """
    found = [_meminfo(), _group("memory.max", "memory.current")]
    found.append(_group("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
    known = [number for number in found if number is not None]
    if known:
        return max(0, min(known))
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kilobytes[0]) * 1024 if kilobytes else None


def _group(limit: str, usage: str) -> int | None:
    try:
        most, now = ((_GROUPS / name).read_text().strip() for name in (limit, usage))
    except OSError:
        return None
    return int(most) - int(now) if most.isdigit() and now.isdigit() else None
