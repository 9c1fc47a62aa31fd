"""Advisories of OSV, GitHub, CSAF, CycloneDX and KEV: ids, English texts and labels."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import FEEDS, read_vulnerabilities, recognise

from . import test_kev

CVE = "CVE-2024-0001"
OSV: dict[str, Any] = {
    "schema_version": "1.4.0",
    "id": "GHSA-2c4m-59x9-abcd",
    "modified": "2024-02-01T10:00:00Z",
    "published": "2024-01-31T09:00:00Z",
    "aliases": [CVE],
    "summary": "Template injection in Foo",
    "details": "A name reaches the template engine of Foo.",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}],
    "affected": [],
    "database_specific": {"cwe_ids": ["CWE-1336", "cwe-94"], "severity": "HIGH"},
}
GITHUB = {
    "ghsa_id": "GHSA-2c4m-59x9-abcd",
    "cve_id": CVE,
    "url": "https://api.github.com/advisories/GHSA-2c4m-59x9-abcd",
    "summary": OSV["summary"],
    "description": OSV["details"],
    "severity": "high",
    "published_at": OSV["published"],
    "updated_at": OSV["modified"],
    "withdrawn_at": None,
    "cwes": [{"cwe_id": "CWE-1336", "name": "…"}, {"cwe_id": "CWE-94", "name": "…"}],
}
FLAW: dict[str, Any] = {
    "cve": CVE,
    "title": "Foo: overflow",
    "cwe": {"id": "CWE-787", "name": "Out-of-bounds Write"},
    "notes": [
        {"category": "summary", "text": "Short."},
        {"category": "description", "text": "A long name overflows a buffer of Foo."},
    ],
    "scores": [{"cvss_v3": {"vectorString": "CVSS:3.1/AV:L"}, "products": []}],
}
CSAF: dict[str, Any] = {
    "document": {
        "category": "csaf_security_advisory",
        "csaf_version": "2.0",
        "lang": "en-US",
        "tracking": {"id": "ACME-1", "current_release_date": "2024-02-01T10:00:00Z"},
    },
    "vulnerabilities": [FLAW],
}
CYCLONEDX: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "vulnerabilities": [
        {
            "id": CVE,
            "description": "Foo follows links out of its folder.",
            "cwes": [22],
            "ratings": [{"method": "CVSSv31", "vector": "CVSS:3.1/AV:N"}],
            "published": "2024-01-31T09:00:00Z",
        }
    ],
}


def read(folder: Path, content: Any) -> list[Vulnerability]:
    return list(read_vulnerabilities(write(folder, content)))


def write(folder: Path, content: Any, name: str = "advisory.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content, indent=2))
    return path


@pytest.mark.parametrize("content", [OSV, GITHUB])
def test_advisories_of_osv_and_github_are_the_same(tmp_path: Path, content: Any) -> None:
    (one,) = read(tmp_path, content)
    assert (one.cve_id, one.published, one.rejected) == (CVE, "2024-01-31", False)
    assert one.description == f"{OSV['summary']}\n\n{OSV['details']}"
    assert one.cwe_cna == ("CWE-1336", "CWE-94")
    assert one.modified == "2024-02-01T10:00:00.000"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"aliases": []}, ("GHSA-2c4m-59x9-abcd", False)),
        ({"aliases": None}, ("GHSA-2c4m-59x9-abcd", False)),
        ({"id": CVE, "aliases": ["GHSA-2c4m-59x9-abcd"]}, (CVE, False)),
        ({"withdrawn": "2024-03-01T00:00:00Z"}, (CVE, True)),
    ],
)
def test_id_and_state_of_an_advisory(tmp_path: Path, changes: Any, expected: Any) -> None:
    (one,) = read(tmp_path, OSV | changes)
    assert (one.cve_id, one.rejected) == expected


def test_an_archive_of_advisories_is_read_but_for_the_bad_one(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            one = OSV | {"aliases": [f"CVE-2024-000{number}"], "id": [] if number == 1 else "X-1"}
            archive.writestr(f"X-{number}.json", json.dumps(one))
        archive.writestr("__MACOSX/._X-0.json", b"\0\5\x16\7")
        archive.writestr(".cache/X.json", "{")
    errors: list[InputError] = []
    ids = [one.cve_id for one in read_vulnerabilities(path, errors.append)]
    assert ids == ["CVE-2024-0000", "CVE-2024-0002"]
    assert [str(error.where) for error in errors] == [f"{path}:X-1.json"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (CVE, "A long name overflows a buffer of Foo.", ("CWE-787",))),
        ({"notes": FLAW["notes"][:1]}, (CVE, "Short.", ("CWE-787",))),
        ({"notes": []}, (CVE, "Foo: overflow", ("CWE-787",))),
        ({"cwe": None, "cwes": [{"id": "CWE-20"}]}, (CVE, FLAW["notes"][1]["text"], ("CWE-20",))),
        ({"cve": "", "ids": [{"system_name": "x", "text": "ACME-1"}], "notes": []},
         ("ACME-1", "Foo: overflow", ("CWE-787",))),
    ],
)  # fmt: skip
def test_flaws_of_a_csaf_advisory(tmp_path: Path, changes: Any, expected: Any) -> None:
    (one,) = read(tmp_path, CSAF | {"vulnerabilities": [FLAW | changes]})
    assert (one.cve_id, one.description, one.cwe_cna) == expected
    assert (one.cvss3_vector, one.modified) == ("CVSS:3.1/AV:L", "2024-02-01T10:00:00.000")


def test_all_severities_of_an_advisory_are_kept_the_newest_version_first(tmp_path: Path) -> None:
    v4, v3, v2 = "CVSS:4.0/AV:N", "CVSS:3.1/AV:N", "AV:N/Au:N"
    ratings = [{"type": "Ubuntu", "score": "medium"}, {"score": v2}, {"score": v3}, {"score": v4}]
    severities = {"cvss_v3": {"vector_string": v3}, "cvss_v4": {"vector_string": v4}}
    scores = [{f"cvss_v{v[5] if v[0] == 'C' else 2}": {"vectorString": v}} for v in (v3, v4, v2)]
    (flaw,) = CYCLONEDX["vulnerabilities"]
    rated = flaw | {"ratings": [{"method": "other"}, *({"vector": v} for v in (v2, v3, v4))]}
    for content, vectors in (
        (OSV | {"severity": ratings}, [v4, v3, v2]),
        (GITHUB | {"cvss_severities": severities}, [v4, v3]),
        (CSAF | {"vulnerabilities": [FLAW | {"scores": scores}]}, [v4, v3, v2]),
        (CYCLONEDX | {"vulnerabilities": [rated]}, [v4, v3, v2]),
    ):
        (one,) = read(tmp_path, content)
        assert [c.vector for c in one.cvss] == vectors
        assert {c.source for c in one.cvss} == {"cna"}
        assert one.cvss3_vector == v3


def test_a_csaf_advisory_in_german_has_no_english_text(tmp_path: Path) -> None:
    (one,) = read(tmp_path, CSAF | {"document": CSAF["document"] | {"lang": "de"}})
    assert (one.cve_id, one.description) == (CVE, "")


def test_flaws_of_a_cyclonedx_document(tmp_path: Path) -> None:
    (one,) = read(tmp_path, CYCLONEDX)
    assert (one.cve_id, one.published, one.cwe_cna) == (CVE, "2024-01-31", ("CWE-22",))
    assert (one.description, one.cvss3_vector) == (
        "Foo follows links out of its folder.",
        "CVSS:3.1/AV:N",
    )
    with pytest.raises(InputError, match="vulnerabilities: Field required"):
        read(tmp_path, {"bomFormat": "CycloneDX", "components": []})


def test_kev_is_read_as_records_too(tmp_path: Path) -> None:
    short = {"cveID": CVE, "shortDescription": "Falls."}
    entries = (short, {"cveID": CVE}, test_kev.entry("CVE-2024-0002"))
    listed = test_kev.catalogue(*entries)
    errors: list[InputError] = []
    path = write(tmp_path, listed)
    two, one = read_vulnerabilities(path, errors.append)
    assert (one.cve_id, one.description, one.cwe_cisa_adp) == (
        "CVE-2024-0002", "Falls.", ("CWE-787",)
    )  # fmt: skip
    assert (two.cve_id, two.description, two.cwe_cisa_adp) == (CVE, "Falls.", ())
    assert [str(error.where) for error in errors] == [f"{path}:2"]
    errors.clear()
    path = write(tmp_path, test_kev.catalogue({"cveID": CVE}))
    assert list(read_vulnerabilities(path, errors.append)) == []
    assert [str(error.where) for error in errors] == [f"{path}:1"]


def test_a_file_that_is_not_read_hides_no_records_beside_it(tmp_path: Path) -> None:
    write(tmp_path, {"@context": "https://openvex.dev/ns", "statements": []}, "a.vex.json")
    write(tmp_path, {"type": "bundle", "objects": [{"source": "enterprise-attack"}]}, "b.json")
    write(tmp_path, OSV, "c.json")
    errors: list[InputError] = []
    assert [one.cve_id for one in read_vulnerabilities(tmp_path, errors.append)] == [CVE]
    assert [Path(str(error.where)).name for error in errors] == ["a.vex.json", "b.json"]


@pytest.mark.parametrize(
    "row", [{"id": 1, "summary": "S", "text": "T"}, {"id": 1, "details": "D"}, {"document": "D"}]
)
def test_rows_of_other_data_are_no_advisories(row: Any) -> None:
    data = json.dumps(row).encode()
    assert not any(f.recognise and f.recognise(Head("rows", data)) for f in FEEDS.values())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_hides_no_feed(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "feed.json"
    path.write_bytes(json.dumps(OSV, indent=1).encode(encoding))
    assert recognise(path) is FEEDS["osv"]
    assert [one.cve_id for one in read_vulnerabilities(path)] == [CVE]
