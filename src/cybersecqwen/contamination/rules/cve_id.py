"""The rule `cve-id`: the record is one that an item links to or names.

An item that discusses a CVE gives its answer away as much as one that links to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from cybersecqwen.contamination.rule import Batch, ItemIndex, Match, Rule
from cybersecqwen.cwe.identifiers import cve_ids
from cybersecqwen.records import Item


def _by_id(items: ItemIndex) -> dict[str, list[Item]]:
    by_id: dict[str, list[Item]] = defaultdict(list)
    for item in (item for of_task in items.benchmark.values() for item in of_task):
        for cve_id in cve_ids(f"{item.url} {item.text} {' '.join(item.options)}"):
            by_id[cve_id].append(item)
    return by_id


def _look(batch: Batch, items: ItemIndex) -> Iterator[Match]:
    by_id = items.prepared(_by_id)
    for number, row in enumerate(batch.rows):
        for cve_id in row.cve_ids:
            for item in by_id.get(cve_id.upper(), ()):
                yield number, item, 1.0


CVE_ID = Rule("the item's link or text names the record's CVE id", _look)
