"""Records of several feeds' formats in a JSON list, or one a line.

    for vulnerability in feed(nvd.FEED, osv.FEED).read(Path("nvd.jsonl"), refuse):
        print(vulnerability.cve_id, vulnerability.where)

So mirrors and databases export them: NVD's records with or without their envelope, CVE JSON 5,
OSV and the other advisories. Each object is of the feed that recognises it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head, json_members, readable, unpacked, utf8
from cybersecqwen.formats.encoding import Text
from cybersecqwen.formats.json_stream import json_rows
from cybersecqwen.formats.rows import Report, refuse, reported
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.feed import Feed

_LINES = (".jsonl", ".ndjson")


def feed(*feeds: Feed) -> Feed:
    """Return the feed of lists of the records that these feeds parse."""

    def recognise(head: Head) -> bool:
        first = _first_object(head)
        return first is not None and _feed_of(first) is not None

    def _feed_of(head: Head) -> Feed | None:
        return next((one for one in feeds if one.recognise and one.recognise(head)), None)

    def read(path: Path, report: Report = refuse) -> Iterator[Vulnerability]:
        for member in json_members(path):
            with readable(member.where):
                text = Text(unpacked(member.file, member.where), member.where)
                for where, row in json_rows(text, report=report):
                    with reported(report):
                        yield from _records(json.dumps(row).encode(), where, report)

    def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
        one = _feed_of(Head("", data))
        if one is None or one.parse is None:
            raise InputError("is a record of no feed that is known", where=where)
        return one.parse(data, where, report)

    return Feed("list", "a list of records", recognise=recognise, read=read)


def _first_object(head: Head) -> Head | None:
    """Return the beginning of the first object of a list, or of several lines; None otherwise."""
    data = utf8(head.data).lstrip()
    if data.startswith(b"["):
        return Head("", data[1:].lstrip())
    line, _, rest = data.partition(b"\n")
    is_one = line.rstrip().endswith(b"}")
    named = head.name.lower().removesuffix(".gz").endswith(_LINES)
    return Head("", line) if is_one and (named or rest.lstrip().startswith(b"{")) else None
