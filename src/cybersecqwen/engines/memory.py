"""How much memory is free for a model: on a GPU, or beside the other programs of a machine."""

from __future__ import annotations

from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")  # of a container, which may be allowed less than the machine has


def free_memory(device: str) -> int:
    """Return the free bytes of a GPU ("cuda"), or of the machine or its container ("cpu")."""
    if device != "cpu":
        import torch

        torch.cuda.empty_cache()  # what PyTorch keeps for itself counts as free
        return int(torch.cuda.mem_get_info()[0])
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit, used = ((_CGROUP / f"memory.{what}").read_text() for what in ("max", "current"))
    except OSError:  # no container, or the older kind of control groups
        return free
    return free if limit.strip() == "max" else max(0, min(free, int(limit) - int(used)))
