"""Notifications of OpenCVE, as it sends them to a webhook: the CVEs that changed, and how.

https://docs.opencve.io/notifications/

    for vulnerability in FEED.read(Path("notification.json"), refuse):
        print(vulnerability.cve_id, vulnerability.description)

A weakness that a change adds counts as a CNA's label. A score comes without a vector and is left
out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import CveId, Schema, each, inside, labels_of, parse, validated


class _Event(Schema):
    type: str
    added: Any = inside("details", "added", default=None)


class _Change(Schema, title="a change of OpenCVE"):
    cve_id: CveId = inside("cve", "cve_id")
    description: str | None = inside("cve", "description", default=None)
    events: list[_Event] = Field(default=[])


class _Notification(Schema, title="a notification of OpenCVE"):
    changes: list[Any]


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    return each(parse(_Notification, data, where).changes, _record, where, report)


def _record(item: Any, where: str) -> Vulnerability:
    one = validated(_Change, item, where)
    added = [
        weakness
        for event in one.events
        if event.type == "weaknesses" and isinstance(event.added, list)
        for weakness in event.added
        if isinstance(weakness, str)
    ]
    return Vulnerability(
        cve_id=one.cve_id,
        published="",
        description=one.description or "",
        cwe_cna=labels_of(added),
        description_source="opencve",
        where=where,
    )


def _recognise(head: Head) -> bool:
    return head.keys().issuperset(("organization", "project", "changes"))


FEED = advisory_feed("opencve", "a notification of OpenCVE", recognise=_recognise, records=_records)
