"""How much memory is free for a model: on a GPU, or beside the other programs of a machine."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path
from typing import NamedTuple

CGROUP = Path("/sys/fs/cgroup")  # of a container, which may be allowed less than the machine has
_MEMINFO = Path("/proc/meminfo")
# Limit, use, and the part of that which is files that the kernel lets go of when memory is wanted,
# by the newer and by the older kind of control groups.
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        *("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
        *("memory/memory.stat", "total_inactive_file"),
    ),
)


class Memory(NamedTuple):
    """The main memory in bytes, and whether a container's limit is what counts."""

    total: int
    free: int
    limited: bool = False


def free_memory(device: str) -> int:
    """Return the free bytes of a GPU ("cuda"), or of the machine or its container ("cpu")."""
    if device != "cpu":
        import torch

        torch.cuda.empty_cache()  # what PyTorch keeps for itself counts as free
        return int(torch.cuda.mem_get_info()[0])
    return main_memory().free


def return_unused() -> None:
    """Give back what an earlier model left and the C library keeps: gigabytes after a training.

    It takes some 50 ms.
    """
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)  # of glibc alone


def main_memory() -> Memory:
    """Return the memory of the machine, or of its container where that is allowed less."""
    machine = _machine()
    for *names, statistics, files in _LIMITS:
        try:
            limit, used = (int((CGROUP / name).read_text()) for name in names)
        except (OSError, ValueError):  # no container, or "max"
            continue
        if limit < machine.total:
            used -= _statistic(CGROUP / statistics, files)
            return Memory(limit, max(0, min(machine.free, limit - used)), limited=True)
    return machine


def _statistic(path: Path, name: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)


def _machine() -> Memory:
    if not _MEMINFO.is_file():  # no Linux
        import psutil

        machine = psutil.virtual_memory()
        return Memory(int(machine.total), int(machine.available))
    lines = _MEMINFO.read_text(encoding="utf-8").splitlines()
    kibibytes = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
    return Memory(kibibytes["MemTotal"] << 10, kibibytes["MemAvailable"] << 10)
