"""Measure the corpus stage on a whole record store, and its n-gram rule beside the plain one.

    python benchmarks/corpus.py --records cve.parquet --benchmark cti-bench

Prints a Markdown table. Machines are shared and noisy: read the ratios, not the seconds.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.config import load_recipe
from cybersecqwen.contamination import BenchmarkIndex, Row, tokens
from cybersecqwen.corpus.build import CorpusInputs, build
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.sources import read_vulnerabilities

EVERYTHING = ("corpus.years=[1999,2030]", "corpus.max_examples=10000000")


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result


def ngrams(words: tuple[str, ...], n: int) -> set[tuple[str, ...]]:
    return {words[i : i + n] for i in range(len(words) - n + 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--benchmark", type=Path, required=True)
    given = parser.parse_args()
    recipe = load_recipe("cybersecqwen-4b", overrides=EVERYTHING)
    benchmark = read_benchmark(given.benchmark)
    reading, records = timed(lambda: list(read_vulnerabilities(given.records)))
    with tempfile.TemporaryDirectory() as folder:
        inputs = CorpusInputs(read_vulnerabilities(given.records), benchmark, load_catalogue(), {})
        whole, certificate = timed(lambda: build(recipe, inputs, Path(folder)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

    texts = [record.description for record in records]
    index = BenchmarkIndex(benchmark, recipe.contamination)
    n = recipe.contamination.ngram
    items = (i.text for of_task in benchmark.values() for i in of_task)
    known = {gram for text in items for gram in ngrams(tokens(text), n)}
    plain, _ = timed(lambda: [known & ngrams(tokens(text), n) for text in texts])
    ours, _ = timed(lambda: list(index.hits_of(Row(text) for text in texts)))

    counts = certificate["counts"]
    print(f"{counts['records']:,} records, {counts['train'] + counts['validation']:,} examples\n")
    print("| what | seconds | ratio |\n|---|---:|---:|")
    print(f"| read the records | {reading:.1f} | 1.0 |")
    print(
        f"| read, select, decontaminate, write, check again | {whole:.1f} | {whole / reading:.1f} |"
    )
    print(f"| all n-grams of each text looked up, nothing else | {plain:.1f} | 1.0 |")
    print(f"| all rules but those of id and answer | {ours:.1f} | {ours / plain:.1f} |")
    print(f"\npeak memory {peak:.2f} GB, the records held twice")


if __name__ == "__main__":
    main()
