"""Read generated files at two sizes, each in its own process, and compare the peaks of memory."""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cybersecqwen.reports.markdown import table
from cybersecqwen.sample import BENCHMARK

_SMALL = 0.1  # of the large size
_FLAT = 1.2  # times the peak at the small size
_WORDS = [
    "a",
    "flaw",
    "in",
    "the",
    "parser",
    "of",
    "this",
    "product",
    "lets",
    "remote",
    "attackers",
    "read",
    "files",
    "write",
    "memory",
    "inject",
    "statements",
    "through",
    "crafted",
    "requests",
    "before",
    "version",
    "with",
    "no",
    "authentication",
    "and",
    "cause",
    "denial",
    "of",
    "service",
    "or",
    "execute",
    "code",
    "by",
    "way",
    "of",
    "an",
    "unchecked",
    "length",
    "missing",
    "neutralisation",
    "path",
    "script",
]

Row = dict[str, Any]


def _rows() -> Iterator[Row]:
    """Yield records without end, no two alike."""
    rng = random.Random(1)
    for n in itertools.count():
        words = " ".join(rng.choices(_WORDS, k=60))
        text = f"Product {n} {rng.getrandbits(64):x} has {words}."
        yield {
            "cve_id": f"CVE-{2010 + n % 15}-{1_000_000 + n}",
            "published": "2021-03-01",
            "description": text,
            "cwe_nvd": [f"CWE-{rng.choice((79, 89, 787, 22, 416))}"],
            "cwe_cna": [],
            "cwe_cisa_adp": [],
            "cvss3_vector": None,
            "assigner": "cve@example.com",
            "description_source": "nvd",
        }


def _lines(write: Callable[[Row], str], head: str = "") -> Iterator[str]:
    yield head
    for row in _rows():
        yield write(row) + "\n"


def _nvd(row: Row) -> str:
    cve = {
        "id": row["cve_id"],
        "published": "2021-03-01T10:00:00.000",
        "lastModified": "2021-04-01T10:00:00.000",
        "vulnStatus": "Analyzed",
        "descriptions": [{"lang": "en", "value": row["description"]}],
        "weaknesses": [
            {
                "source": "nvd@nist.gov",
                "description": [{"lang": "en", "value": row["cwe_nvd"][0]}],
            }
        ],
    }
    return json.dumps({"cve": cve}) + ","


def _chat(row: Row) -> str:
    asked = {"role": "user", "content": row["description"]}
    said = {"role": "assistant", "content": row["cwe_nvd"][0]}
    return json.dumps({"messages": [asked, said]})


# The lines of each kind of file, without end, and what closes it.
_FILES: dict[str, tuple[Callable[[], Iterator[str]], str]] = {
    "chat.jsonl": (lambda: _lines(_chat), ""),
    "list.json": (lambda: _lines(lambda row: _chat(row) + ",", "["), "{}]"),
    "texts.csv": (
        lambda: _lines(lambda row: f"{row['cve_id']},{row['description']}", "id,text\n"),
        "",
    ),
    "records.jsonl": (lambda: _lines(json.dumps), ""),
    "nvd.json": (
        lambda: _lines(
            _nvd,
            '{"resultsPerPage": TOTALTOTAL, "startIndex": 0, "totalResults": TOTALTOTAL, '
            '"format": "NVD_CVE", "version": "2.0", '
            '"vulnerabilities": [\n',
        ),
        "",
    ),
}

_AUDIT = ("audit", "FILE", "--benchmark", str(BENCHMARK), "--allow-missing", "--allow-unreadable")
_CLASSIFY = ("classify", "--csv", "FILE")
_IMPORT = ("records", "import", "FILE", "--store", "OUT/records.sqlite")
_CORPUS = ("corpus", "smoke", "--records", "FILE", "--out", "OUT/run")
# What is measured: a command over a kind of file.
_MEASURED = (
    (_AUDIT, "chat.jsonl"),
    (_AUDIT, "list.json"),
    (_AUDIT, "texts.csv"),
    (_CLASSIFY, "records.jsonl"),
    (_CLASSIFY, "texts.csv"),
    (_IMPORT, "records.jsonl"),
    (_IMPORT, "nvd.json"),
    (_CORPUS, "records.jsonl"),
)


def _write(path: Path, size: int) -> None:
    lines, end = _FILES[path.name]
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for line in lines():
            file.write(line)
            written += len(line)
            if written >= size:
                break
        file.write(end)
    if path.name == "nvd.json":
        _close_feed(path)


def _close_feed(path: Path) -> None:
    """End the list of a feed, and put the number of its records into the head, in its place."""
    with path.open("r+b") as file:
        total = sum(1 for _ in file) - 1
        file.seek(-2, os.SEEK_END)  # the comma and the line's end
        file.truncate()
        file.write(b"]}")
        file.seek(0)
        head = file.readline()
        file.seek(0)
        file.write(head.replace(b"TOTALTOTAL", str(total).rjust(10).encode()))


def _peak(command: tuple[str, ...], path: Path, out: Path) -> tuple[float, float, int]:
    """Run a command; return its peak in MB, its seconds and its exit status."""
    words = [w.replace("FILE", str(path)).replace("OUT", str(out)) for w in command]
    started = time.monotonic()
    child = os.fork()
    if not child:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.execv(sys.executable, [sys.executable, "-m", "cybersecqwen.cli", *words])
    _, status, usage = os.wait4(child, 0)
    return (
        usage.ru_maxrss / 1024,
        time.monotonic() - started,
        os.waitstatus_to_exitcode(status),
    )


def main(given: Any) -> int:
    """Print the table; the exit status is 0 whatever it says."""
    header = ("command", "file", "MB read", "peak MB", "MB read", "peak MB", "flat", "seconds")
    rows = []
    for command, name in _MEASURED:
        said = " ".join(command[: 2 if command[0] == "records" else 1])
        if given.only and not any(part in f"{said} {name}" for part in given.only):
            continue
        cells: list[str] = []
        peaks: list[float] = []
        for share in (_SMALL, 1.0):
            with tempfile.TemporaryDirectory(prefix="memory-") as folder:
                path = Path(folder) / name
                _write(path, int(given.gigabytes * share * 1e9))
                size = path.stat().st_size
                peak, seconds, status = _peak(command, path, Path(folder))
            peaks.append(peak)
            shown = f"{peak:,.0f}" if status in (0, 3, 4) else f"{peak:,.0f} (status {status})"
            cells += [f"{size / 1e6:,.0f}", shown]
        flat = "yes" if peaks[1] <= _FLAT * peaks[0] else f"no, x {peaks[1] / peaks[0]:.1f}"
        rows.append((said, name, *cells, flat, f"{seconds:,.0f}"))
        print(*rows[-1], sep=", ", file=sys.stderr, flush=True)
    print(table(header, rows, right=(2, 3, 4, 5, 7)))
    return 0
