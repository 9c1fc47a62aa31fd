"""Hold what a model takes in memory against what `cybersecqwen doctor` says that it takes.

    python benchmarks/model_memory.py smollm2-135m-cpu --length 2048
    python benchmarks/model_memory.py cybersecqwen-4b --set model.base=FOLDER --uses serve

Each use runs in a process of its own, on the CPU: one step of a LoRA training on the sample's
records, in rows of --length tokens; and a forward pass over --length tokens, --batch at once, that
keeps its keys and values as a server does. The peak is that of the process, libraries included.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.files import write_jsonl
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.reports.markdown import table
from cybersecqwen.sample import FEED
from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.training.base import load_model
from cybersecqwen.training.memory import BaseSize, base_of, serving_memory, training_memory
from cybersecqwen.training.random_base import prepare_base
from cybersecqwen.training.sft import TrainingFiles, make_trainer


def train(recipe: Recipe, given: argparse.Namespace, base: str, folder: Path) -> None:
    """Train one step of --batch rows of --length tokens."""
    prompts = (rcm_prompt(record.description) for record in read_vulnerabilities(FEED))
    rows = [{"prompt": prompt, "completion": "CWE-79"} for prompt in prompts]
    write_jsonl(folder / "train.jsonl", rows)
    files = TrainingFiles((folder / "train.jsonl",), ())
    trainer = make_trainer(recipe, files, folder / "adapter", base=base)
    trainer.args.max_steps = 1
    trainer.train()


def serve(recipe: Recipe, given: argparse.Namespace, base: str, folder: Path) -> None:
    """Read --length tokens, --batch at once, and keep what the next token needs."""
    import torch

    model = load_model(recipe, base).eval()
    ids = torch.randint(300, 1000, (given.batch, given.length))
    with torch.inference_mode():
        model(input_ids=ids, use_cache=True, logits_to_keep=1)


def estimate(use: str, recipe: Recipe, base: BaseSize, tokens: int) -> int:
    """Return what the formula says."""
    size, precision = base.with_adapter(recipe.adapter), recipe.model.precision
    if use == "train":
        dropout = recipe.adapter.dropout > 0
        return training_memory(size, tokens, precision, dropout=dropout, checkpointing=True)
    return serving_memory(base, precision, tokens)


USES: dict[str, Callable[[Recipe, argparse.Namespace, str, Path], None]] = {
    "train": train,
    "serve": serve,
}


def _peak() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


def _recipe(given: argparse.Namespace, precision: str) -> Recipe:
    settings = (
        f"model.precision='{precision}'",
        f"training.max_length={given.length}",
        f"training.per_device_batch_size={given.batch}",
        *("training.gradient_accumulation=1", f"training.micro_batch={given.batch}"),
        *("training.packing=true", "training.checkpointing=true", "model.attention='sdpa'"),
    )
    return load_recipe(given.recipe, overrides=(*settings, *given.set))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", help="a name or a file; its base has to be at hand")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--uses", nargs="+", choices=USES, default=list(USES))
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        use, precision = given.only
        recipe = _recipe(given, precision)
        with tempfile.TemporaryDirectory() as folder:
            base = prepare_base(recipe, Path(folder), Path(folder) / "base")
            USES[use](recipe, given, base, Path(folder))
        print(json.dumps(_peak()))
        return
    rows = []
    for use in given.uses:
        for precision in given.precisions:
            command = [sys.executable, __file__, *sys.argv[1:], "--only", use, precision]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            recipe = _recipe(given, precision)
            base = base_of(recipe.model)
            assert base, "the sizes of this base are not known"
            said = estimate(use, recipe, base, given.length * given.batch)
            peak = json.loads(done.stdout.splitlines()[-1])
            rows.append((use, precision, f"{said / 1e9:.2f}", f"{peak / 1e9:.2f}"))
            print(rows[-1], file=sys.stderr)
    print(table(("use", "precision", "by formula, GB", "measured, GB"), rows, right=(2, 3)))


if __name__ == "__main__":
    main()
