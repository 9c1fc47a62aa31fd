"""The CVE List's log: only what changed is fetched, and where the log does not reach, all."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.sources import cvelist
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.session import UpdateOptions
from cybersecqwen.sources.recordstore.update import Outcome
from cybersecqwen.sources.recordstore.versions import Changes

from ..conftest import Answer, Upstream
from .conftest import LIST, ZIP, CveList

Run = Callable[..., Outcome]
FIRST, SECOND, THIRD = "CVE-2026-1000", "CVE-2026-1001", "CVE-2026-20000"


@pytest.fixture
def begun(order: UpdateOptions, cve_list: CveList) -> UpdateOptions:
    """A store that begins within the log."""
    cve_list.put(FIRST, "2026-02-01T10:00:00.000Z", "CWE-79", kind="new")
    return replace(order, since="2026-02-02")


def put_zip(upstream: Upstream, *paths: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in paths:
            archive.writestr(f"cvelistV5-main/{path}", upstream.files[path])
    upstream.files[ZIP] = buffer.getvalue()


def test_what_the_log_names_since_the_cursor_is_fetched_once(
    begun: UpdateOptions, cve_list: CveList, run: Run, store: Path
) -> None:
    cve_list.put(SECOND, "2026-02-03T10:00:00.000Z", "CWE-20", kind="new")
    cve_list.put(SECOND, "2026-02-03T11:00:00.000Z", "CWE-89")
    cve_list.put(THIRD, "2026-02-04T10:00:00.000Z", kind="error")
    outcome = run("cvelist", begun)
    assert cve_list.fetched == [SECOND, THIRD]
    assert outcome.changes == Changes(received=2, new=2)
    assert outcome.cursor == "2026-02-04T10:00:00.000"
    second, third = query.read(store)
    assert (second.cwe_cna, second.modified) == (("CWE-89",), "2026-02-03T11:00:00.000")
    assert third.where == f"{store}:{THIRD}"


def test_a_second_run_fetches_nothing_but_the_log(
    begun: UpdateOptions, cve_list: CveList, run: Run, upstream: Upstream
) -> None:
    cve_list.put(SECOND, "2026-02-03T10:00:00.000Z")
    run("cvelist", begun)
    upstream.seen.clear()
    assert run("cvelist", begun).changes == Changes()
    assert [seen.path for seen in upstream.seen] == [f"{LIST}/deltaLog.json"]


def test_a_label_change_is_history(
    begun: UpdateOptions, cve_list: CveList, run: Run, store: Path
) -> None:
    cve_list.put(SECOND, "2026-02-03T10:00:00.000Z", "CWE-20")
    run("cvelist", begun)
    cve_list.put(SECOND, "2026-02-05T10:00:00.000Z", "CWE-79")
    cve_list.put(SECOND, "2026-02-06T10:00:00.000Z", "CWE-79", state="REJECTED")
    assert run("cvelist", begun).changes == Changes(received=1, changed=1, labels=1)
    (label, rejection) = query.history(store, SECOND)
    assert (label["field"], label["old"], label["new"]) == ("cwe_cna", ["CWE-20"], ["CWE-79"])
    assert (rejection["field"], rejection["old"], rejection["new"]) == ("rejected", False, True)


def test_a_file_that_the_server_still_holds_as_it_was_is_fetched_again_next_time(
    begun: UpdateOptions, cve_list: CveList, run: Run, upstream: Upstream, store: Path
) -> None:
    cve_list.put(SECOND, "2026-02-03T10:00:00.000Z", "CWE-20")
    stale = upstream.files[cve_list.path(SECOND)]
    cve_list.put(SECOND, "2026-02-03T10:05:00.000Z", "CWE-79")
    fresh = upstream.files[cve_list.path(SECOND)]
    upstream.files[cve_list.path(SECOND)] = stale
    run("cvelist", begun)
    upstream.files[cve_list.path(SECOND)] = fresh
    assert run("cvelist", begun).changes == Changes(received=1, changed=1, labels=1)
    assert [record.cwe_cna for record in query.read(store)] == [("CWE-79",)]


def test_a_new_store_and_one_that_the_log_does_not_reach_get_the_whole_list(
    order: UpdateOptions, cve_list: CveList, run: Run, upstream: Upstream, store: Path
) -> None:
    cve_list.put(FIRST, "2026-01-01T10:00:00.000Z", "CWE-79")
    put_zip(upstream, cve_list.path(FIRST))
    assert run("cvelist").changes == Changes(received=1, new=1)
    cve_list.put(FIRST, "2026-01-20T10:00:00.000Z", "CWE-80")
    cve_list.put(SECOND, "2026-02-20T10:00:00.000Z", "CWE-89")
    put_zip(upstream, cve_list.path(FIRST), cve_list.path(SECOND))
    del cve_list.log[1:]  # upstream forgets
    upstream.files[f"{LIST}/deltaLog.json"] = json.dumps(cve_list.log).encode()
    outcome = run("cvelist")
    assert outcome.changes == Changes(received=2, new=1, changed=1, labels=1)
    assert outcome.cursor == "2026-02-20T10:00:00.000"
    assert cve_list.fetched == []  # not one by one
    assert [record.cwe_cna for record in query.read(store)] == [("CWE-80",), ("CWE-89",)]


def test_an_update_that_breaks_off_goes_on_behind_what_it_has(
    begun: UpdateOptions,
    cve_list: CveList,
    run: Run,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cvelist, "_GROUP", 1)
    cve_list.put(SECOND, "2026-02-03T10:00:00.000Z")
    cve_list.put(THIRD, "2026-02-04T10:00:00.000Z")
    upstream.faults[cve_list.path(THIRD)] = [lambda _: Answer(503)] * 4
    with pytest.raises(CyberSecQwenError, match="no success in 4 attempts"):
        run("cvelist", begun)
    upstream.seen.clear()
    assert run("cvelist", begun).changes == Changes(received=1, new=1)
    assert cve_list.fetched == [THIRD]


def test_a_record_that_cannot_be_read_is_refused_with_a_reason_until_it_can(
    begun: UpdateOptions, cve_list: CveList, run: Run, upstream: Upstream, store: Path
) -> None:
    cve_list.put(SECOND, "2026-02-03T10:00:00.000Z")
    cve_list.note("2026-02-03T11:00:00.000Z", THIRD)  # named, and not there
    upstream.files[cve_list.path(SECOND)] = b'{"dataType": "CVE_REC'
    assert run("cvelist", begun).changes == Changes()
    refused = {row["cve_id"]: row["reason"] for row in query.status(store)["refused"]}
    assert "not valid JSON" in refused[SECOND]
    assert "HTTP 404" in refused[THIRD]
    cve_list.put(SECOND, "2026-02-05T10:00:00.000Z")
    run("cvelist", begun)
    assert [row["cve_id"] for row in query.status(store)["refused"]] == [THIRD]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "the log is empty"),
        (b'[{"fetchTime": "2026', "not valid JSON"),
        (b'[{"numberOfChanges": 1}]', "fetchTime: Field required"),
        (b'[{"fetchTime": "yesterday"}]', "'yesterday' is not an ISO timestamp"),
        (
            b'[{"fetchTime": "2026-02-03T10:00:00Z", "new": [{"cveId": "../../x"}]}]',
            "cveId: String should match pattern",
        ),
    ],
)
def test_a_log_that_is_none_is_one_line(
    begun: UpdateOptions, run: Run, upstream: Upstream, body: bytes, message: str
) -> None:
    upstream.files[f"{LIST}/deltaLog.json"] = body
    with pytest.raises(InputError, match=message):
        run("cvelist", begun)
