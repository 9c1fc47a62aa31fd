"""The record follows from the versions, whatever the order and the number of their arrivals."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cybersecqwen.records import Cvss, Vulnerability
from cybersecqwen.sources.recordstore.database import open_for_update, transaction
from cybersecqwen.sources.recordstore.versions import (
    CVE_LIST,
    NVD,
    TABLE,
    Changes,
    apply,
    merge,
    supersedes,
)

ONE = Vulnerability("CVE-2024-0001", "2024-01-01", "One.", modified="2024-01-02T00:00:00.000")
_LABELS = st.lists(st.sampled_from(["CWE-79", "CWE-89", "NVD-CWE-noinfo"]), max_size=2).map(tuple)


def dated(source: str, *, title: str) -> st.SearchStrategy[tuple[str, Vulnerability]]:
    labels = {"cwe_nvd": _LABELS} if source == NVD else {}
    return st.builds(
        Vulnerability,
        cve_id=st.sampled_from(["CVE-2024-0001", "CVE-2024-0002"]),
        published=st.sampled_from(["", "2024-01-01", "2024-01-02"]),
        description=st.sampled_from(["", f"{title} text", "Text"]),
        cwe_cna=_LABELS,
        cwe_cisa_adp=_LABELS,
        cvss3_vector=st.sampled_from([None, f"CVSS of {title}"]),
        description_source=st.just(title),
        rejected=st.booleans(),
        modified=st.sampled_from([f"2024-01-0{day}T00:00:00.000" for day in (1, 2, 3)]),
        **labels,
    ).map(lambda record: (source, record))


ARRIVALS = st.lists(dated(NVD, title="nvd") | dated(CVE_LIST, title="cvelist"), max_size=8)


def state(arrivals: list[tuple[str, Vulnerability]], path: Path) -> list[tuple[object, ...]]:
    """Bring versions into a new store, one after the other, and return all it says of records."""
    path.unlink(missing_ok=True)
    with open_for_update(path) as connection:
        with transaction(connection):
            for source, record in arrivals:
                apply(connection, source, [record], seen="now")
        return [
            tuple(row)
            for table in ("records", "versions")
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY cve_id, modified, 12")
        ]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), arrivals=ARRIVALS)
def test_neither_order_nor_repetition_of_arrivals_matters(
    data: st.DataObject, arrivals: list[tuple[str, Vulnerability]], tmp_path: Path
) -> None:
    repeated = arrivals + data.draw(
        st.lists(st.sampled_from(arrivals)) if arrivals else st.just([])
    )
    other = data.draw(st.permutations(repeated))
    path = tmp_path / "property.sqlite"
    assert state(arrivals, path) == state(other, path)


def test_labels_are_those_of_their_giver_and_the_rest_is_nvds() -> None:
    nvd = replace(
        ONE, cwe_nvd=("CWE-79",), cwe_cna=("CWE-1",), description="Of NVD.", cvss3_vector="N"
    )
    cna = replace(
        ONE, cwe_cna=("CWE-80",), description="Of the CNA.", rejected=True, cvss3_vector="C"
    )
    table = replace(ONE, cwe_nvd=("CWE-20",), cwe_cisa_adp=("CWE-3",), assigner="acme")
    one = merge({NVD: nvd, CVE_LIST: cna, TABLE: table})
    assert (one.cwe_nvd, one.cwe_cna, one.cwe_cisa_adp) == (("CWE-79",), ("CWE-80",), ())
    assert (one.description, one.cvss3_vector, one.assigner) == ("Of NVD.", "N", "acme")
    assert one.rejected
    without_list = merge({NVD: nvd, TABLE: table})
    assert (without_list.cwe_cna, without_list.cwe_cisa_adp) == (("CWE-1",), ("CWE-3",))
    assert merge({CVE_LIST: cna, TABLE: table}).cwe_nvd == ("CWE-20",)


def test_severities_are_those_of_all_the_newest_version_first_and_each_once() -> None:
    own, passed_on = Cvss("nvd", "3.1", "a", 9.8), Cvss("cna", "4.0", "b", 8.7)
    nvd = replace(ONE, cvss=(passed_on, own), status="Analyzed")
    cna = replace(ONE, cvss=(passed_on, Cvss("cna", "3.1", "c", 7.0)), status="PUBLISHED")
    one = merge({CVE_LIST: cna, NVD: nvd})
    assert one.cvss == (passed_on, own, Cvss("cna", "3.1", "c", 7.0))
    assert one.status == "Analyzed"


def test_a_record_that_nvd_does_not_describe_has_the_text_of_the_list() -> None:
    nvd = replace(ONE, description="", published="", description_source="nvd")
    cna = replace(ONE, description="Of the CNA.", description_source="cvelist")
    one = merge({NVD: nvd, CVE_LIST: cna})
    assert (one.description, one.description_source) == ("Of the CNA.", "cvelist")
    assert one.published == "2024-01-01"


def test_of_undated_versions_the_later_counts_and_any_dated_one_before_it() -> None:
    undated, other = replace(ONE, modified=""), replace(ONE, modified="", description="Two.")
    assert supersedes(other, undated)
    assert supersedes(undated, other)
    assert not supersedes(undated, undated)
    assert supersedes(ONE, undated)
    assert not supersedes(undated, ONE)


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    with open_for_update(tmp_path / "s.sqlite") as opened:
        yield opened


def bring(connection: sqlite3.Connection, *records: Vulnerability, source: str = NVD) -> Changes:
    with transaction(connection):
        return apply(connection, source, records, seen="2026-01-01T00:00:00")


def test_what_an_update_brings_is_counted_and_kept_as_history(
    connection: sqlite3.Connection,
) -> None:
    first = replace(ONE, cwe_nvd=("NVD-CWE-noinfo",))
    later = replace(
        first, cwe_nvd=("CWE-79",), description="Two.", modified="2024-02-01T00:00:00.000"
    )
    touched = replace(later, modified="2024-03-01T00:00:00.000")
    assert bring(connection, first) == Changes(received=1, new=1)
    assert bring(connection, later) == Changes(received=1, changed=1, labels=1)
    assert bring(connection, touched, later, first) == Changes(received=3)
    rows = connection.execute("SELECT field, old, new, source, modified FROM history")
    assert [tuple(row) for row in rows] == [
        ("cwe_nvd", '["NVD-CWE-noinfo"]', '["CWE-79"]', "nvd", "2024-02-01T00:00:00.000"),
        ("description", '"One."', '"Two."', "nvd", "2024-02-01T00:00:00.000"),
    ]
    assert connection.execute("SELECT modified FROM records").fetchone()[0] == touched.modified


def test_every_step_within_one_page_is_history(connection: sqlite3.Connection) -> None:
    steps = [
        replace(ONE, cwe_nvd=(label,), modified=f"2024-01-0{day}T00:00:00.000")
        for day, label in enumerate(["CWE-20", "CWE-79", "CWE-80"], start=1)
    ]
    assert bring(connection, *steps) == Changes(received=3, new=1, changed=2, labels=2)


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with open_for_update(path) as connection, pytest.raises(RuntimeError), transaction(connection):
        apply(connection, NVD, [ONE], seen="now")
        raise RuntimeError
    with closing(sqlite3.connect(path)) as again:
        assert again.execute("SELECT count(*) FROM records").fetchone() == (0,)
