"""Tables of our own records, in Parquet and JSONL alike."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from cybersecqwen.analyst import local_records
from cybersecqwen.errors import InputError
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import record_table

ROW: dict[str, Any] = {
    "cve_id": "CVE-2021-0001",
    "published": "2021-03-04",
    "description": "None",
    "cwe_nvd": ["CWE-79", "NVD-CWE-Other"],
    "cwe_cna": [],
    "cwe_cisa_adp": ["CWE-80"],
    "cvss3_vector": "CVSS:3.1/AV:N",
    "assigner": "cve@mitre.org",
    "description_source": "nvd",
}
NULLS = dict.fromkeys(ROW, None) | {"cve_id": "CVE-2021-0002"}
RECORDS = [
    Vulnerability(
        cve_id="CVE-2021-0001",
        published="2021-03-04",
        description="None",
        cwe_nvd=("CWE-79", "NVD-CWE-Other"),
        cwe_cisa_adp=("CWE-80",),
        cvss3_vector="CVSS:3.1/AV:N",
        assigner="cve@mitre.org",
        description_source="nvd",
    ),
    Vulnerability(cve_id="CVE-2021-0002", published="", description=""),
]


def write(folder: Path, ending: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"table{ending}"
    if ending == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(params=[".parquet", ".jsonl"])
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_a_reviewer_decided_is_read_from_either_kind_of_table(
    tmp_path: Path, ending: str
) -> None:
    path = write(tmp_path, ending, [ROW | {"cwe_reviewed": ["CWE-79"]}])
    assert [one.cwe_reviewed for one in record_table.read(path)] == [("CWE-79",)]


def test_rows_become_records_and_nulls_become_empty(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path, ending, [ROW, NULLS])
    records = list(record_table.read(path))
    assert records == RECORDS
    assert [record.where for record in records] == [f"{path}:1", f"{path}:2"]


def test_rejected_is_read_where_the_table_has_it(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path, ending, [{**ROW, "rejected": True}, {**ROW, "rejected": None}])
    assert [record.rejected for record in record_table.read(path)] == [True, False]


def test_a_missing_column_is_named(tmp_path: Path, ending: str) -> None:
    row = {key: value for key, value in ROW.items() if key != "cwe_cna"}
    with pytest.raises(InputError, match="cwe_cna"):
        list(record_table.read(write(tmp_path, ending, [row])))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("cve_id", 7),
        ("description", ["a"]),
        ("cwe_nvd", "CWE-79"),
        ("cwe_nvd", [79]),
        ("published", 2021),
        ("rejected", "yes"),
    ],
)
def test_a_wrong_type_is_named(tmp_path: Path, ending: str, column: str, value: Any) -> None:
    with pytest.raises(InputError, match=column) as caught:
        list(record_table.read(write(tmp_path, ending, [{**ROW, column: value}])))
    assert f"table{ending}" in str(caught.value)


@pytest.mark.parametrize("changes", [{"cve_id": ""}, {"published": "04/03/2021"}])
def test_a_bad_value_names_its_row(tmp_path: Path, ending: str, changes: dict[str, str]) -> None:
    path = write(tmp_path, ending, [ROW, {**ROW, **changes}])
    with pytest.raises(InputError) as caught:
        list(record_table.read(path))
    assert caught.value.where == f"{path}:2"


@pytest.mark.parametrize(
    "published",
    [
        datetime.date(2021, 3, 4),
        datetime.datetime(2021, 3, 4, 23, 59, 59, 999000),
        datetime.datetime(2021, 3, 4, 1, tzinfo=datetime.UTC),
    ],
)
def test_parquet_dates_and_timestamps_become_iso_dates(
    tmp_path: Path, published: datetime.date
) -> None:
    (record,) = record_table.read(write(tmp_path, ".parquet", [{**ROW, "published": published}]))
    assert record.published == "2021-03-04"


def test_rows_over_several_batches_keep_their_order(tmp_path: Path) -> None:
    rows = [{**ROW, "cve_id": f"CVE-2021-{10_000 + n}"} for n in range(20_000)]
    records = list(record_table.read(write(tmp_path, ".parquet", rows)))
    assert [record.cve_id for record in records] == [row["cve_id"] for row in rows]
    assert records[-1].where.endswith(":20000")


@pytest.mark.parametrize("keep", [0, 100, -50])
def test_a_truncated_parquet_file_is_one_line(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path, ".parquet", [ROW])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"table\.parquet"):
        list(record_table.read(path))


def test_a_missing_file_is_one_line(tmp_path: Path, ending: str) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(record_table.read(tmp_path / f"absent{ending}"))


@pytest.mark.shared
def test_real_table(table: dict[str, Vulnerability]) -> None:
    assert len(table) == 284_020
    labelled = (r for r in table.values() if r.cwe_nvd or r.cwe_cna or r.cwe_cisa_adp)
    assert sum(1 for _ in labelled) == 211_007


def test_records_of_some_ids_are_found_in_a_parquet_table(tmp_path: Path) -> None:
    rows = [
        {**ROW, "cve_id": f"cve-2021-{n}", "published": f"2021-01-{n % 28 + 1:02}"}
        for n in range(1000, 1100)
    ]
    path = write(tmp_path, ".parquet", rows)
    found = {v.cve_id: v for v in record_table.find(path, ["CVE-2021-1007", "CVE-2021-9999"])}
    assert found == {v.cve_id: v for v in record_table.read(path) if v.cve_id == "CVE-2021-1007"}
    assert record_table.newest(path) == "2021-01-28"


def test_a_wrong_row_is_reported_and_the_others_that_are_wanted_are_found(tmp_path: Path) -> None:
    rows = [{**ROW, "cve_id": f"CVE-2021-{n}"} for n in range(1000, 1003)]
    path = write(tmp_path, ".parquet", [rows[0], {**rows[1], "published": "soon"}, rows[2]])
    wanted = [row["cve_id"] for row in rows]
    errors: list[InputError] = []
    found = [one.cve_id for one in record_table.find(path, wanted, errors.append)]
    assert found == [wanted[0], wanted[2]]
    assert [error.where for error in errors] == [f"{path}:{wanted[1]}"]
    found_too = local_records.look_up(wanted, [path], errors.append)
    assert list(found_too) == found
    with pytest.raises(InputError, match="published"):
        list(record_table.find(path, wanted))
