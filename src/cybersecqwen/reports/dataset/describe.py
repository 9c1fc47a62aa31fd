"""Describe records, a run's corpus, or both, beside one another.

    report, conflicts = describe(None, (Path("cve.parquet"),), settings=settings)
    report["records"]["classes"]["classes"]

Where both are given, the corpus's examples are looked up in the records' list of conflicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from cybersecqwen import __version__
from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.files import Json, sha256_tree
from cybersecqwen.reports.dataset.agreement import Conflict
from cybersecqwen.reports.dataset.description import Settings, measure
from cybersecqwen.reports.dataset.rows import Corpus, rows_of_records
from cybersecqwen.sources import read_vulnerabilities


def describe(
    corpus: Corpus | None, records: Sequence[Path], *, settings: Settings
) -> tuple[Json, tuple[Conflict, ...]]:
    """Give the report of what is given, and every conflict of the records' sources.

    Raises InputError for records that cannot be read, or where there are none.
    """
    report: Json = {"version": __version__, "inputs": {}}
    conflicts: tuple[Conflict, ...] = ()
    if records:
        read = chain.from_iterable(map(read_vulnerabilities, records))
        report["records"], conflicts = measure(rows_of_records(read), settings=settings)
        for path in records:
            prefix = "" if path.is_file() else f"{path.name}/"
            report["inputs"] |= {prefix + n: sha256 for n, sha256 in sha256_tree(path).items()}
    if corpus:
        report["inputs"] |= {f"corpus/{name}": sha256 for name, sha256 in corpus.outputs.items()}
        report["corpus"] = _corpus(corpus, settings)
        if records:
            report["corpus"]["contested"] = _contested(corpus, conflicts)
    return report, conflicts


def _corpus(corpus: Corpus, settings: Settings) -> Json:
    figures, _ = measure(corpus.rows, settings=settings)
    classes = {name: {row.label for row in rows} for name, rows in corpus.splits.items()}
    return {
        **figures,
        "recipe": corpus.recipe.name,
        "splits": {name: len(rows) for name, rows in corpus.splits.items()},
        "dropped": corpus.certificate["counts"]["dropped"],
        "classes_only_in_validation": sorted(classes["validation"] - classes["train"]),
    }


def _contested(corpus: Corpus, conflicts: Sequence[Conflict]) -> Json:
    """Count the examples over whose record two sources differ."""
    differing = {conflict.cve_id for conflict in conflicts}
    ids = [row.record.cve_id for row in corpus.rows]
    return part(sum(cve_id in differing for cve_id in ids), len(ids))
