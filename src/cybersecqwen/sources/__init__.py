"""Sources: public feeds into records. Reading is offline and pure; `fetch` is apart.

    for vulnerability in read_vulnerabilities(Path("nvdcve-2.0-2015.json.gz")):
        print(vulnerability.cve_id, vulnerability.description)

The format of a file is recognised by its content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from cybersecqwen.errors import InputError
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import cvelist, nvd, store
from cybersecqwen.sources.inputs import entries
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.database import is_sqlite

READERS: dict[str, Callable[[Path], Iterator[Vulnerability]]] = {
    "nvd": nvd.read,
    "cvelist": cvelist.read,
    "store": store.read,
    "recordstore": query.read,
}

_HEAD = 4096  # bytes; both JSON formats name themselves in their first keys


def read_vulnerabilities(path: Path) -> Iterator[Vulnerability]:
    """Yield the records of a file or folder in any format of READERS, recognised by itself.

    Raises InputError, at once, when it is none of them.
    """
    return READERS[recognise(path)](path)


def recognise(path: Path) -> str:
    """Name the format of a file or folder, a key of READERS; raises InputError when it has none."""
    if path.suffix in (".parquet", ".jsonl"):
        return "store"
    if is_sqlite(path):
        return "recordstore"
    for entry in entries(path):
        if cvelist.RECORD_FILE.search(entry.name):
            return "cvelist"
        if entry.name.endswith((".json", ".json.gz")):
            head = entry.read()[:_HEAD]
            if b'"resultsPerPage"' in head:
                return "nvd"
            if b'"CVE_RECORD"' in head or b'"containers"' in head:
                return "cvelist"
    raise InputError(
        "no vulnerability format that is known",
        where=path,
        tip="accepted are NVD JSON 2.0 (feed or API pages), CVE JSON 5 (file, folder, zip, tar), "
        "a .parquet or .jsonl table of records, and the record store",
    )
