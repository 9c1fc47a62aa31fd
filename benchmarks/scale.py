"""Measure what more than one process or machine brings, and what that costs.

    python benchmarks/scale.py ray --records cve.parquet --benchmark cti-bench --texts 100000
    python benchmarks/scale.py many --records cve.parquet --texts 10000000
    python benchmarks/scale.py costs --records cve.parquet --benchmark cti-bench
    python benchmarks/scale.py train smollm2-135m-cpu --train corpus/train.jsonl

`costs` runs the commands themselves on many records and on few, and takes the fixed cost out. It
counts processor time, for a machine that does other work too.

`train` is the trainer of `cybersecqwen train` under torchrun, in PROCESSESxTHREADS. On a CPU one
process may use all cores by threads, so compare at one thread for each, and look at one process
with all threads too. A step has the same batch everywhere, and the first one is not timed.

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
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from cybersecqwen.analyst.arguments import read_arguments
from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.cli.classify import PARTITION, lines_of_cluster
from cybersecqwen.cluster import Cluster
from cybersecqwen.config import Contamination
from cybersecqwen.contamination.audit import run_audit
from cybersecqwen.contamination.partitions import CHUNK
from cybersecqwen.contamination.rule import batched_by_size
from cybersecqwen.contamination.training_rows import size_of, unread_rows
from cybersecqwen.formats.rows import refuse
from cybersecqwen.records import Benchmark
from cybersecqwen.reports.markdown import table
from cybersecqwen.sources import read_vulnerabilities

FEW = 0.1  # of the texts, to take the fixed cost out
COMMAND = [sys.executable, "-m", "cybersecqwen.cli"]
CONTAMINATED = 3  # the exit status of an audit
JUDGING = {"top": 3, "threshold": 0.3, "as_labelled": False}


def ray(arguments: argparse.Namespace) -> None:
    """Compare one and two workers of Ray, two processes without it, a killed worker, and memory."""
    benchmark = read_benchmark(arguments.benchmark)
    audit_by = partial(audit, benchmark)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        few, many = folder / "few.jsonl", folder / "many.jsonl"
        write_texts(arguments.records, few, round(arguments.texts * FEW))
        write_texts(arguments.records, many, arguments.texts)
        rows, notes = [], []
        for count in (1, 2):
            with local_ray(count) as started:
                name = f"Ray, {count} workers"
                notes.append(f"{name}: started in {started:.1f} s")
                fresh = map(Cluster, (folder / f"{name} {n}" for n in itertools.count()))
                for what, work in (("classify", classify), ("audit", audit_by)):
                    done = lambda path, work=work, fresh=fresh: work(path, next(fresh))  # noqa: E731
                    rows.append(measure(f"{name}: {what}", done, few, many))
                notes.append(f"{name}: {object_store()}")
                notes += kill_a_worker(folder, many) if count == 2 else []
        rows += [
            measure("reading alone: classify", partitions_of, few, many),
            measure("reading alone: audit", parts_of, few, many),
            measure("two commands: classify", two_commands, few, many),
            measure("two processes: audit", audit_by, few, many),
        ]
    print(f"{arguments.texts:,} texts, and {FEW:.0%} of them for the fixed cost. All in seconds.\n")
    print(
        table(("what", "growing", "fixed", "processor: here + workers", "MB: here, a worker"), rows)
    )
    print("", *notes, sep="\n- ")


def lines_of_texts(records: Path, count: int) -> Iterator[str]:
    """Yield so many texts, all different: descriptions, with a number where one comes again."""
    described = (r for r in read_vulnerabilities(records) if r.description)
    texts = [record.description for record in itertools.islice(described, count)]
    for number in range(count):
        again, place = divmod(number, len(texts))
        text = f"{texts[place]} (copy {again})" if again else texts[place]
        yield json.dumps({"id": number, "text": text}) + "\n"


def write_texts(records: Path, path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines_of_texts(records, count))


def many(arguments: argparse.Namespace) -> None:
    """Classify texts from a pipe on a local Ray, and look at memory after each tenth."""
    rows, begun = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        command = [*COMMAND, "-q", "classify", "-", "--json", "--ray", "local", "--shared", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin and process.stdout

            def feed(pipe: IO[bytes]) -> None:
                for line in lines_of_texts(arguments.records, arguments.texts):
                    pipe.write(line.encode())
                pipe.close()

            threading.Thread(target=feed, args=(process.stdin,)).start()
            for number, _ in enumerate(process.stdout, start=1):
                if number % max(1, arguments.texts // 10) == 0:
                    peaks = (peak_memory(path) for _, path in workers())
                    own = peak_memory(Path(f"/proc/{process.pid}"))
                    spent = time.perf_counter() - begun
                    cells = (spent, number / spent, own, max(peaks, default=0.0))
                    rows.append((f"{number:,}", *(f"{cell:,.0f}" for cell in cells)))
                    print(*rows[-1], file=sys.stderr, flush=True)
        written = sum(path.stat().st_size for path in Path(folder).rglob("*.out"))
    print(f"Exit status {process.returncode}; {written / 1e9:.1f} GB in the shared folder.\n")
    header = ("texts", "seconds", "a second", "most MB: command", "most MB: a worker")
    print(table(header, rows, right=(0, 1, 2, 3, 4)))
    sys.exit(process.returncode)


@contextmanager
def local_ray(workers: int) -> Iterator[float]:
    """Start a Ray on this machine, and yield the seconds that took."""
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


def measure(name: str, work: Callable[[Path], object], few: Path, many: Path) -> tuple[str, ...]:
    """Time the work on few and on many texts; what does not grow with them is the fixed cost.

    Processor time is that of this process and its children, and that of the workers besides. Of
    memory it is the most so far that either had, after few and after many texts.
    """
    times, peaks = [], []
    for path in (few, many):
        before = (time.perf_counter(), *processor_times())
        work(path)
        after = (time.perf_counter(), *processor_times())
        peaks.append(memory())
        times.append([end - begin for begin, end in zip(before, after, strict=True)])
    growing = [(long - short) / (1 - FEW) for short, long in zip(*times, strict=True)]
    print(f"{name}: {times}", file=sys.stderr, flush=True)
    fixed = times[1][0] - growing[0]
    processor = f"{growing[1]:.1f} + {growing[2]:.1f}"
    return name, f"{growing[0]:.1f}", f"{fixed:.1f}", processor, " to ".join(peaks)


def processor_times() -> tuple[float, float]:
    own = sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    ticks = 0
    for _, folder in workers():
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return own, ticks / os.sysconf("SC_CLK_TCK")


def partitions_of(path: Path) -> None:
    """Read a file and make partitions of it, as the process does that gives them to the nodes."""
    given = read_arguments([str(path)], report=refuse)
    for partition in iter(lambda: list(itertools.islice(given, PARTITION)), []):
        pickle.dumps(partition)


def parts_of(path: Path) -> None:
    """Do the same for an audit."""
    for part in batched_by_size(unread_rows(path), CHUNK, size_of):
        pickle.dumps(part)


def classify(path: Path, cluster: Cluster) -> str:
    """Classify a file on a cluster, and return a checksum of the output."""
    digest = hashlib.sha256()
    given = read_arguments([str(path)], report=refuse)
    for lines in lines_of_cluster(given, cluster, "json", JUDGING):
        digest.update(lines.encode())
    return digest.hexdigest()


def audit(benchmark: Benchmark, path: Path, cluster: Cluster | None = None) -> None:
    run_audit(path, benchmark, Contamination(), cluster=cluster)


def two_commands(path: Path) -> None:
    """Classify each half of a file by a command of its own, both at once."""
    lines = path.read_bytes().splitlines(keepends=True)
    halves = [path.with_suffix(f".{part}.jsonl") for part in (0, 1)]
    for part, half in enumerate(halves):
        half.write_bytes(b"".join(lines[part::2]))
    command = [*COMMAND, "classify", "--json"]
    with Path(os.devnull).open("w") as nowhere:
        running = [subprocess.Popen([*command, str(half)], stdout=nowhere) for half in halves]
        for process in running:
            process.wait()


def kill_a_worker(folder: Path, path: Path) -> Iterable[str]:
    """Classify with a worker killed half way, and compare time and bytes with a run without."""
    begun = time.perf_counter()
    expected = classify(path, Cluster(folder / "unharmed"))
    undisturbed = time.perf_counter() - begun
    timer = threading.Timer(undisturbed / 2, lambda: os.kill(next(workers())[0], signal.SIGKILL))
    timer.start()
    begun = time.perf_counter()
    same = classify(path, Cluster(folder / "harmed")) == expected
    seconds = time.perf_counter() - begun
    timer.join()
    yield f"One of two workers killed: {seconds:.1f} s, none killed: {undisturbed:.1f} s"
    yield f"The bytes are {'the same' if same else 'others'}"


def workers() -> Iterator[tuple[int, Path]]:
    """Yield the processes on this machine that work on partitions, or wait for one."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith((b"ray::work", b"ray::IDLE")):
                yield int(folder.name), folder
        except OSError:  # it has ended meanwhile
            continue


def memory() -> str:
    """Return the most memory in MB that this process and that a worker had so far."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    peaks = (peak_memory(folder) for _, folder in workers())
    return f"{own:.0f}, {max(peaks, default=0.0):.0f}"


def peak_memory(folder: Path) -> float:
    """Return the most memory in MB that a process had so far, by its folder in /proc."""
    lines = (folder / "status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def object_store() -> str:
    from ray import get_runtime_context
    from ray._private.internal_api import memory_summary

    address = get_runtime_context().gcs_address
    summary = memory_summary(address=address, stats_only=True)
    return "; ".join(
        line.strip() for line in summary.splitlines() if "Plasma" in line or "Spilled" in line
    )


class Step(NamedTuple):
    """A command of which each unit costs something.

    N stands for the number of units, RECORDS and TEXTS for as many of them,
    BENCHMARK for the items, OUT for what is written.
    """

    name: str
    command: str
    most: int = 10**9


EVERY_YEAR = "--set corpus.years=[1999,2030] --set corpus.max_examples=10000000"
STEPS = (
    Step("record into the store", "records import RECORDS --store OUT"),
    Step("text into the workplace", "workplace import TEXTS --database sqlite:///OUT"),
    Step("text classified", "classify TEXTS --json"),
    Step("row audited", "audit TEXTS --benchmark BENCHMARK"),
    Step(
        "record through the corpus",
        f"corpus cybersecqwen-4b --records RECORDS --benchmark BENCHMARK --out OUT {EVERY_YEAR}",
    ),
    Step(
        "item answered and scored, embedded",
        "evaluate --model embedded --task cti-rcm --trials 1 --limit N --benchmark BENCHMARK "
        "--out OUT",
        most=1000,
    ),
)


def costs(arguments: argparse.Namespace) -> None:
    """Print what each record, text, row or item costs, for each step of the work."""
    steps = [step for step in STEPS if not arguments.only or arguments.only in step.name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = [cost(step, arguments, folder) for step in steps]
    print(f"{arguments.number:,} records, and {FEW:.0%} of them to take the fixed cost out.\n")
    print(table(("each", "processor ms", "fixed, s", "bytes written", "command"), rows))


def cost(step: Step, arguments: argparse.Namespace, folder: Path) -> tuple[str, ...]:
    """Run a command on few units and on many, and divide what the others took by their number."""
    many = min(arguments.number, step.most)
    counts = (round(many * FEW), many)
    used = [run(step, count, arguments, folder) for count in counts]
    print(f"{step.name}: {counts}, {used}", file=sys.stderr, flush=True)
    others = counts[1] - counts[0]
    seconds, written = ((last - first) / others for first, last in zip(*used, strict=True))
    fixed = used[0][0] - seconds * counts[0]
    shown = f"`{step.command.replace(EVERY_YEAR, '…')}`"
    return step.name, f"{1000 * seconds:.2f}", f"{fixed:.1f}", f"{written:,.0f}", shown


def run(step: Step, count: int, arguments: argparse.Namespace, folder: Path) -> tuple[float, int]:
    """Run a command on so many units; returns its processor seconds and the bytes it wrote."""
    out = folder / f"{step.name} {count}"
    stands_for = {
        "N": str(count),
        "RECORDS": str(some_records(arguments.records, count, folder)),
        "TEXTS": str(some_texts(arguments.records, count, folder)),
        "BENCHMARK": str(arguments.benchmark),
        "OUT": str(out),
    }
    names = re.compile(r"\b(?:" + "|".join(stands_for) + r")\b")
    words = [names.sub(lambda m: stands_for[m[0]], word) for word in step.command.split()]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with out.with_suffix(".txt").open("w") as printed:
        done = subprocess.run([*COMMAND, *words], stdout=printed, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, CONTAMINATED):
        sys.exit(f"{step.name}: exit status {done.returncode}")
    files = [out.with_suffix(".txt"), *([out] if out.is_file() else out.rglob("*"))]
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, sum(file.stat().st_size for file in files if file.is_file())


def some_records(records: Path, count: int, folder: Path) -> Path:
    """Write so many records of a table, evenly taken, into a table of their own."""
    from pyarrow import parquet

    path = folder / f"{count}.parquet"
    if not path.exists():
        whole = parquet.read_table(records)
        every = len(whole) // count
        if not every:
            sys.exit(f"{records} has {len(whole):,} records: give a --number up to that")
        parquet.write_table(whole.take(list(range(0, every * count, every))), path)
    return path


def some_texts(records: Path, count: int, folder: Path) -> Path:
    """Write the descriptions of such records as texts."""
    path = folder / f"{count}.jsonl"
    if not path.exists():
        write_texts(some_records(records, count, folder), path, count)
    return path


def train(arguments: argparse.Namespace) -> None:
    """Compare training in one process and in several, each way beside the first."""
    if arguments.only:
        train_here(arguments)
        return
    results = {way: train_way(way, arguments) for way in arguments.ways}
    first = next(iter(results.values()))
    rows = [
        [
            way,
            f"{one['rate']:,.1f}",
            f"{one['rate'] / first['rate']:.2f}",
            f"{max(abs(a - b) for a, b in zip(one['losses'], first['losses'], strict=True)):.1e}",
            f"{one['private'] / 1e6:,.0f}",
        ]
        for way, one in results.items()
    ]
    head = ("processes x threads", "tokens/s", "ratio", "largest difference of a loss")
    print(table((*head, "private MB of the base"), rows))


def train_way(way: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train in so many processes of so many threads each."""
    processes, threads = way.split("x")
    launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}")
    done = subprocess.run(
        [sys.executable, *launcher, __file__, *sys.argv[1:], "--only"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": threads},
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def train_here(arguments: argparse.Namespace) -> None:
    """Train as one of the processes of a way; the first prints what was measured."""
    from cybersecqwen.config import load_recipe
    from cybersecqwen.training.base import load_model
    from cybersecqwen.training.distribution import join
    from cybersecqwen.training.random_base import prepare_base
    from training import by_trainer

    settings = [*arguments.set, "training.log_steps=1", "training.checkpoint_steps=100000"]
    recipe = load_recipe(arguments.recipe, overrides=tuple(settings))
    join()
    base = prepare_base(recipe, arguments.train[0], arguments.base)
    before = private_memory()
    model = load_model(recipe, base)
    private = private_memory() - before
    del model
    moments, losses = by_trainer(recipe, arguments, base)
    if os.environ["RANK"] == "0":
        first, last = moments[0], moments[-1]
        rate = (last.tokens - first.tokens) / (last.wall - first.wall)
        print(json.dumps({"rate": rate, "private": private, "losses": losses}))


def private_memory() -> int:
    """Return the bytes of this process that no other one shares: not those of the page cache."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    return 1024 * sum(int(kb) for kb in re.findall(r"^Private_Dirty: +(\d+) kB", rollup, re.M))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("ray", help=ray.__doc__)
    command.add_argument("--records", type=Path, required=True)
    command.add_argument("--benchmark", type=Path, required=True)
    command.add_argument("--texts", type=int, default=1_000_000)
    command.set_defaults(run=ray)
    command = commands.add_parser("many", help=many.__doc__)
    command.add_argument("--records", type=Path, required=True)
    command.add_argument("--texts", type=int, default=10_000_000)
    command.set_defaults(run=many)
    command = commands.add_parser("costs", help=costs.__doc__)
    command.add_argument("--records", type=Path, required=True, help="a table in Parquet")
    command.add_argument("--benchmark", type=Path, required=True)
    command.add_argument("--number", type=int, default=20_000, help="of records")
    command.add_argument("--only", help="steps with this in their name")
    command.set_defaults(run=costs)
    command = commands.add_parser("train", help=train.__doc__)
    command.add_argument("recipe", help="a name or a file")
    command.add_argument("--train", type=Path, nargs="+", required=True, help="files of examples")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    command.add_argument("--base", type=Path, default=Path("base"), help="where a random one goes")
    command.add_argument("--steps", type=int, default=4)
    command.add_argument("--ways", nargs="+", default=["1x1", "2x1", "1x2"], metavar="PxT")
    command.add_argument("--only", action="store_true", help=argparse.SUPPRESS)
    command.set_defaults(run=train)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
