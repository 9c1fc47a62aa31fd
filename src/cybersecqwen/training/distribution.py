"""What makes many processes learn what one would: even shares, one order, the same files on all.

    join()                                   # before anything is loaded
    check_alike(recipe, files, base, checkpoint)
    share(recipe.training, processes())      # sequences of a step that each computes

A step learns from the same examples whatever number of processes share it. Where the last step of
a pass has too few to go round, the rest get rows of one token, which predict nothing.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cybersecqwen import __version__
from cybersecqwen.errors import RecipeError, StageError
from cybersecqwen.files import sha256_file

if TYPE_CHECKING:
    from cybersecqwen.config import Recipe, Training

_PACKAGES = ("accelerate", "peft", "torch", "transformers", "trl")
_WEIGHTS = ("*.safetensors", "*.bin")


def processes() -> int:
    """Return how many processes train together, as torchrun tells each of them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def shards() -> int:
    """Return among how many processes the model is shared out."""
    used = (os.environ.get(f"ACCELERATE_USE_{name}") == "true" for name in ("FSDP", "DEEPSPEED"))
    return processes() if any(used) else 1


def join() -> None:
    """Join the other processes, where there are any; only the first goes on telling of its work."""
    if processes() == 1:
        return
    import torch
    from accelerate import PartialState

    PartialState(cpu=not torch.cuda.is_available())
    if os.environ.get("RANK", "0") != "0":
        logging.getLogger("cybersecqwen").setLevel(logging.ERROR)


def share(training: Training, count: int) -> int:
    """Return how many sequences of a step each of `count` processes computes.

    Raises RecipeError where they cannot be shared out evenly.
    """
    batch = training.per_device_batch_size * training.gradient_accumulation
    if batch % count:
        even = [str(size) for size in range(1, batch + 1) if batch % size == 0]
        raise RecipeError(
            f"the {batch} sequences of a step cannot be shared evenly among {count} processes",
            tip=f"start {', '.join(even)} processes, or change "
            "training.per_device_batch_size × training.gradient_accumulation",
        )
    return batch // count


def check_alike(
    recipe: Recipe, files: Iterable[Path], base: str | Path, checkpoint: Path | None
) -> None:
    """Refuse to train where a process has other code, settings or files than the first.

    Every process has to call it, and all raise the same StageError.
    """
    if processes() == 1:
        return
    import torch

    own = {"node": socket.gethostname(), **_facts(recipe, files, base, checkpoint)}
    every: list[dict[str, str]] = [{}] * processes()
    torch.distributed.all_gather_object(every, own)
    first = every[0]
    for rank, other in enumerate(every):
        for name in dict.fromkeys((*first, *other)):
            theirs, ours = other.get(name, "missing"), first.get(name, "missing")
            if name != "node" and theirs != ours:
                raise StageError(
                    f"{name} is {theirs} for rank {rank} on {other['node']}, "
                    f"and {ours} for rank 0 on {first['node']}",
                    tip="install the same versions, and give every node the same run folder",
                )


def _facts(
    recipe: Recipe, files: Iterable[Path], base: str | Path, checkpoint: Path | None
) -> dict[str, str]:
    """List what has to be the same for all processes, the commonest difference first."""
    from cybersecqwen.config import dump_recipe

    return {
        "the version of cybersecqwen": __version__,
        **{f"the version of {name}": version(name) for name in _PACKAGES},
        "the checkpoint": "none" if checkpoint is None else checkpoint.name,
        "the recipe": hashlib.sha256(dump_recipe(recipe).encode()).hexdigest()[:12],
        **{f"{path.parent.name}/{path.name}": sha256_file(path)[:12] for path in files},
        "the base model": _fingerprint(Path(base)),
    }


def _fingerprint(base: Path) -> str:
    """Identify a model's folder by its configuration and the sizes of its weights.

    Hashing gigabytes would take longer than it is worth: the first process's weights are sent to
    the others.
    """
    if not base.is_dir():
        return str(base)
    weights = sorted(path for pattern in _WEIGHTS for path in base.glob(pattern))
    config = base / "config.json"
    sizes = [(path.name, path.stat().st_size) for path in weights]
    settings = config.read_bytes() if config.is_file() else b""
    return hashlib.sha256(repr((sizes, settings)).encode()).hexdigest()[:12]


class Order:
    """The order of a pass over `count` examples, the same in every process, then `more` at the end.

    It is the order in which accelerate deals the examples to a process that is alone.
    """

    def __init__(self, count: int, more: int, *, seed: int) -> None:
        from accelerate.data_loader import SeedableRandomSampler

        self._shuffled = SeedableRandomSampler(range(count), data_seed=seed)
        self._end = range(count, count + more)

    def __iter__(self) -> Iterator[int]:
        yield from self._shuffled
        yield from self._end

    def __len__(self) -> int:
        return len(self._shuffled) + len(self._end)

    def set_epoch(self, epoch: int) -> None:
        """Shuffle as for this pass from now on."""
        self._shuffled.set_epoch(epoch)


def fill(rows: Any, multiple: int) -> Any:
    """Lengthen a dataset to a multiple by rows of one token, from which nothing is learned."""
    from datasets import Dataset, concatenate_datasets

    missing = -len(rows) % multiple
    if not missing:
        return rows
    one = {name: [1] if name == "seq_lengths" else value[:1] for name, value in rows[0].items()}
    columns = {name: [value] * missing for name, value in one.items()}
    return concatenate_datasets([rows, Dataset.from_dict(columns, features=rows.features)])
