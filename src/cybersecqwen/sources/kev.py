"""CISA's catalogue of Known Exploited Vulnerabilities (KEV).

https://www.cisa.gov/known-exploited-vulnerabilities-catalog

    catalogue = read_kev(Path("known_exploited_vulnerabilities.json"))
    catalogue.version, catalogue.entries[0].cve_id      # ('2025.08.25', 'CVE-2025-48384')

As records of CVEs its entries have a short description, and the labels that CISA gives them.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

from cybersecqwen.artifacts import FOLDER, save, verified
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.formats.archives import Head, read_only
from cybersecqwen.formats.rows import Report, refuse
from cybersecqwen.records import KnownExploitation, Vulnerability
from cybersecqwen.sources.affected import affected
from cybersecqwen.sources.feed import advisory_feed, fetch_file
from cybersecqwen.sources.recordstore.session import Session, update_release
from cybersecqwen.sources.recordstore.versions import Changes
from cybersecqwen.sources.schema import (
    CveId,
    IsoDate,
    Schema,
    each,
    labels_of,
    parse,
    validated,
)

_INDEX = "kev.json.gz"  # the facts that ship
_FACTS = ("cve_id", "date_added", "due_date", "ransomware", "vendor", "product")
_IsKnown = Annotated[bool, BeforeValidator(lambda text: text == "Known")]


class KnownExploited(Schema, title="CISA's KEV catalogue"):
    """One vulnerability that is exploited in the wild, as CISA lists it; dates are ISO."""

    cve_id: CveId = Field(alias="cveID")
    name: str = Field(default="", alias="vulnerabilityName")
    vendor: str = Field(default="", alias="vendorProject")
    product: str = ""
    date_added: IsoDate = Field(default="", alias="dateAdded")
    # By when US federal agencies must have acted.
    due_date: IsoDate = Field(default="", alias="dueDate")
    action: str = Field(default="", alias="requiredAction")
    # Known to be used in ransomware campaigns.
    ransomware: _IsKnown = Field(default=False, alias="knownRansomwareCampaignUse")
    cwes: list[str] = Field(default=[])
    description: str = Field(alias="shortDescription")

    def exploitation(self) -> KnownExploitation:
        """Return the entry as the record store has it."""
        return KnownExploitation(**{n: getattr(self, n) for n in KnownExploitation._fields})


class Catalogue(NamedTuple):
    """A release of the catalogue, its entries in upstream's order."""

    version: str
    entries: tuple[KnownExploited, ...]


class _Catalogue(Schema, title="CISA's KEV catalogue"):
    version: str = Field(alias="catalogVersion")
    count: int
    vulnerabilities: list[Any]


def read_kev(path: Path) -> Catalogue:
    """Read the catalogue's JSON, zipped or not.

    Raises InputError when it is something else, or does not hold as many entries as it says.
    """
    catalogue = parse(_Catalogue, read_only(path, ".json"), path)
    if len(catalogue.vulnerabilities) != catalogue.count:
        raise InputError(
            f"holds {len(catalogue.vulnerabilities)} entries, not {catalogue.count}",
            where=path,
            tip="the file may be truncated; download it again",
        )
    read = partial(validated, KnownExploited)
    return Catalogue(catalogue.version, tuple(each(catalogue.vulnerabilities, read, path, refuse)))


def save_index(catalogue: Catalogue, *, source_sha256: str, folder: Path = FOLDER) -> Json:
    """Write the facts of a release that ship, and their certificate.

    They are ids, dates, the use in ransomware, vendors and products: no sentence of CISA's, and
    nothing of a weakness or a severity that a benchmark asks for.
    """
    rows = sorted([getattr(entry, name) for name in _FACTS] for entry in catalogue.entries)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    text = f'{{"version": {json.dumps(catalogue.version)}, "entries": [\n{lines}\n]}}\n'
    source = {"name": "KEV", "version": catalogue.version, "sha256": source_sha256}
    facts = {"sources": [source], "columns": list(_FACTS), "entries": len(rows)}
    return save(folder, _INDEX, gzip.compress(text.encode(), mtime=0), facts)


@cache
def load_index(folder: Path = FOLDER) -> tuple[str, dict[str, KnownExploitation]]:
    """Return the release that ships and its entries by CVE id, without name and action.

    Raises InputError when the file is missing or differs from its certificate.
    """
    index = json.loads(gzip.decompress(verified(folder, _INDEX)))
    entries = {
        cve_id: KnownExploitation("", added, due, "", ransomware, vendor, product)
        for cve_id, added, due, ransomware, vendor, product in index["entries"]
    }
    return index["version"], entries


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    return each(parse(_Catalogue, data, where).vulnerabilities, _record, where, report)


def _record(item: Any, where: str) -> Vulnerability:
    entry = validated(KnownExploited, item, where)
    return Vulnerability(
        cve_id=entry.cve_id,
        published="",  # the catalogue has only the day on which an entry was added
        description=entry.description,
        cwe_cisa_adp=labels_of(entry.cwes),
        description_source="kev",
        where=where,
        affected=affected([(entry.vendor, entry.product, "")]),
    )


def _recognise(head: Head) -> bool:
    return "catalogVersion" in head.keys()  # noqa: SIM118


def _update(session: Session) -> Iterator[Changes]:
    return update_release(session, "kev", _URL, read=read_kev, keep=_replace)


def _replace(connection: sqlite3.Connection, catalogue: Catalogue) -> tuple[str, Changes]:
    """Put the entries of a release into the store in place of those of the one before."""
    entries = {entry.cve_id: _row(entry) for entry in catalogue.entries}
    old = {row["cve_id"]: tuple(row) for row in connection.execute("SELECT * FROM kev")}
    connection.execute("DELETE FROM kev")
    connection.executemany("INSERT INTO kev VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entries.values())
    changed = sum(old[i] != row for i, row in entries.items() if i in old)
    gone = len(old.keys() - entries.keys())
    new = len(entries.keys() - old.keys())
    return catalogue.version, Changes(len(entries), new=new, changed=changed + gone)


def _row(entry: KnownExploited) -> tuple[str | bool, ...]:
    values = entry.model_dump(exclude={"description"}) | {"cwes": json.dumps(entry.cwes)}
    return (*values.values(),)


_URL = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"

FEED = advisory_feed(
    "kev",
    "CISA's catalogue of Known Exploited Vulnerabilities",
    recognise=_recognise,
    records=_records,
    url=_URL,
    stale_after=3,
    fetch=fetch_file,
    update=_update,
)
