"""How many cores this process may use, and how many threads a model in it computes on.

Two OpenMP threads on a loaded machine can fall to a tenth of the speed of one, as each waits for
the other at the end of every small product. A small model gains nothing by a second thread.
"""

from __future__ import annotations

import os
from functools import cache

_SMALL = 20_000_000  # parameters


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def limit_threads(parameters: int) -> None:
    """Compute a model of fewer than 20 million parameters on one thread, others on all.

    OMP_NUM_THREADS, where it is set, decides for every model.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    import torch

    all_threads = _initial_threads()  # asked for before the first small model changes it
    torch.set_num_threads(1 if parameters < _SMALL else all_threads)


@cache
def _initial_threads() -> int:
    """Return the number that torch, or the program that imports this, has chosen itself."""
    import torch

    return int(torch.get_num_threads())
