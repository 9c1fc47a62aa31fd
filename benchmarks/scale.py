"""Measure what more than one process or machine brings, and what that costs.

    python benchmarks/scale.py ray --records cve.parquet --benchmark cti-bench --texts 100000

Each sub-command prints a Markdown table. Times are of one run, and a machine that does other work
besides spoils them: read the ratios of times that were measured one after the other.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cybersecqwen.analyst.arguments import read_arguments
from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.cli.classify import PARTITION, lines_of_cluster
from cybersecqwen.cluster import Cluster
from cybersecqwen.config import Contamination
from cybersecqwen.contamination.audit import run_audit
from cybersecqwen.formats.rows import refuse
from cybersecqwen.records import Benchmark
from cybersecqwen.reports.markdown import table
from cybersecqwen.sources import read_vulnerabilities

FEW = 0.1  # of the texts, to take the fixed cost out
JUDGING = {"top": 3, "threshold": 0.3, "as_labelled": False}


def ray(arguments: argparse.Namespace) -> None:
    """Compare one and two workers of Ray, two processes without it, a killed worker, and memory."""
    benchmark = read_benchmark(arguments.benchmark)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few, many = folder / "few.jsonl", folder / "many.jsonl"
        write_texts(arguments.records, few, round(arguments.texts * FEW))
        write_texts(arguments.records, many, arguments.texts)
        rows = []
        for workers in (1, 2):
            with local_ray(workers) as started:
                rows.append((f"Ray, {workers} workers: start", f"{started:.1f} s"))
                rows += compared(folder, f"Ray, {workers} workers", few, many, benchmark)
                if workers == 2:
                    rows += killed(folder, many)
        rows += [
            measured("reading alone", partitions_of, few, many),
            measured("two commands: classify", two_commands, few, many),
            measured("two processes: audit", lambda path: audited(path, benchmark), few, many),
        ]
    print(f"{arguments.texts:,} texts, and {FEW:.0%} of them for the fixed cost\n")
    print(table(("what", "measured"), rows))


def write_texts(records: Path, path: Path, count: int) -> None:
    described = (r for r in read_vulnerabilities(records) if r.description)
    texts = [(record.cve_id, record.description) for record in itertools.islice(described, count)]
    with path.open("w", encoding="utf-8") as file:
        for cve_id, text in itertools.islice(itertools.cycle(texts), count):
            file.write(json.dumps({"id": cve_id, "text": text}) + "\n")


@contextmanager
def local_ray(workers: int) -> Iterator[float]:
    """Start a Ray on this machine, and return the seconds that took."""
    import ray as library

    begun = time.perf_counter()
    library.init(
        "local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100_000_000,
    )
    try:
        yield time.perf_counter() - begun
    finally:
        library.shutdown()


def compared(
    folder: Path, name: str, few: Path, many: Path, benchmark: Benchmark
) -> Iterable[tuple[str, str]]:
    """Measure both commands, each time in a folder where nothing is done yet."""
    numbers = itertools.count()

    def cluster() -> Cluster:
        return Cluster(folder / f"{name} {next(numbers)}")

    yield measured(f"{name}: classify", lambda path: classified(path, cluster()), few, many)
    yield f"{name}: memory of this process, of a worker", memory()
    yield measured(f"{name}: audit", lambda path: audited(path, benchmark, cluster()), few, many)
    yield f"{name}: memory of this process, of a worker", memory()
    yield f"{name}: object store", object_store()


def measured(name: str, work: Callable[[Path], object], few: Path, many: Path) -> tuple[str, str]:
    """Time the work on few and on many texts; what does not grow with them is the fixed cost."""
    seconds = []
    for path in (few, many):
        begun = time.perf_counter()
        work(path)
        seconds.append(time.perf_counter() - begun)
    growing = (seconds[1] - seconds[0]) / (1 - FEW)
    print(f"{name}: {seconds[0]:.1f} and {seconds[1]:.1f} s", file=sys.stderr, flush=True)
    return name, f"{growing:.1f} s, and a fixed cost of {seconds[1] - growing:.1f} s"


def partitions_of(path: Path) -> None:
    """Read a file and make partitions of it, as the process does that gives them to the nodes."""
    given = read_arguments([str(path)], report=refuse)
    for partition in iter(lambda: list(itertools.islice(given, PARTITION)), []):
        pickle.dumps(partition)


def classified(path: Path, cluster: Cluster) -> str:
    """Classify a file on a cluster, and return a checksum of the output."""
    digest = hashlib.sha256()
    given = read_arguments([str(path)], report=refuse)
    for lines in lines_of_cluster(given, cluster, "json", JUDGING):
        digest.update(lines.encode())
    return digest.hexdigest()


def audited(path: Path, benchmark: Benchmark, cluster: Cluster | None = None) -> None:
    run_audit(path, benchmark, Contamination(), cluster=cluster)


def two_commands(path: Path) -> None:
    """Classify each half of a file by a command of its own, both at once."""
    lines = path.read_bytes().splitlines(keepends=True)
    halves = [path.with_suffix(f".{part}.jsonl") for part in (0, 1)]
    for part, half in enumerate(halves):
        half.write_bytes(b"".join(lines[part::2]))
    command = [sys.executable, "-m", "cybersecqwen.cli", "classify", "--json"]
    with Path(os.devnull).open("w") as nowhere:
        running = [subprocess.Popen([*command, str(half)], stdout=nowhere) for half in halves]
        for process in running:
            process.wait()


def killed(folder: Path, path: Path) -> Iterable[tuple[str, str]]:
    """Classify with a worker killed half way, and compare time and bytes with a run without."""
    begun = time.perf_counter()
    expected = classified(path, Cluster(folder / "unharmed"))
    undisturbed = time.perf_counter() - begun
    timer = threading.Timer(undisturbed / 2, kill_worker)
    timer.start()
    begun = time.perf_counter()
    same = classified(path, Cluster(folder / "harmed")) == expected
    seconds = time.perf_counter() - begun
    timer.join()
    yield "2 workers, one killed", f"{seconds:.1f} s against {undisturbed:.1f} s"
    yield "2 workers, one killed: bytes", "the same" if same else "others"


def workers() -> Iterator[tuple[int, Path]]:
    """Yield the processes of Ray's workers on this machine."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(b"ray::"):
                yield int(folder.name), folder
        except OSError:  # it has ended meanwhile
            continue


def kill_worker() -> None:
    os.kill(next(workers())[0], signal.SIGKILL)


def memory() -> str:
    """Return the largest memory of this process and of the workers so far."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    peaks = [0]
    for _, folder in workers():
        for line in (folder / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peaks.append(int(line.split()[1]))
    return f"{own:.0f} MB, {max(peaks) / 1024:.0f} MB"


def object_store() -> str:
    from ray._private.internal_api import memory_summary

    summary = memory_summary(stats_only=True)
    return "; ".join(
        line.strip() for line in summary.splitlines() if "Plasma" in line or "Spilled" in line
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("ray", help=ray.__doc__)
    command.add_argument("--records", type=Path, required=True)
    command.add_argument("--benchmark", type=Path, required=True)
    command.add_argument("--texts", type=int, default=1_000_000)
    command.set_defaults(run=ray)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
