"""Generation in process beside the library's own `generate`, on the items of a benchmark.

    python benchmarks/generation.py smollm2 --benchmark cti-bench --items 32

Two trials through `model.generate` in batches of 32, then the trials of the protocol through the
engine, in the same process, both as often as --rounds says. The clock is the processor time of all
threads, so a busy machine changes it little. Prints, for each, the seconds and the tokens of an
answer, and their ratio.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.benchmark.trial import trial_requests
from cybersecqwen.engines import open_model
from cybersecqwen.engines.transformers import TransformersEngine
from cybersecqwen.records import Request

_BATCH = 32


def library(engine: TransformersEngine, requests: list[Request]) -> int:
    """Answer by `generate`, sorted by length; returns the tokens that were made."""
    import torch

    model, made = engine._model, 0
    prompts = sorted((engine._encode(request) for request in requests), key=len, reverse=True)
    for start in range(0, len(prompts), _BATCH):
        batch = prompts[start : start + _BATCH]
        width = len(batch[0])
        pad = model.generation_config.pad_token_id
        output = model.generate(
            input_ids=torch.tensor([[pad] * (width - len(row)) + row for row in batch]),
            attention_mask=torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in batch]),
            do_sample=True,
            temperature=requests[0].sampling.temperature,
            top_k=0,
            max_new_tokens=requests[0].sampling.max_tokens,
        )[:, width:]
        ends = set(model.generation_config.eos_token_id)
        for row in output.tolist():
            made += next((i + 1 for i, token in enumerate(row) if token in ends), len(row))
    return made


def ours(engine: TransformersEngine, requests: list[Request]) -> int:
    """Answer by the engine; returns the tokens that were made."""
    return sum(response.completion_tokens for response in engine.generate(requests))


def measured(run: Callable[..., int], engine: Any, requests: list[Request]) -> tuple[float, float]:
    """Return processor seconds and tokens, each of one answer."""
    begun = time.process_time()
    tokens = run(engine, requests)
    seconds = time.process_time() - begun
    return seconds / len(requests), tokens / len(requests)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--task", default="cti-rcm")
    parser.add_argument("--items", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--max-tokens", type=int, help="of an answer, in place of the protocol's")
    options = parser.parse_args()
    engine: Any = open_model(options.model, batch_size=options.batch_size).engine
    protocol, items = find_protocol("model-card"), read_items(options.benchmark, options.task)
    protocol = replace(protocol, max_tokens=options.max_tokens or protocol.max_tokens)
    items = items[:: max(1, len(items) // options.items)][: options.items]
    trials = [trial_requests(protocol, items, kind="instruct", trial=t) for t in range(5)]
    together = [request for asked in zip(*trials, strict=True) for request in asked]
    ways = [
        (f"generate, batch {_BATCH}, two trials", library, trials[0] + trials[1]),
        ("engine, one trial", ours, trials[0]),
        ("engine, five trials", ours, together),
    ]
    ours(engine, trials[0][:1])  # loads the model
    print(f"{'':32}{'seconds an answer':>20}{'tokens':>8}{'ratio':>7}")
    for _ in range(options.rounds):
        first = 0.0
        for name, run, requests in ways:
            seconds, tokens = measured(run, engine, requests)
            first = first or seconds
            print(f"{name:32}{seconds:20.3f}{tokens:8.1f}{first / seconds:7.1f}", flush=True)


if __name__ == "__main__":
    main()
