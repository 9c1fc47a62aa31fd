"""Records as rows: CSV for a spreadsheet, JSONL for programs, and a table to train a model on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from cybersecqwen.cwe.label import LABEL_SOURCES
from cybersecqwen.errors import clean
from cybersecqwen.files import Json, spreadsheet_cell
from cybersecqwen.service.exports.export import Export, ExportedRecord, Trail, line, product_name
from cybersecqwen.service.tables import UNRATED

_COLUMNS = (
    *("id", "text", "published", "severity", "vector", "exploited", "affected", "labels"),
    *("state", "verdict", "cwe", "reviewers", "reasons", "comments", "decided_at"),
    *("suggested", "confidence", "abstained", "engine", "artifact", "classified_at"),
    *("events", "audit_head"),
)


def _csv(records: Iterable[ExportedRecord], trail: Trail) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in records:
        writer.writerow(map(_cell, _cells(one, trail)))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _cell(text: str) -> str:
    """Return a cell that no program runs and that steers no terminal; lines stay."""
    return clean(spreadsheet_cell(text.replace("\r\n", "\n").replace("\t", " ")))


def _cells(one: ExportedRecord, trail: Trail) -> list[str]:
    record, reviews = one.record, one.reviews
    return [
        record.name,
        record.text,
        record.published,
        "" if record.severity == UNRATED else f"{record.severity:g}",
        record.vector,
        str(record.exploited).lower(),
        " | ".join(map(product_name, record.affected)),
        "; ".join(f"{label['source']} {label['cwe']}" for label in record.labels),
        record.state,
        one.verdict,
        record.decided,
        "; ".join(review.reviewer for review in reviews),
        "; ".join(review.reason for review in reviews if review.reason),
        "; ".join(f"{comment.author}: {comment.text}" for comment in one.comments),
        record.decided_at,
        record.suggested,
        f"{record.confidence:g}",
        str(record.abstained).lower(),
        record.engine,
        record.artifact,
        record.classified_at,
        "; ".join(
            f"{event['sequence']} {event['at']} {event['actor']} {event['action']} "
            f"{event['sha256']}"
            for event in one.trail()
        ),
        trail.head,
    ]


def _jsonl(records: Iterable[ExportedRecord], trail: Trail) -> Iterator[str]:
    for one in records:
        yield line(row(one, trail))


def row(one: ExportedRecord, trail: Trail) -> Json:
    """Return all that is known of a record as JSON-able values."""
    record = one.record
    return {
        "id": record.name,
        "text": record.text,
        "published": record.published or None,
        "severity": None if record.severity == UNRATED else record.severity,
        "vector": record.vector or None,
        "exploited": record.exploited,
        "affected": record.affected,
        "labels": record.labels,
        "source": record.source,
        "state": record.state,
        "verdict": one.verdict or None,
        "cwe": record.decided or None,
        "decided_at": record.decided_at or None,
        "suggested": record.suggested or None,
        "confidence": record.confidence,
        "abstained": record.abstained,
        "engine": record.engine,
        "artifact": record.artifact,
        "classified_at": record.classified_at,
        "reviews": [
            {
                "reviewer": review.reviewer,
                "stage": review.stage,
                "verdict": review.verdict,
                "cwe": review.cwe or None,
                "reason": review.reason or None,
                "suggested": review.suggested or None,
                "confidence": review.confidence,
                "at": review.at,
            }
            for review in one.reviews
        ],
        "comments": [
            {"author": comment.author, "text": comment.text, "at": comment.at}
            for comment in one.comments
        ],
        "events": one.trail(),
        "audit_head": trail.head,
    }


def _training(records: Iterable[ExportedRecord], trail: Trail) -> Iterator[str]:
    """Write the records that were decided as a weakness, in a table that a corpus is made of."""
    for one in records:
        record = one.record
        if not record.decided:
            continue
        labels = {
            f"cwe_{source}": [one["cwe"] for one in record.labels if one["source"] == source]
            for source in LABEL_SOURCES
        }
        is_cvss3 = record.vector.startswith("CVSS:3")
        yield line(
            {
                "cve_id": record.name,
                "published": record.published,
                "description": record.text,
                "cwe_reviewed": [record.decided],
                **labels,
                "cvss3_vector": record.vector if is_cvss3 else None,
                "assigner": None,
                "description_source": record.source,
                "verdict": one.verdict,
                "reviewers": [review.reviewer for review in one.reviews],
                "decided_at": record.decided_at,
                "events": one.trail(),
                "audit_head": trail.head,
            }
        )


CSV = Export("a table for a spreadsheet", ".csv", "text/csv", _csv)
JSONL = Export("all that is known, a record a line", ".jsonl", "application/x-ndjson", _jsonl)
TRAINING = Export(
    "decided records as a table that `cybersecqwen corpus --records` takes",
    ".jsonl",
    "application/x-ndjson",
    _training,
)
