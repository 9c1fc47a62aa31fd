"""Measure a dataset in one pass over its rows.

    found = measure(rows_of_records(records), settings=Settings(load_catalogue()))
    found.figures["classes"]["head"][0]["cwe"]      # 'CWE-79'
    found.conflicts[0].relation

The primary label of a record is the first of NVD, else of the CNA, else of CISA-ADP; NVD's
placeholders are no labels. Rejected records are counted and left out of everything else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.records import Weakness
from cybersecqwen.reports.dataset.agreement import Agreement, Conflict
from cybersecqwen.reports.dataset.classes import spread
from cybersecqwen.reports.dataset.coverage import Coverage
from cybersecqwen.reports.dataset.discouraged import Better, Discouraged
from cybersecqwen.reports.dataset.duplicates import Duplicates
from cybersecqwen.reports.dataset.kinship import Kinship
from cybersecqwen.reports.dataset.labels import labels_of, primary
from cybersecqwen.reports.dataset.lengths import Lengths
from cybersecqwen.reports.dataset.rows import Row
from cybersecqwen.reports.dataset.tokens import TokenCounter
from cybersecqwen.reports.dataset.years import Years


@dataclass(frozen=True)
class Settings:
    """What a dataset is measured with; `better` names a neighbour of a discouraged label."""

    catalogue: Mapping[str, Weakness]
    better: Better
    max_length: int = 4096  # tokens, of the published recipe
    counter: TokenCounter | None = None


class Measured(NamedTuple):
    """The figures of a dataset as JSON-able values, and each record its sources differ over."""

    figures: Json
    conflicts: tuple[Conflict, ...]


def measure(rows: Iterable[Row], *, settings: Settings) -> Measured:
    """Measure all rows; raises InputError where there are none, or none that is not rejected."""
    catalogue = settings.catalogue
    coverage, years = Coverage(catalogue), Years(catalogue)
    agreement, duplicates = Agreement(Kinship(catalogue)), Duplicates()
    discouraged = Discouraged(catalogue, settings.better)
    lengths = Lengths(limit=settings.max_length, counter=settings.counter)
    classes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for record, prompt, completion in rows:
        counts["read"] += 1
        if record.rejected:
            counts["rejected"] += 1
            continue
        labels = labels_of(record)
        found = primary(labels)
        label = found[1] if found else ""
        coverage.add(record, labels)
        years.add(record, labels)
        agreement.add(record.cve_id, labels)
        discouraged.add(labels)
        if found:
            classes[label] += 1
        if record.description.strip():
            duplicates.add(record.cve_id, record.description, label)
            lengths.add(record.cve_id, record.description, prompt, completion)
        else:
            counts["without_text"] += 1
    records = counts["read"] - counts["rejected"]
    if not records:
        raise InputError(
            f"{counts['read']} records, {counts['rejected']} of them rejected: nothing to measure",
            tip="give records of vulnerabilities",
        )
    figures = {
        "records": records,
        "rejected": counts["rejected"],
        "without_text": counts["without_text"],
        "labelled": part(classes.total(), records),
        "years": years.to_json(),
        "classes": spread(classes, catalogue),
        "coverage": coverage.to_json(records=records),
        "agreement": agreement.to_json(),
        "conflicts": {
            "records": len({conflict.cve_id for conflict in agreement.conflicts}),
            "pairs": len(agreement.conflicts),
        },
        "discouraged": discouraged.to_json(),
        "duplicates": duplicates.to_json(),
        "lengths": lengths.to_json(),
    }
    return Measured(figures, tuple(sorted(agreement.conflicts)))
