"""The machine: its cores, disks and GPUs, told without loading PyTorch.

>>> cpu().cores >= 1
True
"""

from __future__ import annotations

import csv
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from cybersecqwen.engines.memory import CGROUP
from cybersecqwen.engines.threads import available_cores

# What a processor can do that training and serving gain from, as /proc/cpuinfo and Arm's name it.
_EXTENSIONS = (
    "avx2",
    "avx512f",
    "avx512_bf16",
    "avx512_vnni",
    "amx_bf16",
    "amx_int8",
    "sve",
    "bf16",
)
_QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
_CPUINFO = Path("/proc/cpuinfo")
_CARDS = Path("/sys/class/drm")  # where amdgpu, the driver, tells what its cards have
_AMD = "0x1002"
_NVIDIA = "/dev/nvidiactl"
_PATIENCE = 2.0  # seconds for the program of a driver


class Cpu(NamedTuple):
    """The cores that the process may use, what they are, and what they can do."""

    cores: int
    quota: float | None  # cores' worth of time that a container is allowed
    model: str
    extensions: tuple[str, ...]


class Gpu(NamedTuple):
    """A GPU and its memory in bytes."""

    name: str
    memory: int
    free: int


class Disk(NamedTuple):
    """The disk under a folder, in bytes; `folder` need not be there yet."""

    folder: Path
    total: int
    free: int
    writable: bool


def cpu() -> Cpu:
    """Look at the processor and at what this process may use of it."""
    text = _CPUINFO.read_text(encoding="utf-8") if _CPUINFO.is_file() else ""
    named = re.search(r"^model name\s*: (.*)$", text, flags=re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.*)$", text, flags=re.MULTILINE)
    able = set(flags[1].split()) if flags else set()
    return Cpu(
        available_cores(),
        _quota(),
        named[1] if named else platform.processor() or platform.machine(),
        tuple(name for name in _EXTENSIONS if name in able),
    )


def _quota() -> float | None:
    """Read how many cores' worth of time a container may use, by either kind of control groups."""
    for names in _QUOTAS:
        try:
            quota, period = map(
                int, " ".join((CGROUP / name).read_text() for name in names).split()
            )
        except (OSError, ValueError):  # no container, or "max"
            continue
        if quota > 0:
            return quota / period
    return None


def disk(folder: Path) -> Disk:
    """Look at the disk that a folder is on, or will be."""
    there = next(
        place for place in (folder.absolute(), *folder.absolute().parents) if place.exists()
    )
    usage = shutil.disk_usage(there)
    return Disk(folder, usage.total, usage.free, _writable(there))


def _writable(folder: Path) -> bool:
    """Try it: permissions do not tell of a disk that is mounted to be read."""
    try:
        with TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def gpus() -> list[Gpu]:
    """List the GPUs: as their drivers tell, or PyTorch where NVIDIA's has no word of the memory."""
    return [*_nvidia(), *_amd()]


def _nvidia() -> list[Gpu]:
    program = shutil.which("nvidia-smi")
    if not program:
        return [*_by_torch()] if Path(_NVIDIA).exists() else []
    wanted = "--query-gpu=name,memory.total,memory.free"
    command = [program, wanted, "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):  # a driver that does not answer has no GPU to use
        return []
    rows = csv.reader(told.splitlines(), skipinitialspace=True)
    try:
        return [Gpu(name, int(total) << 20, int(free) << 20) for name, total, free in rows]
    except ValueError:  # "[N/A]", where a GPU has the memory of the CPU
        return [*_by_torch()]


def _by_torch() -> Iterator[Gpu]:
    if not find_spec("torch"):
        return
    import torch

    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        yield Gpu(torch.cuda.get_device_name(number), total, free)


def _amd() -> Iterator[Gpu]:
    for card in sorted(_CARDS.glob("card*/device")):
        try:
            if (card / "vendor").read_text().strip() != _AMD:
                continue
            total, used = (
                int((card / f"mem_info_vram_{n}").read_text()) for n in ("total", "used")
            )
        except (OSError, ValueError):  # another driver's, or a part of a card
            continue
        named = card / "product_name"
        name = named.read_text().strip() if named.is_file() else ""
        yield Gpu(name or f"AMD {card.parent.name}", total, total - used)
