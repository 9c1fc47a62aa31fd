"""Measure the embedded analyst beside scikit-learn's pipeline and the bm25s library.

    python benchmarks/embedded.py --records cve.parquet --attack enterprise-attack.json.gz \
        --capec stix-capec.json.gz --cwe cwec.xml.gz --benchmark cti-bench

One core (OMP_NUM_THREADS=1 is set here). The same texts go through both sides of a row in one
run; read the ratios, not the rates: machines are shared and noisy. Times are those of the process
where the work is done in this one, and of the wall clock for whole commands.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cybersecqwen.analyst.classification import as_row, classify
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.embedded.classifier import CweClassifier
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.option_ranker import answer_multiple_choice
from cybersecqwen.embedded_build.classifier_training import labelled
from cybersecqwen.embedded_build.indexing import KnowledgeFiles, read_sources
from cybersecqwen.sources import read_vulnerabilities

TEXTS = 5_000  # asked
FITTED = 40_000  # records that scikit-learn's pipeline is fitted to
QUERIES = 1_000
LARAVEL = (
    "A deserialization vulnerability in the destruct() function of Laravel v8.5.9 allows "
    "attackers to execute arbitrary commands."
)


def seconds(action: Callable[[], Any], *, times: int = 3) -> float:
    """Take the best process time of some runs: what disturbs only ever adds."""
    timings = []
    for _ in range(times):
        begun = time.process_time()
        action()
        timings.append(time.process_time() - begun)
    return min(timings)


def whole(*arguments: str, times: int = 5) -> tuple[float, float]:
    """Run a command some times: the best wall clock in seconds, the peak of memory in MB."""
    program = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    walls, peaks = [], []
    for _ in range(times):
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-S", "-c", program, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        walls.append(time.perf_counter() - begun)
        peaks.append(int(done.stdout) / 1000)
    return min(walls), max(peaks)


def sklearn_pipeline(training: list[tuple[str, str]]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        SGDClassifier(alpha=1e-6, max_iter=3, tol=None, random_state=42),
    )
    return pipeline.fit(*zip(*training, strict=True))


def classification(records: Path) -> list[tuple[str, str, str]]:
    examples = []
    for example in labelled(read_vulnerabilities(records)):
        examples.append((example.text, example.first))
        if len(examples) == FITTED + TEXTS:
            break
    pipeline = sklearn_pipeline(examples[:FITTED])
    texts = [text for text, _ in examples[FITTED:]]
    classifier = CweClassifier.load()
    theirs = seconds(lambda: pipeline.decision_function(texts))
    ours = seconds(lambda: classifier.probabilities(texts))
    full = seconds(lambda: [json.dumps(as_row(r)) for r in classify(texts, classifier=classifier)])
    each = seconds(lambda: [pipeline.decision_function([text]) for text in texts[:300]])
    mine = seconds(lambda: [classifier.probabilities([text]) for text in texts[:300]])
    return [
        row("classify a batch: scores", len(texts) / ours, len(texts) / theirs, "CVE/s"),
        row(
            "the same, with evidence, rationale, JSON",
            len(texts) / full,
            len(texts) / theirs,
            "CVE/s",
        ),
        row("classify one by one: scores", 300 / mine, 300 / each, "CVE/s"),
    ]


def retrieval(sources: KnowledgeFiles, benchmark: Path) -> list[tuple[str, str, str]]:
    import bm25s

    passages = [
        f"{p.name} {p.text}" for knowledge, _ in read_sources(sources) for p in knowledge.passages
    ]
    library = bm25s.BM25(k1=0.8, b=0.6)
    library.index(bm25s.tokenize(passages, show_progress=False), show_progress=False)
    items = read_items(benchmark, "cti-mcq")[:QUERIES]
    index = KnowledgeIndex.load()

    def theirs() -> None:
        for item in items:
            tokens = bm25s.tokenize([item.text], show_progress=False)
            library.retrieve(tokens, k=5, show_progress=False)

    def ours() -> None:
        for item in items:
            index.search(item.text, limit=5)

    ours()
    mine, other = seconds(ours), seconds(theirs)
    asked = seconds(lambda: [answer_multiple_choice(index, i.text, i.options) for i in items])
    return [
        row("retrieve five passages", len(items) / mine, len(items) / other, "questions/s"),
        row("answer with four options", len(items) / asked, len(items) / other, "questions/s"),
    ]


def among_five(benchmark: Path) -> list[tuple[str, str, str]]:
    """Count the items of cti-rcm whose gold is among five candidates; a language model has one."""
    items = read_items(benchmark, "cti-rcm")
    classifier = CweClassifier.load()
    order = classifier.probabilities([item.text for item in items]).argsort(axis=1)[:, :-6:-1]
    ranked = [[classifier.classes[i] for i in row] for row in order]
    first = sum(row[0] == item.gold for row, item in zip(ranked, items, strict=True))
    five = sum(item.gold in row for row, item in zip(ranked, items, strict=True))
    return [
        ("cti-rcm, gold among five", f"{five / len(items):.3f}", f"first: {first / len(items):.3f}")
    ]


def commands() -> list[tuple[str, str, str]]:
    program = str(Path(sys.executable).with_name("cybersecqwen"))
    bare, memory = whole(sys.executable, "-c", "import numpy")
    rows = []
    for name, arguments in (
        ("classify TEXT, cold", ("classify", LARAVEL)),
        ("ask QUESTION, cold", ("ask", "What is T1059.001?")),
    ):
        wall, peak = whole(program, *arguments)
        rows.append(
            (name, f"{wall:.2f} s, {peak:.0f} MB", f"{bare:.2f} s, {memory:.0f} MB: import numpy")
        )
    return rows


def row(what: str, ours: float, theirs: float, unit: str) -> tuple[str, str, str]:
    return what, f"{ours:,.0f} {unit}", f"{theirs:,.0f} {unit}: {ours / theirs:.1f} times"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--cwe", type=Path, required=True)
    parser.add_argument("--capec", type=Path, required=True)
    parser.add_argument("--attack", type=Path, action="append", required=True)
    given = parser.parse_args()
    sources = KnowledgeFiles(attack=tuple(given.attack), capec=given.capec, cwe=given.cwe)
    print("| what | embedded | beside it |\n|---|---:|---:|")
    for rows in (
        commands(),
        among_five(given.benchmark),
        classification(given.records),
        retrieval(sources, given.benchmark),
    ):
        for cells in rows:
            print(f"| {' | '.join(cells)} |", flush=True)
    print(
        f"\npeak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB"
    )


if __name__ == "__main__":
    main()
