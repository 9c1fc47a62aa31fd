"""A CVE id is found where fetch left its feed, or in the records that are given."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from cybersecqwen.analyst.local_records import look_up, places
from cybersecqwen.errors import InputError
from cybersecqwen.sample import FEED
from cybersecqwen.sources import read_vulnerabilities

from .conftest import put

KNOWN = {v.cve_id: v for v in read_vulnerabilities(FEED)}
ID = next(iter(KNOWN))
YEAR = ID.split("-")[1]


def cve5(cve_id: str, text: str) -> bytes:
    record = {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.1",
        "cveMetadata": {"cveId": cve_id, "state": "PUBLISHED"},
        "containers": {
            "cna": {
                "providerMetadata": {"orgId": "x"},
                "descriptions": [{"lang": "en", "value": text}],
            }
        },
    }
    return json.dumps(record).encode()


def test_the_cached_feed_of_its_year_is_searched(cache: Path) -> None:
    put(cache / "nvd" / f"nvdcve-2.0-{YEAR}.json.gz", gzip.compress(FEED.read_bytes()))
    found = look_up([ID], [])
    assert found == {ID: KNOWN[ID]}


def test_of_the_cve_list_only_the_wanted_record_is_read(cache: Path) -> None:
    path = cache / "cvelist" / "main.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("main/cves/2021/0xxx/CVE-2021-0001.json", "damaged")
        archive.writestr("main/cves/2021/0xxx/CVE-2021-0002.json", cve5("CVE-2021-0002", "XSS"))
    assert look_up(["CVE-2021-0002"], [])["CVE-2021-0002"].description == "XSS"


def test_a_damaged_cached_file_is_passed_over_and_a_given_one_is_an_error(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = put(cache / "nvd" / f"nvdcve-2.0-{YEAR}.json.gz", b"no gzip")
    with zipfile.ZipFile(put(cache / "cvelist" / "main.zip", b""), "w") as archive:
        archive.writestr(f"{ID}.json", cve5(ID, "XSS"))
    assert look_up([ID], [])[ID].description == "XSS"
    assert "passed over" in caplog.text
    with pytest.raises(InputError, match="damaged"):
        look_up([ID], [damaged])


def test_where_no_cached_file_can_be_read_an_id_is_not_said_to_be_missing(cache: Path) -> None:
    put(cache / "nvd" / f"nvdcve-2.0-{YEAR}.json.gz", b"no gzip")
    with pytest.raises(InputError, match=rf"nvdcve-2\.0-{YEAR}\.json\.gz"):
        look_up([ID], [])


def test_a_bad_record_does_not_hide_the_others(tmp_path: Path) -> None:
    feed = json.loads(FEED.read_bytes())
    feed["vulnerabilities"][0]["cve"].pop("published")
    path = put(tmp_path / "feed.json", json.dumps(feed).encode())
    last = feed["vulnerabilities"][-1]["cve"]["id"]
    put(tmp_path / "cves" / "CVE-2021-0001.json", b"{")
    put(tmp_path / "cves" / "cve-2021-0002.json", cve5("CVE-2021-0002", "XSS"))
    bad: list[InputError] = []
    wanted = [last, "CVE-2021-0001", "CVE-2021-0002"]
    assert look_up(wanted, [path, tmp_path / "cves"], bad.append).keys() == {wanted[0], wanted[2]}
    assert [Path(str(error.where)).name for error in bad] == ["feed.json:1", "CVE-2021-0001.json"]


def test_the_first_of_several_records_that_has_it_is_taken(tmp_path: Path) -> None:
    first = put(tmp_path / "CVE-2021-0009.json", cve5("CVE-2021-0009", "other"))
    second = put(tmp_path / "a" / f"{ID}.json", cve5(ID, "ours"))
    feed = Path(shutil.copy(FEED, tmp_path / "feed.json"))
    assert look_up([ID], [first, second, feed])[ID].description == "ours"
    assert look_up([ID, "CVE-2021-0009"], [feed, first]).keys() == {ID, "CVE-2021-0009"}


def test_an_id_that_is_nowhere_is_missing(tmp_path: Path) -> None:
    assert look_up(["CVE-1999-0001"], [FEED]) == {}


def test_without_any_records_it_says_where_it_looked_and_how_to_fetch(cache: Path) -> None:
    with pytest.raises(InputError) as caught:
        look_up(["CVE-2021-44228"], [])
    said = str(caught.value)
    assert said.startswith(f"{cache}: no records in which to look up CVE-2021-44228")
    assert "nvd/nvdcve-2.0-2021.json.gz" in said
    assert "run: cybersecqwen fetch nvd --years 2021, or give --records FILE" in said


def test_ids_before_2002_stand_in_the_feed_of_2002(cache: Path) -> None:
    old = put(cache / "nvd" / "nvdcve-2.0-2002.json.gz", b"")
    assert places(["CVE-1999-0001"], []) == [old]
