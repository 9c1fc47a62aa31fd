"""Measure the rules of contamination: quality on a test bed, loss, speed, and beside Janitor.

    python benchmarks/contamination.py --records cve.parquet --benchmark cti-bench

Prints Markdown tables. Machines are shared and noisy: read the ratios, not the seconds. Janitor
is lm-evaluation-harness's, in Python mode; without the package, name its file by `--janitor`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet
from testbed import Case, copies, siblings

from cybersecqwen.benchmark.tasks import benchmark_of, read_benchmark
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import RULES, BenchmarkIndex, Hit, Row, tokens
from cybersecqwen.contamination.audit import Audit, run_audit
from cybersecqwen.contamination.ngrams import Grams
from cybersecqwen.contamination.passages import Passages
from cybersecqwen.contamination.similarity import Similarity
from cybersecqwen.contamination.words import encode
from cybersecqwen.records import Benchmark, Item

TASKS = ("cti-rcm", "cti-rcm-2021", "cti-mcq")  # of which copies are made
EVERY = 5  # item of a task has its copies made
SEED = 42
SETTINGS = Contamination()
TEXT_RULES = tuple(RULES)[1:]  # copies carry no CVE id


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    head = list(head)
    print(f"| {' | '.join(head)} |\n|{'---|' + '---:|' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")
    print(flush=True)


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def rules_of(hits: Iterable[Hit]) -> set[str]:
    return {rule for hit in hits for rule, _ in hit.rules}


def test_bed(benchmark: Benchmark) -> list[Case]:
    items = [item for task in TASKS for item in benchmark[task][::EVERY]]
    described = [item for task in TASKS[:2] for item in benchmark[task]]
    return [*copies(items, seed=SEED), *siblings(described, seed=SEED)]


def quality(benchmark: Benchmark, cases: list[Case]) -> None:
    """Print each rule's recall by kind of copy, the siblings it hits, and its precision."""
    alike = defaultdict(set)  # a text that several items have is each one's
    for item in (item for items in benchmark.values() for item in items):
        alike[tokens(item.text)].add((item.task, item.index))
    index = BenchmarkIndex(benchmark, SETTINGS)
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for case, hits in zip(cases, index.hits_of(case.row for case in cases), strict=True):
        kept = hits
        if case.item:
            own = alike[tokens(case.item.text)]
            kept = [hit for hit in hits if (hit.task, hit.item) in own]
        rules = rules_of(kept)
        by_kind[_kind(case)].update((*rules, *(["any"] if rules else []), "rows"))
    rows = []
    for kind, counts in by_kind.items():
        shares = (percent(counts[rule], counts["rows"]) for rule in (*TEXT_RULES, "any"))
        rows.append((kind, counts["rows"], *shares))
    right = {
        r: sum(c[r] for k, c in by_kind.items() if k != "sibling") for r in (*TEXT_RULES, "any")
    }
    wrong = by_kind["sibling"]
    rows.append(("precision", "", *(percent(right[r], right[r] + wrong[r]) for r in right)))
    table(("copy", "rows", *TEXT_RULES, "any"), rows)


def _kind(case: Case) -> str:
    return f"{case.kind}, question" if case.item and case.item.options else case.kind


def against_brute_force(benchmark: Benchmark, cases: list[Case]) -> None:
    """Compare with the similarity of whole texts, of every pair, without any index."""
    passages = Passages(benchmark)
    texts = encode([case.row.text for case in cases])
    similarity = Similarity(passages, SETTINGS.similarity)
    indexed = {(text, passage) for text, passage, _ in similarity.find(texts)}
    holders: dict[int, list[int]] = defaultdict(list)
    for number, words in enumerate(passages.distinct):
        for word in words.tolist():
            holders[word].append(number)
    alike = set()
    for number, text in enumerate(texts.split()):
        distinct = np.unique(text)
        words = passages.number(distinct)
        weights = passages.weights[words]
        shared = np.zeros(len(passages.all))
        for word, weight in zip(words.tolist(), weights.tolist(), strict=True):
            shared[holders.get(word, [])] += weight
        scores = shared / (weights.sum() + passages.total - shared)
        alike |= {(number, int(p)) for p in np.flatnonzero(scores >= SETTINGS.similarity)}
    both = len(alike & indexed)
    print(f"Pairs with a similarity of whole texts of at least {SETTINGS.similarity}, of ", end="")
    print(f"{texts.size * len(passages.all):,}: {len(alike):,}; found {both:,} ", end="")
    print(f"({percent(both, len(alike))}).\n")


def leave_half_out(benchmark: Benchmark) -> None:
    """Print how often an item's rules hit, where the index holds only the other half."""
    half = benchmark_of({task: items[::2] for task, items in benchmark.items()})
    index = BenchmarkIndex(half, SETTINGS)
    texts = {tokens(item.text) for items in half.values() for item in items}
    urls = {item.url for items in half.values() for item in items} - {""}
    rows = []
    for task in TASKS:
        others = [item for item in benchmark[task][1::2] if tokens(item.text) not in texts]
        asked = [item for item in others if task == "cti-mcq" or item.url not in urls]
        hits = index.hits_of(Row(item.text, answer=_answer(item)) for item in asked)
        counts = Counter(rule for of_item in hits for rule in rules_of(of_item))
        rows.append((task, len(asked), *(percent(counts[r], len(asked)) for r in TEXT_RULES)))
    table(("asked", "items", *TEXT_RULES), rows)


def _answer(item: Item) -> str:
    return item.options["ABCD".index(item.gold)] if item.options else item.gold


def loss(audit: Audit) -> None:
    """Print how many records each rule hits, and how many no stronger one does."""
    by_row = defaultdict(set)
    for row, hit in audit.overlaps:
        by_row[row.number] |= {rule for rule, _ in hit.rules}
    every = Counter(rule for rules in by_row.values() for rule in rules)
    first = Counter(min(rules, key=list(RULES).index) for rules in by_row.values())
    rows = [(rule, f"{every[rule]:,}", f"{first[rule]:,}") for rule in RULES]
    rows.append(("any", f"{len(by_row):,}", percent(len(by_row), audit.train_rows)))
    table(("rule", "records", "and no stronger rule"), rows)


def speed(records: Path, benchmark: Benchmark, shares: list[int]) -> Audit:
    """Print the time and memory of audits of a part of the records, by size."""
    rows = []
    for tenths in shares:
        with part_of(records, tenths) as path, Peak() as peak:
            started = time.perf_counter()
            audit = run_audit(path, benchmark, SETTINGS, allow_unreadable=True)
            seconds = time.perf_counter() - started
        count = f"{audit.train_rows:,}"
        pace = f"{audit.train_rows / seconds:,.0f}"
        rows.append((count, f"{seconds:.1f}", pace, f"{peak.gigabytes:.2f}"))
    table(("records", "seconds", "rows/s", "GB at most"), rows)
    return audit


@contextlib.contextmanager
def part_of(records: Path, tenths: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.parquet"
        whole = parquet.read_table(records)
        chosen = np.flatnonzero(np.arange(len(whole)) % 10 < tenths)
        parquet.write_table(whole.take(chosen), path)
        del whole
        yield path


class Peak:
    """The most memory that this process and its children have held together."""

    def __enter__(self) -> Peak:
        self.gigabytes = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
            self.gigabytes = max(self.gigabytes, sum(map(_resident, pids)) / 1e9)


def _resident(pid: int | None) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # it has ended since
        return 0


def beside_janitor(texts: list[str], benchmark: Benchmark, janitor: Any) -> None:
    """Time the n-gram rule alone and Janitor, on the same texts and items."""
    grams = Grams(Passages(benchmark).texts.worded(), SETTINGS.ngram)
    for item in (item for items in benchmark.values() for item in items):
        janitor.register_contaminant_python(" ".join((item.text, *item.options)))

    def ours() -> None:
        for first in range(0, len(texts), 5000):
            words = encode(texts[first : first + 5000]).worded()
            list(grams.containment(words, SETTINGS.containment))

    own = timed(ours)
    theirs = timed(lambda: [janitor.clean_python(text) for text in texts])
    rows = [("the n-gram rule", f"{own:.2f}", "1.0")]
    rows.append(("Janitor, Python mode", f"{theirs:.2f}", f"{theirs / own:.1f}"))
    table((f"{len(texts):,} texts", "seconds", "ratio"), rows)


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def load_janitor(path: Path | None) -> Any:
    """Load Janitor from the installed package, or from its file; None where there is neither."""
    name = "lm_eval.decontamination.janitor"
    try:
        spec = importlib.util.spec_from_file_location("janitor", path) if path else None
        spec = spec or importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    quiet = io.StringIO()  # it prints a traceback where its C++ part is not built
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        spec.loader.exec_module(module)
    return module.Janitor(ngram_n=SETTINGS.ngram)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--janitor", type=Path, help="the file janitor.py of lm-evaluation-harness")
    parser.add_argument("--tenths", type=int, nargs="+", default=[1, 3, 10], help="of the records")
    given = parser.parse_args()
    benchmark = read_benchmark(given.benchmark)
    cases = test_bed(benchmark)
    quality(benchmark, cases)
    leave_half_out(benchmark)
    against_brute_force(benchmark, cases[::10])
    texts = parquet.read_table(given.records, columns=["description"])["description"].to_pylist()
    if janitor := load_janitor(given.janitor):
        beside_janitor([text for text in texts[::14] if text], benchmark, janitor)
    else:
        print("Janitor is not here: pip install 'cybersecqwen[harnesses]'", file=sys.stderr)
    loss(speed(given.records, benchmark, given.tenths))


if __name__ == "__main__":
    main()
