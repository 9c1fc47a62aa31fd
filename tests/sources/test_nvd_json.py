"""NVD JSON 2.0: feeds, pages, and what must not pass as one."""

from __future__ import annotations

import codecs
import gzip
import json
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import nvd_json, read_vulnerabilities

CISA = "134c704f-9b21-4f2e-91b3-4a467353bcc0"


def cve(cve_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": cve_id,
        "sourceIdentifier": "cve@mitre.org",
        "published": "2015-04-05T01:59:03.837",
        "vulnStatus": "Analyzed",
        "descriptions": [{"lang": "es", "value": "Una."}, {"lang": "en", "value": "One."}],
        "metrics": {},
        "weaknesses": [],
        "references": [],
        **changes,
    }


def page(records: list[dict[str, Any]], *, start: int = 0, total: int | None = None) -> bytes:
    head = {
        "resultsPerPage": len(records),
        "startIndex": start,
        "totalResults": len(records) if total is None else total,
        "format": "NVD_CVE",
        "version": "2.0",
        "timestamp": "2026-02-28T03:02:16.253",
    }
    return json.dumps({**head, "vulnerabilities": [{"cve": r} for r in records]}).encode()


def weakness(source: str, *values: str) -> dict[str, Any]:
    texts = [{"lang": "en", "value": value} for value in values]
    return {"source": source, "type": "Primary", "description": texts}


def metric(kind: str, vector: str) -> dict[str, Any]:
    return {"source": "x", "type": kind, "cvssData": {"version": "3.1", "vectorString": vector}}


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.write_bytes(gzip.compress(page(list(records))))
    return path


def test_labels_are_kept_apart_by_source_in_order_verbatim_and_once(tmp_path: Path) -> None:
    feed = write(
        tmp_path / "f.json.gz",
        cve(
            "CVE-2015-0001",
            weaknesses=[
                weakness("cna@vuldb.com", "CWE-89"),
                weakness("nvd@nist.gov", "NVD-CWE-noinfo", "CWE-79", "NVD-CWE-noinfo"),
                weakness(CISA, "CWE-80"),
                weakness("security@wordfence.com", "CWE-74", "CWE-89"),
            ],
        ),
    )
    (record,) = nvd_json.read(feed)
    assert record.cwe_nvd == ("NVD-CWE-noinfo", "CWE-79")
    assert record.cwe_cna == ("CWE-89", "CWE-74")
    assert record.cwe_cisa_adp == ("CWE-80",)


@pytest.mark.parametrize(
    ("metrics", "vector"),
    [
        ({}, None),
        ({"cvssMetricV2": [metric("Primary", "AV:N")]}, None),
        ({"cvssMetricV30": [metric("Secondary", "s30")]}, "s30"),
        (
            {
                "cvssMetricV30": [metric("Primary", "p30")],
                "cvssMetricV31": [metric("Secondary", "s31")],
            },
            "s31",
        ),
        ({"cvssMetricV31": [metric("Secondary", "s31"), metric("Primary", "p31")]}, "p31"),
    ],
)
def test_vector_is_31_before_30_and_primary_before_secondary(
    tmp_path: Path, metrics: dict[str, Any], vector: str | None
) -> None:
    (record,) = nvd_json.read(write(tmp_path / "f.json.gz", cve("CVE-2015-0001", metrics=metrics)))
    assert record.cvss3_vector == vector


def test_severities_are_kept_by_version_and_source_with_their_scores(tmp_path: Path) -> None:
    def scored(source: str, kind: str, vector: str, score: float) -> dict[str, Any]:
        one = metric(kind, vector)
        return {**one, "source": source, "cvssData": {**one["cvssData"], "baseScore": score}}

    metrics = {
        "cvssMetricV2": [scored("nvd@nist.gov", "Primary", "AV:N", 10)],
        "cvssMetricV31": [
            scored(CISA, "Secondary", "CVSS:3.1/b", 5.5),
            scored("nvd@nist.gov", "Primary", "CVSS:3.1/a", 9.8),
        ],
        "cvssMetricV40": [metric("Secondary", "CVSS:4.0/c")],
    }
    (record,) = nvd_json.read(write(tmp_path / "f.json.gz", cve("CVE-2015-0001", metrics=metrics)))
    assert record.status == "Analyzed"
    assert record.cvss == (
        ("cna", "4.0", "CVSS:4.0/c", None),
        ("nvd", "3.1", "CVSS:3.1/a", 9.8),
        ("cisa_adp", "3.1", "CVSS:3.1/b", 5.5),
        ("nvd", "2.0", "AV:N", 10.0),
    )


def test_the_other_fields(tmp_path: Path) -> None:
    spanish = [{"lang": "es", "value": "Una."}]
    feed = write(
        tmp_path / "f.json.gz",
        cve("CVE-2015-0001"),
        cve("CVE-2015-0002", vulnStatus="Rejected", descriptions=spanish),
    )
    one, other = nvd_json.read(feed)
    assert (one.published, one.description, one.assigner) == ("2015-04-05", "One.", "cve@mitre.org")
    assert (one.rejected, one.description_source) == (False, "nvd")
    assert (other.rejected, other.description) == (True, "")
    assert other.where == f"{feed}:2"


def test_plain_gzipped_and_zipped_feeds_read_the_same(tmp_path: Path) -> None:
    content = page([cve("CVE-2015-0001")])
    (tmp_path / "f.json").write_bytes(content)
    (tmp_path / "f.json.gz").write_bytes(gzip.compress(content, mtime=0))
    with zipfile.ZipFile(tmp_path / "f.json.zip", "w") as archive:
        archive.writestr("f.json", content)
    read = [list(nvd_json.read(tmp_path / name)) for name in ("f.json", "f.json.gz", "f.json.zip")]
    assert read[0] == read[1] == read[2] != []


def test_a_byte_order_mark_is_no_part_of_the_feed(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_bytes(codecs.BOM_UTF8 + page([cve("CVE-2015-0001")]))
    [record] = nvd_json.read(tmp_path / "f.json")
    assert record.cve_id == "CVE-2015-0001"


def save_pages(folder: Path, starts: list[int], total: int, size: int = 2) -> None:
    folder.mkdir(parents=True)
    for number, start in enumerate(starts):
        ids = range(start, min(start + size, total))
        records = [cve(f"CVE-2024-{1000 + i}") for i in ids]
        (folder / f"{9 - number}.json").write_bytes(page(records, start=start, total=total))


def test_pages_are_joined_by_their_index_whatever_their_names(tmp_path: Path) -> None:
    save_pages(tmp_path / "a", [0, 2, 4], total=5)
    save_pages(tmp_path / "b", [0, 2], total=4)
    ids = [record.cve_id for record in nvd_json.read(tmp_path)]
    assert ids == [f"CVE-2024-{1000 + i}" for i in (0, 1, 2, 3, 4, 0, 1, 2, 3)]


@pytest.mark.parametrize(
    ("starts", "gap"), [([2, 4], 0), ([0, 4], 2), ([0, 2], 4), ([0, 2, 2, 4], 4)]
)
def test_pages_that_do_not_cover_their_total_are_refused(
    tmp_path: Path, starts: list[int], gap: int
) -> None:
    save_pages(tmp_path / "pages", starts, total=5)
    with pytest.raises(InputError, match=f"do not continue at record {gap} of 5"):
        list(nvd_json.read(tmp_path / "pages"))


def test_a_single_page_of_more_is_refused(tmp_path: Path) -> None:
    save_pages(tmp_path / "pages", [0], total=5)
    with pytest.raises(InputError, match="record 2 of 5"):
        list(nvd_json.read(tmp_path / "pages" / "9.json"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(page([cve("CVE-2015-0001")] * 200), mtime=0)[:-200], "truncated or damaged"),
        (b"not gzip at all", "truncated or damaged"),
        (gzip.compress(page([cve("CVE-2015-0001")])[:-40], mtime=0), "not valid JSON"),
        (gzip.compress(page([]).replace(b"NVD_CVE", b"NVD_CPE"), mtime=0), "format: .*NVD_CVE"),
        (gzip.compress(page([]).replace(b'"2.0"', b'"1.1"'), mtime=0), "version: .*2.0"),
        (gzip.compress(b"[1, 2]", mtime=0), "NVD JSON 2.0 is expected"),
        (gzip.compress(page([cve("CVE-XSS")]), mtime=0), r"f\.json\.gz:1: id: "),
        (
            gzip.compress(page([cve("CVE-2015-0001", published="soon")]), mtime=0),
            "'soon' is not an ISO date",
        ),
        (
            gzip.compress(page([cve("CVE-2015-0001", weaknesses=["CWE-1"])]), mtime=0),
            r":1: weaknesses\.0",
        ),
    ],
)
def test_a_damaged_or_foreign_feed_says_what_and_where(
    tmp_path: Path, content: bytes, says: str
) -> None:
    feed = tmp_path / "f.json.gz"
    feed.write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        list(nvd_json.read(feed))
    assert str(feed) in str(caught.value)
    assert caught.value.tip


@pytest.mark.parametrize(
    "layout",
    [
        "CVE-2015/CVE-2015-00xx/{}.json",
        "CVE-2015.json",
        "{}.json.gz",
        "{}.json.xz",
        "{}.JSON",
        "a/wrapped.json",
    ],
)
def test_bare_records_of_mirrors_are_read(tmp_path: Path, layout: str) -> None:
    bare = cve("CVE-2015-0001")
    content: Any = {"cve": bare} if "wrapped" in layout else bare
    if layout == "CVE-2015.json":
        content = {"feed_name": "CVE-2015", "cve_items": [bare]}
    path = tmp_path / layout.format("CVE-2015-0001")
    path.parent.mkdir(parents=True, exist_ok=True)
    data = json.dumps(content, indent=1).encode()
    pack = {".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(data))
    for given in {path, tmp_path}:
        (record,) = read_vulnerabilities(given)
        assert (record.cve_id, record.description_source) == ("CVE-2015-0001", "nvd")


def test_a_bad_record_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    records = [cve(f"CVE-2015-000{i}") for i in range(1, 5)]
    records[1]["descriptions"] = [{"value": "One."}]
    records[2]["published"] = "soon"
    path = tmp_path / "f.json"
    path.write_bytes(page(records).replace(b"CVE-2015-0004", "cve\u20112015\u20110004".encode()))
    (tmp_path / "other.json").write_text('{"format": "NVD_CVE"}')
    errors: list[InputError] = []
    ids = [r.cve_id for r in nvd_json.read(tmp_path, errors.append)]
    assert ids == ["CVE-2015-0001", "CVE-2015-0004"]
    assert [str(e.where).removeprefix(f"{path}") for e in errors[:2]] == [":2", ":3"]
    assert str(errors[2].where).endswith("other.json")


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no NVD record"):
        list(nvd_json.read(tmp_path))
    with pytest.raises(InputError, match="no such file"):
        list(nvd_json.read(tmp_path / "absent.json"))


@pytest.mark.shared
def test_real_feed_counts_and_labels(shared: Path, table: dict[str, Vulnerability]) -> None:
    records = list(nvd_json.read(shared / "nvd" / "nvdcve-2.0-2015.json.gz"))
    assert len(records) == 8769
    assert sum(record.rejected for record in records) == 668
    both = [(r, table[r.cve_id]) for r in records if r.cve_id in table]
    # The table was made from another day's feed, without NVD's own "no information".
    same = [
        tuple(label for label in mine.cwe_nvd if label.startswith("CWE-")) == other.cwe_nvd
        for mine, other in both
    ]
    assert len(both) == 8101
    assert all(same)


def test_a_feed_is_read_no_further_than_its_records_are_taken(tmp_path: Path) -> None:
    text = [{"lang": "en", "value": "One. " * 2000}]
    records = [cve(f"CVE-2015-{n:04}", descriptions=text) for n in range(1, 401)]  # 4 MB
    path = tmp_path / "nvdcve-2.0-2015.json"
    path.write_bytes(page(records)[:-2000])  # the last record is cut off
    vulnerabilities = nvd_json.read(path)
    assert next(vulnerabilities).cve_id == "CVE-2015-0001"
    with pytest.raises(InputError, match="not valid JSON"):
        list(vulnerabilities)
    errors: list[InputError] = []
    assert len(list(nvd_json.read(path, errors.append))) == 399
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"totalResults": 2', b'"totalResults": 3', "do not continue at record 2 of 3"),
        (b'": 2, ', b'": 3, ', "do not continue at record 2 of 3"),
        (b'"resultsPerPage": 2', b'"resultsPerPage": 3', ""),  # the total is what counts
        (b"One.", b"O\xffe.", "UTF-8"),
        (b'"2.0"', b'"2.1"', "version"),
    ],
)
def test_what_a_feed_says_of_itself_is_held_against_its_records(
    tmp_path: Path, old: bytes, new: bytes, message: str
) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(page([cve("CVE-2015-0001"), cve("CVE-2015-0002")]).replace(old, new))
    if message:
        with pytest.raises(InputError, match=message):
            list(nvd_json.read(path))
    else:
        assert len(list(nvd_json.read(path))) == 2
