"""Where a run's inputs lie, what is read from them, and what a manifest says of them.

for record in read_records(FEED):                 # the same wherever the file lies
...
checksums = records_read((FEED,))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.config import Recipe
from cybersecqwen.embedded.knowledge import SHIPPED, KnowledgeIndex
from cybersecqwen.embedded_build.knowledge import Sources as Feeds
from cybersecqwen.embedded_build.knowledge import read_sources
from cybersecqwen.engines.teacher import Teacher
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, sha256_file, sha256_tree
from cybersecqwen.records import Vulnerability
from cybersecqwen.sample import BENCHMARK, FEED
from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.sources.fetch import default_cache

if TYPE_CHECKING:
    from cybersecqwen.synthesis.facts import FactBase

_FIRST_FEED = 2002  # NVD's feed of that year holds the older records too
_NO_FEEDS = Feeds()


@dataclass(frozen=True)
class Asking:
    """What synthetic pairs are made from beside the records: feeds of knowledge, and a teacher.

    Without feeds the knowledge is what ships, without a teacher the pairs come from facts.
    """

    feeds: Feeds = _NO_FEEDS
    teacher: Teacher | None = None


def knowledge(feeds: Feeds) -> FactBase:
    """Read the feeds that are given; what ships stands for the others."""
    from cybersecqwen.synthesis.facts import FactBase

    given = read_sources(feeds) if _paths(feeds) else []
    return FactBase.of([knowledge for knowledge, _ in given], KnowledgeIndex.load())


def knowledge_read(feeds: Feeds) -> Json:
    """Hash what ships and the feeds that are given; raises InputError where one is missing."""
    found = {"shipped": sha256_file(SHIPPED)}
    for path in _paths(feeds):
        if not path.is_file():
            raise InputError("no such file", where=path, tip="check --attack, --capec and --cwe")
        found[path.name] = sha256_file(path)
    return found


def _paths(feeds: Feeds) -> list[Path]:
    return [*feeds.attack, *(path for path in (feeds.capec, feeds.cwe) if path)]


def recipe_records(recipe: Recipe) -> tuple[Path, ...]:
    """Name the files of records that a recipe reads; raises InputError for one not fetched yet."""
    if recipe.inputs.records == "sample":
        return (FEED,)
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


def recipe_benchmark(recipe: Recipe) -> Path:
    """Name the benchmark's folder that a recipe reads."""
    if recipe.inputs.benchmark == "sample":
        return BENCHMARK
    return default_benchmark()


def default_benchmark() -> Path:
    """Give the folder that `cybersecqwen fetch cti-bench` fills; raises InputError without it."""
    folder: Path = default_cache() / "cti-bench"
    if not folder.is_dir():
        raise InputError(
            "CTI-Bench is not fetched yet",
            where=folder,
            tip="give --benchmark DIR, or fetch it: cybersecqwen fetch cti-bench",
        )
    return folder


def read_records(path: Path) -> Iterator[Vulnerability]:
    """Read records whose `where` does not depend on the folder that the file lies in."""
    for record in read_vulnerabilities(path):
        yield replace(record, where=record.where.removeprefix(f"{path.parent}/"))


def records_read(paths: tuple[Path, ...]) -> Json:
    """Hash the files of records in the order they are read in, which decides between duplicates."""
    found: Json = {}
    for position, path in enumerate(paths, start=1):
        if not path.exists():
            raise InputError("no such file or folder", where=path, tip="check --records")
        prefix = f"{position}/" if len(paths) > 1 else ""
        prefix += "" if path.is_file() else f"{path.name}/"
        found |= {f"{prefix}{name}": sha256 for name, sha256 in sha256_tree(path).items()}
    return found
