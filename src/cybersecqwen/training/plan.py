"""How a recipe's training runs on the machine at hand: the same batches and losses, sooner.

    plan = make_plan(recipe, Size.of(model), rows, Device.here())
    print(plan)

A recipe says how many sequences a step learns from. How many of them are computed at once, by
which attention, and what is kept for the backward pass or computed again has no effect on what is
learned, so the machine decides.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple

from cybersecqwen.config import Recipe
from cybersecqwen.engines.memory import free_memory, return_unused
from cybersecqwen.errors import RecipeError
from cybersecqwen.training.memory import Size, training_memory
from cybersecqwen.training.packing import PACKED

_LARGEST_HEAD = 256  # of the kernels for sequences of varying length
# Tokens of a batch, on average; larger ones were no faster.
_ENOUGH = {"cuda": 16_384, "cpu": 2_048}
USABLE = 0.9  # of the memory that is free


class Device(NamedTuple):
    """Where a training runs, the bytes of memory that are free, and the kernels that are there."""

    kind: str  # "cuda" or "cpu"
    memory: int
    kernels: tuple[str, ...] = ()

    @classmethod
    def here(cls) -> Device:
        """Look at the machine."""
        import torch

        return_unused()
        if torch.cuda.is_available():
            free = free_memory("cuda")
            return cls("cuda", free, ("varlen",) if find_spec("torch.nn.attention.varlen") else ())
        return cls("cpu", free_memory("cpu") // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


class Rows(NamedTuple):
    """The sequences of a step: how many a process has, and their tokens."""

    step: int
    longest: int
    mean: float
    spread: float = 0.0  # standard deviation

    def tokens(self, count: int) -> int:
        """Return how many tokens `count` sequences at once may have, the longest among them.

        The others together are rarely more than three of their standard deviations above the mean.
        """
        others = count - 1
        return self.longest + round(others * self.mean + 3 * self.spread * math.sqrt(others))


@dataclass(frozen=True)
class Plan:
    """What the machine decides, why, and the memory it takes in bytes."""

    micro_batch: int  # sequences computed at once
    accumulation: int  # times that, for a step
    attention: str
    checkpointing: bool
    compiled: bool
    shared_openings: bool  # what prompts begin with alike is computed once for a row
    memory: int
    available: int
    reasons: dict[str, str]

    def __str__(self) -> str:
        """Say each decision in one line."""
        lines = (f"{key} = {getattr(self, key)}: {reason}" for key, reason in self.reasons.items())
        return "\n".join(lines)


def make_plan(
    recipe: Recipe, size: Size, rows: Rows, device: Device, *, frozen: int | None = None
) -> Plan:
    """Choose the quickest way to train that fits the memory; the recipe's own choices stand.

    `frozen` are the bytes of the weights that are not trained, for where they are quantised.

    Raises RecipeError, with the numbers, where nothing fits.
    """
    ways = [False, True]
    if recipe.training.checkpointing is not None:
        ways = [recipe.training.checkpointing]
    sizes = _micro_batches(recipe, rows, device)
    room = int(device.memory * USABLE)
    needs = {
        (micro, again): training_memory(
            size,
            rows.tokens(micro),
            recipe.model.precision,
            dropout=recipe.adapter.dropout > 0,
            checkpointing=again,
            frozen=frozen,
        )
        for again in ways
        for micro in sizes
    }
    for (micro, checkpointing), memory in needs.items():
        if memory <= room:
            return _plan(recipe, size, device, rows, (micro, checkpointing, memory))
    raise RecipeError(
        f"training needs {min(needs.values()) / 1e9:.1f} GB of memory, estimated for "
        f"{rows.tokens(sizes[-1]):,} tokens at once, and {room / 1e9:.1f} GB can be used",
        tip="free memory, or take a smaller model, adapter, training.micro_batch or "
        "training.max_length; --set training.plan=plain tries all the same",
    )


def _micro_batches(recipe: Recipe, rows: Rows, device: Device) -> list[int]:
    """List what a step divides into evenly, the largest first, or the recipe's own choice."""
    own = recipe.training.micro_batch
    even = [size for size in range(rows.step, 0, -1) if rows.step % size == 0]
    if own is None:
        enough = max(_ENOUGH[device.kind], rows.longest)
        return [size for size in even if size * rows.mean <= enough]
    if own not in even:
        raise RecipeError(
            f"training.micro_batch {own} does not divide the {rows.step} sequences of a step",
            tip=f"choose one of {', '.join(map(str, reversed(even)))}",
        )
    return [own]


def _plan(
    recipe: Recipe, size: Size, device: Device, rows: Rows, choice: tuple[int, bool, int]
) -> Plan:
    """Write a choice of micro-batch and checkpointing out, with the reasons."""
    micro, checkpointing, memory = choice
    training = recipe.training
    attention, reason = _attention(recipe, size, device)
    fits = f"{memory / 1e9:.1f} of {device.memory / 1e9:.1f} GB"
    chosen = f"the recipe's {rows.step} sequences of a step, {micro} at once take {fits}"
    again = "without it memory is short" if checkpointing else "memory suffices without it"
    on_gpu = device.kind == "cuda"
    shared = not on_gpu and attention == PACKED and not recipe.adapter.dropout
    openings = "what prompts begin with alike is computed once for a row"
    if not shared:
        openings = "only by the attention of a CPU, and without dropout"
    return Plan(
        micro,
        rows.step // micro,
        attention,
        checkpointing,
        on_gpu,
        shared,
        memory,
        device.memory,
        {
            "micro_batch": "set by the recipe" if training.micro_batch else chosen,
            "attention": reason,
            "checkpointing": again if training.checkpointing is None else "set by the recipe",
            "shared_openings": openings,
            "compiled": "fewer, larger kernels" if on_gpu else "gained nothing on a CPU",
        },
    )


def _attention(recipe: Recipe, size: Size, device: Device) -> tuple[str, str]:
    """Choose what attends within each example only, without a mask over the whole row."""
    own = recipe.model.attention
    if own != "sdpa":
        return own, "set by the recipe"
    if device.kind == "cpu":
        return PACKED, "example by example, so no mask over the whole row"
    if size.head_size > _LARGEST_HEAD:
        return own, f"heads of {size.head_size} fit no kernel for examples of varying length"
    if "varlen" in device.kernels:
        return PACKED, "PyTorch's kernel for examples of varying length"
    return "flex_attention", "PyTorch has no kernel for examples of varying length here"
