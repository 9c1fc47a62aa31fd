"""Fit the estimate of tokens on half of the records and test it on the others.

python benchmarks/tokens.py --records cve.parquet --tokenizer FOLDER
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cybersecqwen.reports.dataset import load_counter
from cybersecqwen.sources import read_vulnerabilities

_BATCH = 4096
_PIECE = re.compile(r"[^\W\d_]+|\d|[^\w\s]+|_")

FEATURES: dict[str, Callable[[str], int]] = {
    "bytes": lambda text: len(text.encode()),
    "words": lambda text: len(text.split()),
    "digits": lambda text: sum(map(text.count, "0123456789")),
    "pieces": lambda text: len(_PIECE.findall(text)),
}
ESTIMATES = ("bytes", "words", "bytes digits", "bytes words digits", "pieces")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--tokenizer", required=True)
    arguments = parser.parse_args()
    texts = [record.description for record in read_vulnerabilities(arguments.records)]
    texts = [text for text in texts if text.strip()]
    counter = load_counter(arguments.tokenizer)
    started = time.perf_counter()
    batches = [counter.texts(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)]
    print(f"{len(texts):,} texts counted in {time.perf_counter() - started:.0f} s")
    tokens = np.concatenate(batches).astype(float)
    values = {name: timed(name, texts) for name in FEATURES}
    for estimate in ESTIMATES:
        report(estimate, np.stack([values[n] for n in estimate.split()], axis=1), tokens)


def timed(name: str, texts: list[str]) -> np.ndarray:
    started = time.perf_counter()
    counts = np.array([FEATURES[name](text) for text in texts], dtype=float)
    print(f"{name}: {time.perf_counter() - started:.1f} s")
    return counts


def report(name: str, values: np.ndarray, tokens: np.ndarray) -> None:
    """Fit the least squares of the relative error to every other text; print the others' error."""
    fitted, tested = np.arange(len(tokens)) % 2 == 0, np.arange(len(tokens)) % 2 == 1
    scaled = values[fitted] / tokens[fitted, None]
    weights, *_ = np.linalg.lstsq(scaled, np.ones(fitted.sum()), rcond=None)
    guessed, true = values[tested] @ weights, tokens[tested]
    error = np.abs(guessed / true - 1)
    print(
        f"{name:<20} weights {np.round(weights, 3)}  median {np.median(error):.1%}  "
        f"99 % {np.quantile(error, 0.99):.1%}  sum {guessed.sum() / true.sum() - 1:+.1%}"
    )


if __name__ == "__main__":
    main()
