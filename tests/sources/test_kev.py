"""CISA's KEV catalogue: every entry of a whole file, and nothing of any other."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.records import KnownExploitation
from cybersecqwen.sources.kev import load_index, read_kev, save_index


def entry(cve_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "cveID": cve_id,
        "vendorProject": "Acme",
        "product": "Anvil",
        "vulnerabilityName": "Acme Anvil Buffer Overflow",
        "dateAdded": "2026-01-05",
        "shortDescription": "Falls.",
        "requiredAction": "Apply updates.",
        "dueDate": "2026-01-26",
        "knownRansomwareCampaignUse": "Unknown",
        "notes": "",
        "cwes": ["CWE-787"],
        **changes,
    }


def catalogue(*entries: dict[str, Any], version: str = "2026.01.05") -> dict[str, Any]:
    return {
        "title": "CISA Catalog of Known Exploited Vulnerabilities",
        "catalogVersion": version,
        "count": len(entries),
        "vulnerabilities": list(entries),
    }


def write(folder: Path, value: object) -> Path:
    path = folder / "kev.json"
    path.write_text(json.dumps(value))
    return path


def test_an_entry_is_read_whole(tmp_path: Path) -> None:
    listed = entry("CVE-2025-48384", knownRansomwareCampaignUse="Known")
    kev = read_kev(write(tmp_path, catalogue(listed)))
    assert kev.version == "2026.01.05"
    assert [one.model_dump() for one in kev.entries] == [
        {
            "cve_id": "CVE-2025-48384",
            "name": "Acme Anvil Buffer Overflow",
            "vendor": "Acme",
            "product": "Anvil",
            "date_added": "2026-01-05",
            "due_date": "2026-01-26",
            "action": "Apply updates.",
            "ransomware": True,
            "cwes": ["CWE-787"],
            "description": "Falls.",
        }
    ]


def test_the_real_catalogue_is_read(shared: Path) -> None:
    kev = read_kev(shared / "kev" / "known_exploited_vulnerabilities.json")
    assert (kev.version, len(kev.entries)) == ("2025.08.25", 1404)
    assert 200 < sum(e.ransomware for e in kev.entries) < 700
    assert kev.entries[0].cwes == ["CWE-59", "CWE-436"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({**catalogue(entry("CVE-2025-48384")), "count": 2}, "holds 1 entries, not 2"),
        (catalogue(entry("CVE-1")), r"kev\.json:1: cveID"),
        (catalogue(entry("CVE-2025-48384", dateAdded="soon")), "'soon' is not an ISO date"),
        ({"vulnerabilities": []}, "catalogVersion: Field required"),
        ([], "KEV"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_kev(write(tmp_path, value))


def test_the_facts_that_ship_are_those_of_the_file_and_hold_no_sentence(tmp_path: Path) -> None:
    path = tmp_path / "kev.json"
    path.write_text(json.dumps(catalogue(entry("CVE-2026-0002"), entry("CVE-2026-0001"))))
    certificate = save_index(read_kev(path), source_sha256="a" * 64, folder=tmp_path)
    assert (certificate["entries"], certificate["sources"][0]["version"]) == (2, "2026.01.05")
    version, entries = load_index(tmp_path)
    assert (version, list(entries)) == ("2026.01.05", ["CVE-2026-0001", "CVE-2026-0002"])
    assert entries["CVE-2026-0001"] == KnownExploitation(
        "", "2026-01-05", "2026-01-26", "", False, "Acme", "Anvil"
    )
    assert b"Falls" not in gzip.decompress((tmp_path / "kev.json.gz").read_bytes())
    (tmp_path / "kev.json.gz").write_bytes(b"other")
    load_index.cache_clear()
    with pytest.raises(InputError, match="its checksum is not the certified one"):
        load_index(tmp_path)


def test_the_release_that_ships_is_whole() -> None:
    version, entries = load_index()
    assert version >= "2025.08.25"
    assert len(entries) > 1400
    assert entries["CVE-2021-44228"].ransomware
