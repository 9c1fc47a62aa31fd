"""CVE JSON 5: the containers stay apart, and labels are only what is stated."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import cve_json

CISA = "134c704f-9b21-4f2e-91b3-4a467353bcc0"


def container(org: str = "o", title: str = "", **parts: Any) -> dict[str, Any]:
    return {"title": title, "providerMetadata": {"orgId": org}, **parts}


def problem(*texts: dict[str, Any]) -> dict[str, Any]:
    return {"descriptions": [{"lang": "en", **text} for text in texts]}


def record(cve_id: str = "CVE-2024-0001", **changes: Any) -> dict[str, Any]:
    english = [{"lang": "de", "value": "Eins."}, {"lang": "en-US", "value": "One."}]
    return {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.1",
        "cveMetadata": {
            "cveId": cve_id,
            "state": "PUBLISHED",
            "datePublished": "2024-01-22T21:20:00.000Z",
            "assignerShortName": "acme",
        },
        "containers": {"cna": container(descriptions=english)},
        **changes,
    }


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def test_the_plain_fields(tmp_path: Path) -> None:
    path = write(tmp_path / "any-name.json", record())
    (one,) = cve_json.read(path)
    assert (one.cve_id, one.published, one.description) == ("CVE-2024-0001", "2024-01-22", "One.")
    assert (one.assigner, one.description_source, one.rejected) == ("acme", "cvelist", False)
    assert one.where == str(path)


def test_containers_stay_apart_and_only_cisas_counts_among_the_adps(tmp_path: Path) -> None:
    containers = {
        "cna": container(descriptions=[], problemTypes=[problem({"cweId": "CWE-1"})]),
        "adp": [
            container("x", "CVE Program Container", problemTypes=[problem({"cweId": "CWE-2"})]),
            container(CISA, "", problemTypes=[problem({"cweId": "CWE-3"})]),
            container("y", "CISA ADP Vulnrichment", problemTypes=[problem({"cweId": "CWE-4"})]),
        ],
    }
    (one,) = cve_json.read(write(tmp_path / "r.json", record(containers=containers)))
    assert one.cwe_cna == ("CWE-1",)
    assert one.cwe_cisa_adp == ("CWE-3", "CWE-4")
    assert one.cwe_nvd == ()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ({"cweId": "CWE-79", "description": "CWE-80 other"}, ("CWE-79",)),
        ({"description": "CWE-352 Cross-Site Request Forgery (CSRF)"}, ("CWE-352",)),
        ({"description": "CWE-352: Cross-Site Request Forgery"}, ("CWE-352",)),
        ({"description": "cwe-352 Cross-Site Request Forgery"}, ("CWE-352",)),
        ({"description": "CWE 352: Cross-Site Request Forgery"}, ("CWE-352",)),
        ({"description": "CWE\u2011352 CSRF"}, ("CWE-352",)),
        ({"description": "\uff23\uff37\uff25\uff0d\uff13\uff15\uff12"}, ("CWE-352",)),
        ({"description": "Cross-Site Request Forgery (CWE-352)"}, ("CWE-352",)),
        ({"description": "Cross-Site Request Forgery \u2013 cwe352."}, ("CWE-352",)),
        ({"cweId": "cwe\u2013352", "description": "CSRF"}, ("CWE-352",)),
        ({"cweId": "n/a", "description": "CWE-352"}, ("CWE-352",)),
        ({"cweId": None, "description": None}, ()),
        ({"cweId": "None", "description": "None"}, ()),
        ({"description": "CWE-352x"}, ()),
        ({"description": "CWE-0: none"}, ()),
        ({"description": "None (CWE-000)"}, ()),
        ({"description": "see CWE-352"}, ()),
        ({"description": "n/a"}, ()),
        ({"description": "Cross Site Scripting"}, ()),
    ],
)
def test_a_label_is_stated_or_opens_the_text(
    tmp_path: Path, text: dict[str, Any], label: tuple[str, ...]
) -> None:
    cna = container(problemTypes=[problem(text), problem(text)])
    (one,) = cve_json.read(write(tmp_path / "r.json", record(containers={"cna": cna})))
    assert one.cwe_cna == label


@pytest.mark.parametrize("lang", ["en", "EN", "en-US", "en_GB", "eng", "English", " en "])
def test_english_by_any_name_that_says_something(tmp_path: Path, lang: str) -> None:
    texts = [
        {"lang": "de", "value": "Eins."},
        {"lang": lang, "value": " "},
        {"lang": lang, "value": "N/A"},
        {"lang": lang, "value": "One."},
        {"lang": "en", "value": "Two."},
    ]
    value = record(containers={"cna": container(descriptions=texts)})
    assert [r.description for r in cve_json.read(write(tmp_path / "r.json", value))] == ["One."]
    texts[1:] = [{"lang": "enm", "value": "Oon."}]
    value = record(containers={"cna": container(descriptions=texts)})
    assert [r.description for r in cve_json.read(write(tmp_path / "r.json", value))] == [""]


def metric(version: str, vector: str) -> dict[str, Any]:
    return {f"cvssV{version}": {"vectorString": vector}}


def test_vector_is_the_cnas_31_before_30_and_cisas_last(tmp_path: Path) -> None:
    cna = container(metrics=[{"other": {}}, metric("3_0", "cna30"), metric("3_1", "cna31")])
    cisa = container(CISA, metrics=[metric("3_1", "cisa31")])
    both = record(containers={"cna": cna, "adp": [cisa]})
    late = record(containers={"cna": container(), "adp": [cisa]})
    assert [r.cvss3_vector for r in cve_json.read(write(tmp_path / "a.json", both))] == ["cna31"]
    (one,) = cve_json.read(write(tmp_path / "b.json", late))
    assert (one.cvss3_vector, one.status) == ("cisa31", "PUBLISHED")
    assert one.cvss == (("cisa_adp", "3.1", "cisa31", None),)


def test_a_rejected_record_has_no_description(tmp_path: Path) -> None:
    reasons = [{"lang": "en", "value": "Not used."}]
    metadata = {"cveId": "CVE-2024-0001", "state": "REJECTED"}
    value = record(cveMetadata=metadata, containers={"cna": container(rejectedReasons=reasons)})
    (one,) = cve_json.read(write(tmp_path / "r.json", value))
    assert (one.rejected, one.description, one.published) == (True, "", "")


def test_the_repository_layout_is_read_and_its_other_files_are_not(tmp_path: Path) -> None:
    write(tmp_path / "cves/2024/0xxx/CVE-2024-0001.json", record("CVE-2024-0001"))
    write(tmp_path / "cves/2024/1xxx/CVE-2024-1001.json", record("CVE-2024-1001"))
    write(tmp_path / "cves/delta.json", {"new": []})
    write(tmp_path / "cves/recent_activities.json", [])
    assert [r.cve_id for r in cve_json.read(tmp_path)] == ["CVE-2024-0001", "CVE-2024-1001"]


def test_the_release_asset_with_a_zip_inside(tmp_path: Path) -> None:
    inner = tmp_path / "cves.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("cves/2024/0xxx/CVE-2024-0001.json", json.dumps(record()))
    outer = tmp_path / "2024-05-05_all_CVEs_at_midnight.zip.zip"
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(inner, "cves.zip")
    (one,) = cve_json.read(outer)
    assert one.where == f"{outer}:cves.zip:cves/2024/0xxx/CVE-2024-0001.json"


def test_records_of_two_files_are_not_merged(tmp_path: Path) -> None:
    write(tmp_path / "list/CVE-2024-0001.json", record())
    write(tmp_path / "vulnrichment/CVE-2024-0001.json", record())
    assert len(list(cve_json.read(tmp_path))) == 2


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (record(dataType="CVE_DELTA"), "dataType"),
        (record(dataVersion="4.0"), "dataVersion"),
        (record(containers={"adp": []}), "containers.cna: Field required"),
        (record(cveMetadata={"cveId": "CVE-1", "state": "PUBLISHED"}), "cveMetadata.cveId"),
        (record(cveMetadata={"cveId": "CVE-2024-0001", "state": "NEW"}), "cveMetadata.state"),
        ([], "CVE JSON 5 is expected"),
    ],
)
def test_a_record_that_breaks_the_schema_names_file_and_field(
    tmp_path: Path, value: Any, says: str
) -> None:
    path = write(tmp_path / "CVE-2024-0001.json", value)
    with pytest.raises(InputError, match=says) as caught:
        list(cve_json.read(tmp_path))
    assert caught.value.where == str(path)


def test_a_bad_record_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    write(tmp_path / "CVE-2024-0001.json", record("CVE-2024-0001"))
    bad = write(tmp_path / "CVE-2024-0002.json", record(containers={}))
    (tmp_path / "CVE-2024-0003.json").write_bytes(b"{")
    write(tmp_path / "CVE-2024-0004.json", record("cve\u20112024\u20110004"))
    errors: list[InputError] = []
    ids = [r.cve_id for r in cve_json.read(tmp_path, errors.append)]
    assert ids == ["CVE-2024-0001", "CVE-2024-0004"]
    assert [str(error.where) for error in errors] == [str(bad), str(bad).replace("0002", "0003")]


def test_a_truncated_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "CVE-2024-0001.json.gz"
    path.write_bytes(gzip.compress(json.dumps(record()).encode()[:-20]))
    with pytest.raises(InputError, match="not valid JSON"):
        list(cve_json.read(path))


def test_a_folder_without_records_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "delta.json", {})
    with pytest.raises(InputError, match="holds no file CVE-YEAR-NUMBER"):
        list(cve_json.read(tmp_path))


@pytest.mark.shared
def test_real_sample(shared: Path, table: dict[str, Vulnerability]) -> None:
    records = list(cve_json.read(shared / "cvelist" / "cve-json5-sample.tar.gz"))
    assert len({record.cve_id for record in records}) == len(records) == 400
    # The table is of another day, and was made without labels in lower case.
    lower = {"CVE-2024-39437": ("CWE-77",)}
    labels = [lower.get(r.cve_id) or table[r.cve_id].cwe_cna for r in records]
    assert sum(r.cwe_cna == label for r, label in zip(records, labels, strict=True)) >= 399
