"""Measure what training costs: a plain loop, TRL's trainer and the plan, on the same examples.

    python benchmarks/training.py smollm2-135m-cpu --train corpus/train.jsonl synthesis/train.jsonl
    python benchmarks/training.py cybersecqwen-4b --train train.jsonl --set model.base=FOLDER

Each way runs in a process of its own, on whatever device is there, and its first step is not
timed. The loop is what one writes oneself: PEFT, AdamW, batches padded to their longest example,
and the loss of the model. The other two are `cybersecqwen train` with training.plan = "plain" and
"auto"; the latter's rate is too low by what the prompts of a row share, which is computed and
counted once. On a shared machine read the tokens for a second of the processor, and the ratios.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.reports.markdown import table
from cybersecqwen.training.base import load_model, load_tokenizer
from cybersecqwen.training.examples import encode
from cybersecqwen.training.random_base import prepare_base
from cybersecqwen.training.sft import TrainingFiles, lora_config, make_trainer

ON_GPU = torch.cuda.is_available()


class Moment(NamedTuple):
    """The clocks and the tokens seen after a step."""

    wall: float
    processor: float
    tokens: int


def now(tokens: int) -> Moment:
    """Read the clocks once the device has done what it was given."""
    if ON_GPU:
        torch.cuda.synchronize()
    return Moment(time.perf_counter(), time.process_time(), tokens)


def by_loop(
    recipe: Recipe, given: argparse.Namespace, base: str
) -> tuple[list[Moment], list[float]]:
    """Train by a plain loop on batches padded to their longest example."""
    from peft import get_peft_model

    examples = encode(recipe, load_tokenizer(recipe, base), *given.train)
    model = load_model(recipe, base)
    model = get_peft_model(model, lora_config(recipe, model)).to("cuda" if ON_GPU else "cpu")
    adapter = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(adapter, lr=recipe.training.learning_rate)
    order = torch.randperm(len(examples)).tolist()
    moments, losses, tokens = [], [], 0
    for step in range(given.steps):
        chosen = order[step * given.batch : (step + 1) * given.batch]
        batch = padded([examples[index] for index in chosen])
        loss = model(**{name: x.to(model.device) for name, x in batch.items()}).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adapter, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        tokens += int(batch["attention_mask"].sum())
        moments.append(now(tokens))
    return moments, losses


def padded(examples: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Lay examples under one another, each padded to the longest."""
    longest = max(len(each["input_ids"]) for each in examples)

    def rows(values: list[list[int]], filling: int) -> torch.Tensor:
        return torch.tensor([row + [filling] * (longest - len(row)) for row in values])

    ids = rows([each["input_ids"] for each in examples], 0)
    mask = rows([[1] * len(each["input_ids"]) for each in examples], 0)
    learned = rows([each["completion_mask"] for each in examples], 0)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": ids.masked_fill(learned == 0, -100),
    }


def by_trainer(
    recipe: Recipe, given: argparse.Namespace, base: str
) -> tuple[list[Moment], list[float]]:
    """Train as `cybersecqwen train` does."""
    from transformers import TrainerCallback

    moments: list[Moment] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            moments.append(now(state.num_input_tokens_seen))

    with tempfile.TemporaryDirectory() as folder:
        files = TrainingFiles(tuple(given.train), ())
        trainer = make_trainer(recipe, files, Path(folder) / "adapter", base=base)
        trainer.args.max_steps = given.steps
        trainer.add_callback(Clock())
        trainer.train()
    return moments, [row["loss"] for row in trainer.state.log_history if "loss" in row]


WAYS: dict[str, tuple[str, Callable[..., tuple[list[Moment], list[float]]]]] = {
    "loop": ("plain loop, padded", by_loop),
    "plain": ("TRL, plan = plain", by_trainer),
    "auto": ("plan = auto", by_trainer),
}


def measure(way: str, given: argparse.Namespace) -> dict[str, Any]:
    """Train one way for a few steps; return rates over all steps but the first."""
    settings = [*given.set, "training.log_steps=1", "training.checkpoint_steps=100000"]
    settings += [f"training.plan={'auto' if way == 'auto' else 'plain'}"]
    recipe = load_recipe(given.recipe, overrides=tuple(settings))
    base = prepare_base(recipe, given.train[0], given.base)
    torch.manual_seed(recipe.training.seed)
    moments, losses = WAYS[way][1](recipe, given, base)
    first, last = moments[0], moments[-1]
    tokens = last.tokens - first.tokens
    return {
        "per_second": tokens / (last.wall - first.wall),
        "per_processor_second": tokens / (last.processor - first.processor),
        "peak": torch.cuda.max_memory_allocated() if ON_GPU else _resident(),
        "losses": losses,
    }


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_apart(way: str, arguments: list[str]) -> dict[str, Any]:
    """Measure one way in a process of its own."""
    command = [sys.executable, __file__, *arguments, "--only", way]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def show(measured: dict[str, dict[str, Any]]) -> None:
    """Print the table, each way beside the first one."""
    reference = next(iter(measured.values()))
    rate = "per_second" if ON_GPU else "per_processor_second"
    rows = [
        [
            WAYS[way][0],
            f"{row['per_second']:,.0f}",
            f"{row['per_processor_second']:,.1f}",
            f"{row[rate] / reference[rate]:.2f}",
            f"{row['peak'] / 1e9:.1f}",
            f"{row['losses'][0]:.4f}",
            f"{row['losses'][-1]:.4f}",
        ]
        for way, row in measured.items()
    ]
    head = ["", "tokens/s", "of the processor", "ratio", "peak GB", "first loss", "last loss"]
    print(table(head, rows))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", help="a name or a file")
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="files of examples")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--base", type=Path, default=Path("base"), help="where a random one goes")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=8, help="examples of a step of the loop")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measure(given.only, given)))
        return
    show({way: measure_apart(way, sys.argv[1:]) for way in given.ways})


if __name__ == "__main__":
    main()
