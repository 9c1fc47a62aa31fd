"""CISA's catalogue of Known Exploited Vulnerabilities (KEV).

https://www.cisa.gov/known-exploited-vulnerabilities-catalog

catalogue = read_kev(Path("known_exploited_vulnerabilities.json"))
catalogue.version, catalogue.entries[0].cve_id      # ('2025.08.25', 'CVE-2025-48384')
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, Field

from cybersecqwen.errors import InputError
from cybersecqwen.sources.inputs import CVE_ID, Schema, iso_date, parse, read_only


@dataclass(frozen=True, slots=True)
class KnownExploited:
    """One vulnerability that is exploited in the wild, as CISA lists it; dates are ISO."""

    cve_id: str
    name: str
    vendor: str
    product: str
    date_added: str
    due_date: str  # by when US federal agencies must have acted
    action: str
    ransomware: bool  # known to be used in ransomware campaigns
    cwes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A release of the catalogue, its entries in upstream's order."""

    version: str
    entries: tuple[KnownExploited, ...]


class _Entry(Schema):
    cve_id: str = Field(pattern=CVE_ID, alias="cveID")
    name: str = Field(alias="vulnerabilityName")
    vendor: str = Field(alias="vendorProject")
    product: str
    added: str = Field(alias="dateAdded")
    due: str = Field(alias="dueDate")
    action: str = Field(alias="requiredAction")
    ransomware: str = Field(default="Unknown", alias="knownRansomwareCampaignUse")
    cwes: list[str] = Field(default=[])


class _Catalogue(Schema):
    model_config = ConfigDict(title="CISA's KEV catalogue")

    version: str = Field(alias="catalogVersion")
    count: int
    vulnerabilities: list[_Entry]


def read_kev(path: Path) -> Catalogue:
    """Read the catalogue's JSON, zipped or not.

    Raises InputError when it is something else, or holds other than as many entries as it says.
    """
    catalogue = parse(_Catalogue, read_only(path, ".json"), path)
    if len(catalogue.vulnerabilities) != catalogue.count:
        raise InputError(
            f"holds {len(catalogue.vulnerabilities)} entries, not {catalogue.count}",
            where=path,
            tip="the file may be truncated; download it again",
        )
    entries = enumerate(catalogue.vulnerabilities, start=1)
    return Catalogue(catalogue.version, tuple(_entry(e, f"{path}:{n}") for n, e in entries))


def _entry(entry: _Entry, where: str) -> KnownExploited:
    return KnownExploited(
        cve_id=entry.cve_id,
        name=entry.name,
        vendor=entry.vendor,
        product=entry.product,
        date_added=iso_date(entry.added, where),
        due_date=iso_date(entry.due, where),
        action=entry.action,
        ransomware=entry.ransomware == "Known",
        cwes=tuple(entry.cwes),
    )
