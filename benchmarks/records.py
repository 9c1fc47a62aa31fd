"""Measure the record store: filling it, asking it, and an update from a local NVD API.

    python benchmarks/records.py --records cve.parquet

Prints a Markdown table. Machines are shared and noisy: read the ratios, not the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.sources.recordstore import query, search
from cybersecqwen.sources.recordstore.database import open_for_reading
from cybersecqwen.sources.recordstore.query import RecordFilter
from cybersecqwen.sources.recordstore.session import UpdateOptions
from cybersecqwen.sources.recordstore.update import import_files, update

CHANGED = 10_000  # records that NVD has labelled anew
YEAR, YEARS = "2025-01-01", "2023-01-01"


class Api(BaseHTTPRequestHandler):
    """The NVD API over the records of its server."""

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        start, size = (int(asked[name][0]) for name in ("startIndex", "resultsPerPage"))
        records = self.server.records  # type: ignore[attr-defined]
        page = {
            "startIndex": start,
            "totalResults": len(records),
            "format": "NVD_CVE",
            "version": "2.0",
            "timestamp": datetime.now(UTC).replace(tzinfo=None).isoformat(),
            "vulnerabilities": [{"cve": record} for record in records[start : start + size]],
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(page).encode())

    def log_message(self, *_: object) -> None:
        pass


def labelled_anew(row: dict[str, Any], modified: str) -> dict[str, Any]:
    text = [{"lang": "en", "value": "CWE-1004"}]
    return {
        "id": row["cve_id"],
        "published": row["published"],
        "lastModified": modified,
        "descriptions": [{"lang": "en", "value": row["description"]}],
        "weaknesses": [{"source": "nvd@nist.gov", "description": text}],
    }


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result


def updates(store: Path) -> list[tuple[float, Any]]:
    """Update the store twice from a server with changed records."""
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = list(query.rows(store, RecordFilter(since=YEAR)))[:CHANGED]
    modified = (now - timedelta(hours=2)).isoformat(timespec="milliseconds")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.records = [labelled_anew(row, modified) for row in rows]  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    since = (now - timedelta(days=2)).date().isoformat()
    order = UpdateOptions(
        store, store.parent, url=f"http://127.0.0.1:{server.server_port}", since=since
    )
    return [timed(lambda: next(iter(update(order, only=["nvd"])))) for _ in range(2)]


def searches(store: Path) -> tuple[int, float, float]:
    """Index the words anew; return the bytes of the index and what two searches take."""
    with open_for_reading(store) as connection:
        connection.execute("PRAGMA query_only = OFF")
        connection.execute("INSERT INTO search (search) VALUES ('rebuild')")
        size = connection.execute("SELECT sum(length(block)) FROM search_data").fetchone()[0]
        product = search.Search(phrases=[("apache", "struts")])
        phrase, _ = timed(lambda: list(search.select(connection, product)))
        words = ["openfire", "path", "traversal", "admin", "console"]
        best, _ = timed(lambda: search.best(connection, words, limit=5))
    return size, phrase, best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--records", type=Path, required=True)
    given = parser.parse_args()
    os.environ["NVD_API_KEY"] = "a-key"  # the rate limit is upstream's, not what is measured
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "records.sqlite"
        order = UpdateOptions(store, store.parent)
        read, there = timed(lambda: sum(1 for _ in read_vulnerabilities(given.records)))
        fill, _ = timed(lambda: list(import_files(order, [given.records])))
        again, _ = timed(lambda: list(import_files(order, [given.records])))
        size = store.stat().st_size
        whole, _ = timed(lambda: sum(1 for _ in read_vulnerabilities(store)))
        year, of_year = timed(lambda: sum(1 for _ in query.rows(store, RecordFilter(since=YEAR))))
        three, of_three = timed(
            lambda: sum(1 for _ in query.rows(store, RecordFilter(since=YEARS)))
        )
        counted, _ = timed(lambda: query.count(store, RecordFilter(since=YEAR)))
        labelled, _ = timed(lambda: query.count(store, RecordFilter(since=YEAR, labelled=True)))
        one, _ = timed(lambda: list(query.find(store, ["CVE-2021-44228"])))
        words, (indexed, phrase, best) = timed(lambda: searches(store))
        (first, outcome), (second, repeated) = updates(store)
    print(f"{there:,} records, {size / 1e6:.0f} MB, of these {indexed / 1e6:.0f} MB words\n")
    print("| what | seconds |\n|---|---:|")
    for what, seconds in (
        ("read the table, nothing else", read),
        ("import it into a new store", fill),
        ("import it again", again),
        ("read the whole store", whole),
        (f"{of_year:,} rows since {YEAR}", year),
        (f"{of_three:,} rows since {YEARS}", three),
        (f"count since {YEAR}", counted),
        (f"count since {YEAR}, labelled", labelled),
        ("one record by its id", one),
        ("index the words of all descriptions anew", words),
        ("the records of a product, by a phrase", phrase),
        ("the best five records for five words", best),
        (f"update, {outcome.changes.labels:,} label changes", first),
        (f"update again, {repeated.changes.labels:,} label changes", second),
    ):
        print(f"| {what} | {seconds:.3f} |")


if __name__ == "__main__":
    main()
