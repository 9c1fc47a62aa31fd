"""The inputs that a stage can declare: where each lies, how it is read and how it is hashed.

    for vulnerability in RECORDS.read(run):   # the same wherever the files lie
        ...
    RECORDS.checksums(run)                    # {"nvdcve-2.0-2021.json.gz": "0e82…"}

What the user names comes first, then what the recipe says, then what ships. Another input is an
object here; a stage that declares it takes its options.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.artifacts import FOLDER
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, sha256_file, sha256_tree
from cybersecqwen.pipeline.stage import Input, Option, Run

if TYPE_CHECKING:
    from cybersecqwen.config import Recipe
    from cybersecqwen.engines.teacher import Teacher
    from cybersecqwen.records import Benchmark, Vulnerability
    from cybersecqwen.synthesis.facts import FactBase

_FIRST_FEED = 2002  # NVD's feed of that year holds the older records too


def record_files(run: Run) -> tuple[Path, ...]:
    """Return the files of records; raises InputError for a feed that is not fetched yet."""
    from cybersecqwen.sample import FEED

    if run.inputs.records:
        return run.inputs.records
    return (FEED,) if run.recipe.inputs.records == "sample" else _cached_feeds(run.recipe)


def _cached_feeds(recipe: Recipe) -> tuple[Path, ...]:
    """Return NVD's feeds of every year that may hold a record of the recipe's cohort."""
    from cybersecqwen.sources.fetch import default_cache

    first, last = (max(year, _FIRST_FEED) for year in recipe.corpus.years)
    if recipe.corpus.year_by == "published":
        first = _FIRST_FEED  # an older id may be published in any later year
    feeds = [default_cache() / "nvd" / f"nvdcve-2.0-{y}.json.gz" for y in range(first, last + 1)]
    missing = [feed for feed in feeds if not feed.is_file()]
    if missing:
        raise InputError(
            "not fetched yet",
            where=missing[0],
            tip="give --records FILE, or fetch it: cybersecqwen fetch nvd --years "
            + (f"{first}-{last}" if last > first else f"{first}"),
        )
    return tuple(feeds)


def _read_records(run: Run) -> Iterator[Vulnerability]:
    """Read records whose `where` does not depend on the folder that the file lies in."""
    from cybersecqwen.sources import read_vulnerabilities

    for path in record_files(run):
        for record in read_vulnerabilities(path):
            yield replace(record, where=record.where.removeprefix(f"{path.parent}/"))


def _hash_records(run: Run) -> Json:
    """Hash the files of records in the order they are read in, which decides between duplicates."""
    paths = record_files(run)
    checksums: Json = {}
    for position, path in enumerate(paths, start=1):
        if not path.exists():
            raise InputError("no such file or folder", where=path, tip="check --records")
        prefix = f"{position}/" if len(paths) > 1 else ""
        prefix += "" if path.is_file() else f"{path.name}/"
        checksums |= {f"{prefix}{name}": sha256 for name, sha256 in sha256_tree(path).items()}
    return checksums


_RECORDS_HELP = "Vulnerability records: NVD, CVE JSON 5, a table or store; may be repeated."
RECORDS = Input(
    "records",
    _hash_records,
    _read_records,
    options=(Option("records", "path", _RECORDS_HELP, multiple=True),),
)


def benchmark_folder(run: Run) -> Path:
    """Return the benchmark's folder; raises InputError where it is not fetched yet."""
    from cybersecqwen.sample import BENCHMARK as SAMPLE

    if run.inputs.benchmark:
        return run.inputs.benchmark
    return SAMPLE if run.recipe.inputs.benchmark == "sample" else default_benchmark()


def default_benchmark() -> Path:
    """Return the folder that `cybersecqwen fetch cti-bench` fills; raises InputError without it."""
    from cybersecqwen.sources.fetch import default_cache

    folder: Path = default_cache() / "cti-bench"
    if not folder.is_dir():
        raise InputError(
            "CTI-Bench is not fetched yet",
            where=folder,
            tip="give --benchmark DIR, or fetch it: cybersecqwen fetch cti-bench",
        )
    return folder


def _read_benchmark(run: Run) -> Benchmark:
    from cybersecqwen.benchmark.tasks import read_benchmark

    return read_benchmark(benchmark_folder(run))


def _hash_benchmark(run: Run) -> Json:
    from cybersecqwen.benchmark.run import benchmark_facts

    return dict(benchmark_facts(benchmark_folder(run))["sha256"])


BENCHMARK = Input(
    "benchmark",
    _hash_benchmark,
    _read_benchmark,
    options=(Option("benchmark", "path", "Folder of CTI-Bench TSV files."),),
)


CWE_CATALOGUE = Input(
    "cwe", lambda _run: sha256_tree(FOLDER / "cwe.json"), lambda _run: load_catalogue()
)


def _knowledge_files(run: Run) -> list[Path]:
    return [*run.inputs.attack, *(p for p in (run.inputs.capec, run.inputs.cwe) if p)]


def _read_knowledge(run: Run) -> FactBase:
    """Read the feeds that were named; what ships stands for the others."""
    from cybersecqwen.embedded.knowledge import KnowledgeIndex
    from cybersecqwen.embedded_build.indexing import KnowledgeFiles, read_sources
    from cybersecqwen.synthesis.facts import FactBase

    feeds = KnowledgeFiles(run.inputs.attack, run.inputs.capec, run.inputs.cwe)
    parts = read_sources(feeds) if _knowledge_files(run) else []
    return FactBase.of([knowledge for knowledge, _ in parts], KnowledgeIndex.load())


def _hash_knowledge(run: Run) -> Json:
    from cybersecqwen.embedded.knowledge import SHIPPED

    checksums = {"shipped": sha256_file(SHIPPED)}
    for path in _knowledge_files(run):
        if not path.is_file():
            raise InputError("no such file", where=path, tip="check --attack, --capec and --cwe")
        checksums[path.name] = sha256_file(path)
    return checksums


KNOWLEDGE = Input(
    "knowledge",
    _hash_knowledge,
    _read_knowledge,
    options=(
        Option("attack", "path", "ATT&CK STIX bundle; may be repeated.", multiple=True),
        Option("capec", "path", "CAPEC STIX bundle."),
        Option("cwe", "path", "CWE catalogue XML (.xml, .gz or .zip)."),
    ),
)


def _read_templates(_run: Run) -> Path:
    from cybersecqwen.synthesis.wording import TEMPLATES

    return TEMPLATES


SYNTHESIS_TEMPLATES = Input(
    "templates", lambda run: sha256_tree(_read_templates(run)), _read_templates
)


def _open_teacher(run: Run) -> Teacher | None:
    from cybersecqwen.engines.teacher import Prices, open_teacher

    if run.inputs.teacher is None:
        return None
    prices = Prices(*run.inputs.prices) if run.inputs.prices else None
    options = {"concurrency": run.inputs.concurrency or 32, **run.inputs.teacher_options}
    return open_teacher(run.inputs.teacher, prices=prices, **options)


TEACHER = Input(
    "teacher",
    lambda run: teacher.identity if (teacher := _open_teacher(run)) else None,
    _open_teacher,
    options=(
        Option("teacher", "model", "Model that writes the pairs, as NAME@URL or URL of a server."),
        Option("prices", "prices", "Its prices for a million tokens, to show the cost."),
        Option("concurrency", "count", "Requests to the teacher at once.  [default: 32]"),
    ),
)
