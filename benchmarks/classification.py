"""Measure `classify FILE --json`, alone or turn by turn with another version of the source.

    python benchmarks/classification.py --records cve.parquet
    python benchmarks/classification.py --records cve.parquet --before OTHER/src

The texts are descriptions drawn from a table of records, the same for both. Each run is a process
of its own on one thread, and its time that of the processor, for whom others disturb takes longer
by the clock. "texts/s" has the start-up in it; "after start-up" has not: a run of one text is taken
off. The least of some runs counts. What the two versions answer is compared byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parents[1] / "src"


def draw(records: Path, count: int) -> list[str]:
    texts = pq.read_table(records, columns=["description"])["description"].to_pylist()
    return random.Random(0).sample(list(filter(None, texts)), count)


def run(source: Path, texts: Path) -> tuple[float, str]:
    """Classify a file by some source: the seconds of processor time, and the answers' sha256."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "cybersecqwen.cli", "classify", str(texts), "--json"],
        env=os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, hashlib.sha256(done.stdout).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, required=True, help="table with descriptions")
    parser.add_argument("--before", type=Path, help="the src folder of another version")
    parser.add_argument("--texts", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    sources = {"this version": HERE} | ({"before": given.before} if given.before else {})
    with tempfile.TemporaryDirectory() as folder:
        many, one = Path(folder) / "texts.jsonl", Path(folder) / "one.jsonl"
        lines = [json.dumps({"text": text}) + "\n" for text in draw(given.records, given.texts)]
        many.write_text("".join(lines))
        one.write_text(lines[0])
        whole: dict[str, list[tuple[float, str]]] = {name: [] for name in sources}
        start: dict[str, list[tuple[float, str]]] = {name: [] for name in sources}
        for _ in range(given.runs):
            for name, source in sources.items():
                whole[name].append(run(source, many))
                start[name].append(run(source, one))
    print(f"{given.texts:,} texts, least of {given.runs} runs\n")
    print(f"{'':14}{'seconds':>9}{'texts/s':>9}{'after start-up':>16}")
    for name in sources:
        seconds, begun = min(whole[name])[0], min(start[name])[0]
        rates = given.texts / seconds, given.texts / (seconds - begun)
        print(f"{name:14}{seconds:9.2f}{rates[0]:9,.0f}{rates[1]:16,.0f}")
    if given.before:
        same = len({digest for runs in whole.values() for _, digest in runs}) == 1
        print(f"\nThe answers are {'the same' if same else 'NOT the same'}.")


if __name__ == "__main__":
    main()
